"""The records of labelled scenes, and how readers hand on what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.errors import ConfigError, DataError

Report = Callable[[DataError], None]
"""Where a reader puts a problem: ``raise_problem`` stops at the first, ``list.append`` collects them all."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One whole image as delivered (SAR, unless it says otherwise), with its ships.

    Args:
        scene_id: Name of the scene, unique in its data set.
        image_path: The image, read by ``osm.data.images.read_image``.
        width_px: Width as stored in the image file.
        height_px: Height as stored in the image file.
        boxes: ``(N, 4)`` float32 x1 y1 x2 y2 in continuous pixel coordinates, within the image.
        ignore: ``(N,)`` bool; boxes that neither count as ships nor as false alarms (VOC's ``difficult``).
        pixel_m: Ground size of a pixel, where the data set states it.
        optical: Whether the image shows colours, in three bands, and is no SAR image.
    """

    scene_id: str
    image_path: Path
    width_px: int
    height_px: int
    boxes: npt.NDArray[np.float32]
    ignore: npt.NDArray[np.bool_]
    pixel_m: float | None = None
    optical: bool = False


@dataclass(frozen=True, eq=False)
class Label:
    """What a label file says.

    Args:
        path: The label file.
        boxes: ``(N, 4)`` float32.
        ignore: ``(N,)`` bool.
        width_px: Width of the image as the label states it, or None.
        height_px: Height of the image as the label states it, or None.
        clip: Whether boxes may stick out of the image and are cut to it: the upright box around a slanted
            ship at the border does so by right.
        slack_px: How far any box may stick out by rounding; it is cut to the image then.
        pixel_m: Ground size of a pixel, where the label states it.
    """

    path: Path
    boxes: npt.NDArray[np.float32]
    ignore: npt.NDArray[np.bool_]
    width_px: int | None = None
    height_px: int | None = None
    clip: bool = False
    slack_px: float = 0.0
    pixel_m: float | None = None


@dataclass(frozen=True)
class SceneFiles:
    """The two files of a scene, found but not read.

    Args:
        scene_id: Name of the scene.
        image_path: Its image.
        label_path: Its label.
        parse: What reads the label; raises ``DataError``.
        optical: Whether the image shows colours and is no SAR image.
    """

    scene_id: str
    image_path: Path
    label_path: Path
    parse: Callable[[Path], Label]
    optical: bool = False


def raise_problem(problem: DataError) -> None:
    """Report a problem by stopping at it."""
    raise problem


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Key that sorts ``2.png`` before ``10.png``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple((0, int(part), part) if part[0] in "0123456789" else (1, 0, part.lower()) for part in parts)


def choose_split(ids: Sequence[str], split: str, test_ids: Sequence[str]) -> list[str]:
    """The ids of one part: ``test`` are those among ``test_ids``, ``train`` all others."""
    wanted = set(test_ids)
    return [name for name in ids if (name in wanted) == (split == "test")]


def check_test_ids(root: Path, ids: Sequence[str], test_ids: Sequence[str]) -> None:
    """Refuse test ids that name no scene, since a typo would silently move that scene into training.

    Raises:
        ConfigError: Names the ids.
    """
    unknown = sorted(set(test_ids) - set(ids), key=natural_key)
    if unknown:
        raise ConfigError(
            f"test ids for {root}",
            found=f"{len(unknown)} without a scene: {', '.join(unknown[:5])}",
            expected=f"ids among {', '.join(ids[:12])}{', …' if len(ids) > 12 else ''}",
            mend="correct the list of test ids",
        )


def missing_partner(image: Path | None, label: Path | None, scene_id: str, root: Path, layout: str) -> DataError:
    """What to report of a scene of which one file is there and the other is not."""
    what = "image" if image is None else "label"
    return DataError(
        image or label or root,
        found=f"no {what} for scene {scene_id}",
        expected=layout,
        mend=f"add the {what} of this scene, or remove the lone file",
    )


def by_stem(paths: Iterable[Path], report: Report) -> dict[str, Path]:
    """Files by their names without suffix; a second one of a name is reported and left out."""
    found: dict[str, Path] = {}
    for path in sorted(paths):
        if path.stem in found:
            report(
                DataError(
                    path,
                    found=f"scene {path.stem} a second time, beside {found[path.stem]}",
                    expected="each scene once",
                    mend="remove one of the two copies",
                )
            )
        else:
            found[path.stem] = path
    return found


def nothing_there(root: Path, kind: str, layout: str) -> DataError:
    """What to raise where a folder holds no scene at all."""
    inside = sorted(entry.name for entry in root.iterdir())
    held = f"no scene of {kind} among {', '.join(inside[:5])}{', …' if len(inside) > 5 else ''}"
    return DataError(
        root,
        found=held if inside else "an empty folder",
        expected=layout,
        mend="check the path, or unpack the data set again",
    )


def listed_split(root: Path, ids: Sequence[str], split: str, test_ids: Sequence[str] | None, kind: str) -> list[str]:
    """The ids of one part of a data set without an official split.

    ``<split>.txt`` in the root (one id a line) or ``test_ids`` decides; a split is never drawn here, since two people
    would then mean different scenes by ``test``.

    Raises:
        ConfigError: Neither is there, or an id names no scene.
    """
    listing = root / f"{split}.txt"
    if test_ids is None and listing.is_file():
        lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
        chosen = list(dict.fromkeys(Path(line.split()[0]).stem for line in lines if line.strip()))
        check_test_ids(listing, ids, chosen)
    elif test_ids is not None and split in ("train", "test"):
        check_test_ids(root, ids, test_ids)
        chosen = choose_split(ids, split, test_ids)
    else:
        raise ConfigError(
            f"split {split!r} of {root}",
            found=f"no {listing.name} and no test ids; {kind} has no official split",
            expected="a list of scenes, one a line, or the ids of the test scenes",
            mend=f"write {listing}, or set data.test_ids in the config",
        )
    if not chosen:
        raise ConfigError(
            f"split {split!r} of {root}", found="no scene", expected="at least one", mend="correct the list of scenes"
        )
    return chosen


def listed_splits(root: Path) -> list[str]:
    """Names of the lists ``<split>.txt`` in a root."""
    return sorted(path.stem for path in root.glob("*.txt"))
