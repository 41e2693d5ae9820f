"""Groups of scenes: inshore and offshore, or any other parts that figures are reported by.

A list says which scene is in which group: ``scene,group`` in CSV, one line a scene. Where a data set brings such lists
itself, they are read from there.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from osm.data import hrsid, ssdd
from osm.data.coco import read_coco
from osm.data.scene import Report, natural_key, raise_problem
from osm.errors import DataError

COAST = ("inshore", "offshore")
"""Groups of the lists that SSDD and HRSID come with."""

_EXPECTED = "a CSV with the columns scene and group, each scene once"


def read_groups(path: str | Path, scene_ids: Collection[str] | None, report: Report = raise_problem) -> dict[str, str]:
    """Read a list of groups.

    Args:
        path: The CSV.
        scene_ids: The scenes that the data set has; None to take any. A scene without a line is in no group, which
            is no fault.
        report: Gets what is wrong; such lines are left out.

    Returns:
        Group by scene.

    Raises:
        DataError: The file cannot be read, or has other columns.
    """
    path = Path(path)
    groups: dict[str, str] = {}
    unknown: list[str] = []
    for number, scene, group in _rows(path):
        if not scene or not group:
            found, expected = f"line {number} without {'scene' if not scene else 'group'}", "both in each line"
        elif groups.get(scene, group) != group:
            found, expected = f"line {number}: {scene} in {group}, and in {groups[scene]}", "each scene in one group"
        elif scene_ids is not None and scene not in scene_ids:
            unknown.append(scene)
            continue
        else:
            groups[scene] = group
            continue
        report(DataError(path, found=found, expected=expected, mend="correct this line"))
    if unknown and scene_ids is not None:
        some = ", ".join(sorted(unknown, key=natural_key)[:5])
        known = ", ".join(sorted(scene_ids, key=natural_key)[:5])
        report(
            DataError(
                path,
                found=f"{len(unknown)} of no scene: {some}{', …' if len(unknown) > 5 else ''}",
                expected=f"ids such as {known}",
                mend="correct these lines, or remove them",
            )
        )
    return groups


def find_groups(kind: str, root: str | Path) -> dict[str, str]:
    """Groups by scene, from the lists that a data set comes with; empty where it has none.

    SSDD: ``ImageSets/Main/*inshore*.txt`` and ``*offshore*.txt``; HRSID: ``annotations/*inshore*.json`` and
    ``*offshore*.json``.

    Raises:
        DataError: A list cannot be read, or a scene is in both groups.
    """
    if kind == "ssdd":
        base = ssdd.base_folder(Path(root))
        files = sorted((base / "ImageSets" / "Main").glob("*.txt"))
    elif kind == "hrsid":
        folder = hrsid.base_folder(Path(root))
        files = sorted((folder / "annotations").glob("*.json")) if folder is not None else []
    else:
        return {}
    groups: dict[str, str] = {}
    for path in files:
        group = next((name for name in COAST if name in path.stem.lower()), None)
        if group is None:
            continue
        for scene in _listed(path):
            if groups.setdefault(scene, group) != group:
                raise DataError(
                    path, found=f"{scene}, which is {groups[scene]} too", expected="one group", mend="correct the lists"
                )
    return groups


def count_groups(groups: dict[str, str]) -> dict[str, int]:
    """Scenes a group, in natural order of the groups."""
    counts = Counter(groups.values())
    return {group: counts[group] for group in sorted(counts, key=natural_key)}


def _listed(path: Path) -> list[str]:
    if path.suffix == ".json":
        return [Path(image.file_name).stem for image in read_coco(path, raise_problem)]
    return [Path(name).stem for name in ssdd.read_list(path)]


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = reader.fieldnames or []
            if not {"scene", "group"} <= set(columns):
                found = f"the columns {', '.join(columns[:5])}" if columns else "an empty file"
                raise DataError(path, found=found, expected=_EXPECTED, mend="write scene,group in its first line")
            for row in reader:
                yield reader.line_num, (row["scene"] or "").strip(), (row["group"] or "").strip()
    except FileNotFoundError as error:
        raise DataError(path, found="no such file", expected=_EXPECTED, mend="check the path") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(path, found=f"no readable CSV ({error})", expected=_EXPECTED, mend="write it anew") from error
