"""Scenes to choose a learning rate by: a part of the training scenes, whole groups that show each other's places."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from osm.compare.grid import Grid
from osm.data.leakage import find_leaks, scene_pictures
from osm.data.parallel import Progress
from osm.data.scene import Scene
from osm.errors import DataError


def choose_held_out(
    train: Sequence[Scene],
    grid: Grid,
    where: str | Path,
    *,
    never: Collection[str] = (),
    cache: Path | None = None,
    progress: Progress | None = None,
) -> list[Scene]:
    """The training scenes that cells which try a learning rate are scored on, and not trained on.

    Scenes that show the same place, by name, position or pixels, are in one part. Groups are drawn whole, in an order
    that the seed decides, until the fraction is reached; a group that would go beyond it stays with the training, and
    so does one without a ship, or with a scene that must not choose.

    Args:
        train: What the comparison trains on; no test scene is among them.
        grid: For the fraction and the seed.
        where: Folder of the data, for errors.
        never: Names of scenes that must not choose, since they show a test scene.
        cache: Folder for what was found of the images.
        progress: Called now and then.

    Returns:
        Scenes in the order of ``train``, with at least one ship; at least one ship is left, too.

    Raises:
        DataError: There is no such part, or an image cannot be read.
    """
    groups = scene_groups(train, cache=cache, progress=progress)
    wanted = max(1, round(grid.fraction * len(train)))
    taken: set[int] = set()
    for number in np.random.default_rng(grid.split_seed).permutation(len(groups)):
        group = groups[number]
        scenes = [train[index] for index in group]
        if any(scene.scene_id in never for scene in scenes) or not any(map(_ships, scenes)):
            continue
        if len(taken) + len(group) <= wanted:
            taken.update(group)
    if not taken or not any(_ships(scene) for index, scene in enumerate(train) if index not in taken):
        largest = max(map(len, groups), default=0)
        raise DataError(
            where,
            found=f"{len(train)} training scenes in {len(groups)} groups that show the same place (the largest: "
            f"{largest}), none that can be held out",
            expected=f"groups of at most {wanted} with ships, showing no test scene, and others to train on",
            mend="raise tune.fraction, train on more scenes, or leave the tuning out",
        )
    return [train[index] for index in sorted(taken)]


def scene_groups(
    scenes: Sequence[Scene], *, cache: Path | None = None, progress: Progress | None = None
) -> list[list[int]]:
    """Groups of scenes that hang together by showing the same place; indices in rising order.

    Raises:
        DataError: An image cannot be read.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pictures = scene_pictures(scenes)
    found = find_leaks(pictures, pictures, same_data_set=True, cache=cache, progress=progress).findings
    place = {scene.scene_id: index for index, scene in enumerate(scenes)}
    one = [place[finding.test] for finding in found]
    other = [place[finding.train] for finding in found]
    links = coo_array((np.ones(len(one)), (one, other)), shape=(len(scenes), len(scenes)))
    count, owner = connected_components(links, directed=False)
    return [np.flatnonzero(owner == number).tolist() for number in range(count)]


def _ships(scene: Scene) -> int:
    return int(np.count_nonzero(~scene.ignore))
