"""Labelled scenes of every data set that is known: one reader each, behind one function.

A reader finds the files of a data set's scenes; reading a label, and checking it against the header of its
image, is the same for all of them and happens here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from osm.data import airsarship, airsarship2, dota, hrsid, ssdd
from osm.data.boxes import Floats, clip_to_window
from osm.data.images import image_size
from osm.data.scene import Label, Report, Scene, SceneFiles, listed_splits, natural_key, raise_problem
from osm.errors import ConfigError, DataError

__all__ = ["OPTICAL", "READERS", "Reader", "Scene", "find_scenes", "load_scene", "natural_key", "read_scenes"]


class Reader(Protocol):
    """Finds the scenes of one kind of data set; hands every missing file to ``report`` and leaves that scene out."""

    def __call__(
        self, root: Path, split: str | None, test_ids: Sequence[str] | None, report: Report
    ) -> list[SceneFiles]:
        """Find; a ``DataError`` that is raised here means that there is nothing to read at all."""
        ...


READERS: dict[str, Reader] = {
    "air-sarship-1.0": airsarship.find_airsarship,
    "air-sarship-2.0": airsarship2.find_airsarship2,
    "ssdd": ssdd.find_ssdd,
    "hrsid": hrsid.find_hrsid,
    "dota": dota.find_dota,
}


#: Kinds whose scenes are optical images in colours.
OPTICAL = frozenset({dota.KIND})

SPLITS: dict[str, Callable[[Path], list[str]]] = {
    "air-sarship-1.0": airsarship.splits,
    "air-sarship-2.0": listed_splits,
    "ssdd": ssdd.splits,
    "hrsid": hrsid.splits,
    "dota": dota.splits,
}


def known_splits(kind: str, root: Path) -> list[str]:
    """Names of the parts that a data set brings along."""
    return SPLITS[kind](root)


def read_scenes(
    kind: str, root: str | Path, split: str | None = None, test_ids: Sequence[str] | None = None
) -> list[Scene]:
    """Read the labels of a data set, and of its images the headers only.

    Args:
        kind: A key of ``READERS``.
        root: Folder of the data set, in any of the layouts that its reader knows.
        split: ``train`` or ``test``; all scenes if None. ``ssdd`` also takes any list in ``ImageSets/Main``,
            ``hrsid`` any file in ``annotations``, ``dota`` its folders (``train``, ``val``), and
            ``air-sarship-2.0``, which has no official split, any list ``<split>.txt`` beside its folders.
        test_ids: Scene ids of the test part, in place of the data set's own split.

    Returns:
        The scenes in natural order of their ids; at least one.

    Raises:
        ConfigError: An unknown kind, split or test id.
        DataError: A folder without scenes; an image or label that is missing, broken, without boxes, or with a
            box outside the image or of no extent.
    """
    files = find_scenes(kind, root, split, test_ids)
    scenes = [load_scene(entry) for entry in files]
    return [scene for scene in scenes if scene is not None]


def find_scenes(
    kind: str,
    root: str | Path,
    split: str | None = None,
    test_ids: Sequence[str] | None = None,
    report: Report = raise_problem,
) -> list[SceneFiles]:
    """Find the scenes that ``read_scenes`` would read, in the same order; the arguments are the same."""
    if kind not in READERS:
        raise ConfigError(
            f"data set kind {kind!r}", found="no such kind", expected=" or ".join(READERS), mend="correct the spelling"
        )
    folder = Path(root)
    if not folder.is_dir():
        raise DataError(folder, found="no such folder", expected=f"the folder of {kind}", mend="check the path")
    ids = None if test_ids is None else [str(name) for name in test_ids]
    found = READERS[kind](folder, split, ids, report)
    return sorted(found, key=lambda files: natural_key(files.scene_id))


def load_scene(files: SceneFiles, report: Report = raise_problem) -> Scene | None:
    """Read a label and its image's header, and check the one against the other.

    Returns:
        The scene, or None where something was reported.
    """
    problems: list[DataError] = []
    label, size = None, None
    try:
        label = files.parse(files.label_path)
    except DataError as error:
        problems.append(error)
    try:
        size = image_size(files.image_path)
    except DataError as error:
        problems.append(error)
    scene = None
    if label is not None and size is not None:
        label = replace(label, boxes=_within(label, *size))
        problems += _check_size(files.image_path, label, *size) + _check_boxes(files.image_path, label, *size)
        scene = Scene(
            files.scene_id, files.image_path, *size, label.boxes, label.ignore, label.pixel_m, optical=files.optical
        )
    for problem in problems:
        report(problem)
    return None if problems else scene


def _within(label: Label, width_px: int, height_px: int) -> Floats:
    """The boxes, of which those that may stick out are cut to the image."""
    cut = clip_to_window(label.boxes, (0, 0, width_px, height_px))
    by_right = label.clip | (np.abs(cut - label.boxes).max(axis=1, initial=0) <= label.slack_px)
    return np.where(by_right[:, None], cut, label.boxes)


def _check_size(image_path: Path, label: Label, width_px: int, height_px: int) -> list[DataError]:
    stated = (label.width_px or width_px, label.height_px or height_px)
    if stated == (width_px, height_px):
        return []
    return [
        DataError(
            label.path,
            found=f"a size of {stated[0]}x{stated[1]}",
            expected=f"{width_px}x{height_px}, the size of {image_path.name}",
            mend="check that image and label belong together, then correct the size in the label",
        )
    ]


def _check_boxes(image_path: Path, label: Label, width_px: int, height_px: int) -> list[DataError]:
    x1, y1, x2, y2 = label.boxes.T
    inverted = ~((x1 < x2) & (y1 < y2))
    outside = (x1 < 0) | (y1 < 0) | (x2 > width_px) | (y2 > height_px)
    problems = []
    for index in np.flatnonzero(inverted | outside):
        corners = ", ".join(f"{value:g}" for value in label.boxes[index])
        if inverted[index]:
            found, expected = "of no or negative extent", "xmin < xmax and ymin < ymax"
        else:
            found = "outside its scene"
            expected = f"boxes within the {width_px}x{height_px} pixels of {image_path.name}"
        problems.append(
            DataError(
                label.path,
                found=f"box {index + 1} at ({corners}) {found}",
                expected=expected,
                mend="correct or remove this box, or check that image and label belong together",
            )
        )
    return problems
