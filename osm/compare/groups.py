"""Groups of test scenes that a comparison was told of: a list, or a land mask; kept in its folder for the next report.

Without any, the lists that the data set comes with are taken (``plan.json`` has them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osm.data.coast import NEAR_M, coast_groups, ship_centres
from osm.data.groups import read_groups
from osm.detection.predictions import ScenePrediction
from osm.errors import ConfigError, DataError
from osm.files import check_seal, read_json, write_sealed

GROUPS = "groups.json"


@dataclass(frozen=True)
class Grouping:
    """Groups by scene, and what has to be said of them."""

    groups: dict[str, str]
    note: str


def make_grouping(
    scenes: Mapping[str, tuple[Path, Any]], *, listed: Path | None, land_mask: Path | None, near_m: float = NEAR_M
) -> Grouping | None:
    """Group test scenes as the command line says.

    Args:
        scenes: By id: the image, and the centres of its ships.
        listed: CSV with the columns scene and group.
        land_mask: File of land polygons.
        near_m: Where inshore ends, with a land mask.

    Returns:
        None where nothing was said.

    Raises:
        ConfigError: Both were given.
        DataError: A file is broken, the list names none of the scenes, or no scene carries a position.
        EnvironmentProblem: A land mask, without the extra ``geo``.
    """
    if listed is not None and land_mask is not None:
        raise ConfigError(
            "--groups", found="--land-mask beside it", expected="one of the two", mend="leave one of them out"
        )
    if listed is not None:
        groups = read_groups(listed, None)
        if scenes and not set(scenes) & set(groups):
            some = ", ".join(sorted(scenes)[:5])
            raise DataError(listed, found="none of the test scenes", expected=f"ids such as {some}", mend="correct it")
        return Grouping(groups, f"Groups of {listed.name}.")
    if land_mask is None:
        return None
    found = coast_groups(scenes, land_mask, near_m)
    if not found.groups:
        raise DataError(
            land_mask,
            found=f"{len(scenes)} test scenes, none of which carries a position",
            expected="GeoTIFFs that name their coordinate system",
            mend="give a list of inshore and offshore scenes as --groups in its place",
        )
    return Grouping(found.groups, found.note(land_mask.name))


def places_of(scenes: Iterable[ScenePrediction]) -> dict[str, tuple[Path, Any]]:
    """What ``make_grouping`` asks of scenes, from a cell's predictions."""
    return {
        scene.scene_id: (
            Path(scene.image_path),
            ship_centres(scene.truth[~scene.ignore], scene.width_px, scene.height_px),
        )
        for scene in scenes
    }


def remember(work_dir: Path, grouping: Grouping) -> None:
    """Keep groups beside a comparison; its next reports have them without being told."""
    write_sealed(work_dir / GROUPS, {"groups": grouping.groups, "note": grouping.note})


def recall(work_dir: Path) -> Grouping | None:
    """The groups that a comparison was told of last; None if it never was.

    Raises:
        DataError: The file is damaged.
    """
    path = work_dir / GROUPS
    if not path.is_file():
        return None
    values = read_json(path)
    check_seal(path, values)
    return Grouping(values["groups"], values["note"])
