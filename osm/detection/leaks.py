"""Training scenes that show a test scene, and how to do without them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from osm.data.leakage import Leakage, find_leaks, scene_pictures
from osm.data.parallel import Progress
from osm.data.scene import Scene
from osm.errors import DataError


def scene_leaks(
    train: Sequence[Scene], test: Sequence[Scene], *, cache: Path | None = None, progress: Progress | None = None
) -> Leakage:
    """What the training scenes of a data set show of its test scenes.

    Raises:
        DataError: An image cannot be read.
    """
    pictures = scene_pictures([*test, *train])
    return find_leaks(pictures[: len(test)], pictures[len(test) :], same_data_set=True, cache=cache, progress=progress)


def without_leaked(train: Sequence[Scene], test: Sequence[Scene], root: Path, cache: Path | None) -> list[Scene]:
    """The training scenes that show nothing of the test scenes.

    Raises:
        DataError: None is left, or an image cannot be read.
    """
    leaked = set(scene_leaks(train, test, cache=cache).train)
    kept = [scene for scene in train if scene.scene_id not in leaked]
    if not kept:
        raise DataError(
            root,
            found=f"all {len(train)} training scenes showing a test scene",
            expected="some that do not",
            mend="divide the data set along its scenes, or unset data.drop_leaked_train",
        )
    return kept
