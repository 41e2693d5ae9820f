"""Look at every file of labelled scenes: labels, pixels, lists and groups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from osm.data.groups import count_groups, find_groups, read_groups
from osm.data.images import read_image, to_gray
from osm.data.parallel import Progress, in_parallel
from osm.data.scene import Scene, SceneFiles
from osm.data.scenes import find_scenes, known_splits, load_scene
from osm.errors import DataError, OSMError


@dataclass(frozen=True, eq=False)
class _Seen:
    scene: Scene | None
    pixels: str | None
    problems: list[DataError]


def verify_scenes(
    kind: str,
    path: Path,
    counts: dict[str, int],
    problems: list[DataError],
    progress: Progress | None,
    groups: Path | None = None,
) -> None:
    """Read all labels and all pixels, count them and list what is wrong.

    Args:
        kind: A key of ``osm.data.scenes.READERS``.
        path: The data set's folder.
        counts: Gets the numbers, by what they count.
        problems: Gets what is wrong.
        progress: Called now and then.
        groups: A list of groups to check against the scenes, in place of the data set's own.
    """
    files = find_scenes(kind, path, report=problems.append)
    counts.update({"scenes": len(files), "ships": 0, "boxes to ignore": 0, "scenes with a problem": 0})
    scenes: list[Scene] = []
    by_pixels: dict[str, str] = {}
    copies: list[tuple[SceneFiles, str]] = []
    without = 0
    for entry, seen in zip(files, in_parallel(_look, files, progress), strict=True):
        if seen.pixels is not None and by_pixels.setdefault(seen.pixels, entry.scene_id) != entry.scene_id:
            copies.append((entry, by_pixels[seen.pixels]))
        counts["scenes with a problem"] += bool(seen.problems)
        problems += seen.problems
        if seen.scene is not None:
            scenes.append(seen.scene)
            ignored = int(seen.scene.ignore.sum())
            counts["ships"] += len(seen.scene.boxes) - ignored
            counts["boxes to ignore"] += ignored
            without += len(seen.scene.boxes) == ignored
    counts.update({"scenes without a ship": without, "copies of another scene": len(copies)})
    _count_sizes(scenes, counts)
    members = _count_splits(kind, path, counts, problems)
    # SSDD itself has copies; within one part they do no harm that a reader must hear of as a fault
    problems += [_duplicate(entry, other) for entry, other in copies if _apart(entry.scene_id, other, members)]
    ids = {entry.scene_id for entry in files}
    try:
        named = find_groups(kind, path) if groups is None else read_groups(groups, ids, problems.append)
        counts.update({f"scenes of the group {name}": count for name, count in count_groups(named).items()})
        if groups is not None:
            counts["scenes of no group"] = len(ids - named.keys())
    except DataError as problem:
        problems.append(problem)


def _look(entry: SceneFiles) -> _Seen:
    found: list[DataError] = []
    scene = load_scene(entry, found.append)
    if scene is not None:
        found += _twice(scene, entry.label_path)
    digest = None
    try:
        image = read_image(entry.image_path)
        if not entry.optical:
            image = to_gray(image, entry.image_path)
        elif image.ndim != 3 or image.shape[2] < 3:
            image = to_gray(image, entry.image_path)  # DOTA has a few grey ones
        digest = hashlib.sha256(f"{image.shape} {image.dtype}".encode() + np.ascontiguousarray(image).data).hexdigest()
    except DataError as problem:
        found.append(problem)
    return _Seen(scene, digest, found)


def _twice(scene: Scene, label_path: Path) -> Iterable[DataError]:
    boxes, often = np.unique(scene.boxes, axis=0, return_counts=True)
    for box in boxes[often > 1]:
        yield DataError(
            label_path,
            found=f"a box at ({', '.join(f'{value:g}' for value in box)}) more than once, of scene {scene.scene_id}",
            expected="each ship once",
            mend="remove the others: a detector that finds the ship would miss its double",
        )


def _apart(first: str, second: str, members: dict[str, set[str]]) -> bool:
    """Whether two scenes may be on either side: no part that trains or judges has both."""
    return not any({first, second} <= members.get(part, set()) for part in ("train", "val", "test"))


def _duplicate(entry: SceneFiles, other: str) -> DataError:
    return DataError(
        entry.image_path,
        found=f"the same pixels as scene {other}",
        expected="each scene once",
        mend="remove one of the two, or move it to the part of the other",
    )


def _count_sizes(scenes: list[Scene], counts: dict[str, int]) -> None:
    for side in ("width", "height"):
        values = [getattr(scene, f"{side}_px") for scene in scenes]
        if not values:
            continue
        if min(values) == max(values):
            counts[f"{side} in pixels"] = min(values)
        else:
            counts.update({f"least {side} in pixels": min(values), f"most {side} in pixels": max(values)})


def _count_splits(kind: str, path: Path, counts: dict[str, int], problems: list[DataError]) -> dict[str, set[str]]:
    members: dict[str, set[str]] = {}
    for split in known_splits(kind, path):
        found: list[DataError] = []
        try:
            members[split] = {files.scene_id for files in find_scenes(kind, path, split, report=found.append)}
            counts[f"scenes of the split {split}"] = len(members[split])
        except OSMError as error:
            found.append(DataError(error.where, found=error.found, expected=error.expected, mend=error.mend))
        problems += found
    for name, scenes in members.items():
        # lists of groups, or of all, share scenes by right: what trains and what judges must not
        for other in ("val", "test"):
            both = sorted(scenes & members.get(other, set()))
            if name == "train" and both:
                problems.append(
                    DataError(
                        path,
                        found=f"{len(both)} scenes in {name} and in {other} ({both[0]} first)",
                        expected="parts without a common scene",
                        mend="correct the split files",
                    )
                )
    return members
