"""The records of labelled scenes, and how readers hand on what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.errors import ConfigError, DataError

Report = Callable[[DataError], None]
"""Where a reader puts a problem: ``raise_problem`` stops at the first, ``list.append`` collects them all."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One whole SAR image as delivered, with its ships.

    Args:
        scene_id: Name of the scene, unique in its data set.
        image_path: The image, read by ``osm.data.images.read_image``.
        width_px: Width as stored in the image file.
        height_px: Height as stored in the image file.
        boxes: ``(N, 4)`` float32 x1 y1 x2 y2 in continuous pixel coordinates, within the image.
        ignore: ``(N,)`` bool; boxes that neither count as ships nor as false alarms (VOC's ``difficult``).
        pixel_m: Ground size of a pixel, where the data set states it.
    """

    scene_id: str
    image_path: Path
    width_px: int
    height_px: int
    boxes: npt.NDArray[np.float32]
    ignore: npt.NDArray[np.bool_]
    pixel_m: float | None = None


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
    """

    path: Path
    boxes: npt.NDArray[np.float32]
    ignore: npt.NDArray[np.bool_]
    width_px: int | None = None
    height_px: int | None = None
    clip: bool = False


@dataclass(frozen=True)
class SceneFiles:
    """The two files of a scene, found but not read.

    Args:
        scene_id: Name of the scene.
        image_path: Its image.
        label_path: Its label.
        parse: What reads the label; raises ``DataError``.
    """

    scene_id: str
    image_path: Path
    label_path: Path
    parse: Callable[[Path], Label]


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
