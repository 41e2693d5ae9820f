"""From detections of a scene to ships: placed, measured, and those on land removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from osm.data.ground import Place, Points
from osm.data.raster import Raster, RasterInfo
from osm.detection.search.inputs import SceneFile
from osm.detection.search.order import Order
from osm.detection.search.place import acquired, find_place, measure
from osm.detection.search.runtime import Runtime
from osm.detection.search.search import Detections, Progress, search_scene
from osm.detection.search.ships import Ships
from osm.detection.search.tables import IN_PIXELS, outlines
from osm.errors import DataError

if TYPE_CHECKING:
    from osm.data.land import LandMask


@dataclass(frozen=True, eq=False)
class Placed:
    """One scene's ships with what only the scene itself could tell.

    Attributes:
        ships: The ships.
        rings: Their outlines on the ground, (N, 4, 2); None without a place.
        found: The detections, with the overview.
        notes: What a person has to know.
    """

    ships: Ships
    rings: Points | None
    found: Detections
    notes: tuple[str, ...]


def search_and_place(
    runtime: Runtime, land: LandMask | None, order: Order, scene: SceneFile, progress: Progress
) -> Placed:
    """Search one scene; nothing is written.

    Raises:
        DataError: The scene cannot be read, or its coordinate system leads nowhere; the latter before the search.
    """
    with Raster(scene.path) as raster:
        info = raster.info
    place = find_place(info) if order.position else None
    if land is not None:
        need_place(info, place)
    found = search_scene(runtime, scene.path, order.search, progress)
    ships = place_ships(
        found, place, scene_id=scene.scene_id, weights=order.weights, weights_sha256=order.weights_sha256
    )
    notes = list(found.levels.notes)
    if place is None:
        notes.append(IN_PIXELS if order.position else "places are in pixels, as asked")
    if land is not None:
        before = len(ships)
        ships = remove_land(ships, land)
        notes.append(f"{before - len(ships)} of {before} detections lay on land")
    return Placed(ships, outlines(ships, place), found, tuple(notes))


def place_ships(found: Detections, place: Place | None, *, scene_id: str, weights: Path, weights_sha256: str) -> Ships:
    """Put what was found in a scene on the ground.

    Args:
        found: The detections.
        place: Of the scene; None if it has none, or none is wanted.
        scene_id: Name of the scene.
        weights: The file that the runtime was opened from.
        weights_sha256: Its SHA-256.
    """
    info, boxes = found.info, found.boxes
    centres = (boxes[:, :2].astype(np.float64) + boxes[:, 2:]) / 2
    projected = lonlat = length_m = width_m = heading = None
    if place is not None:
        projected = place.to_ground(centres)
        lonlat = place.to_lonlat(projected)
        length_m, width_m, heading = measure(place, boxes)
    return Ships(
        scene_id=scene_id,
        image_path=str(info.path),
        width_px=info.width_px,
        height_px=info.height_px,
        boxes_px=boxes,
        scores=found.scores,
        lonlat=lonlat,
        projected=projected,
        crs=place.crs if place is not None else None,
        length_m=length_m,
        width_m=width_m,
        heading_deg=heading,
        acquired=acquired(info.path, info.tags),
        weights=weights.name,
        weights_sha256=weights_sha256,
        radiometry=str(found.levels),
    )


def need_place(info: RasterInfo, place: Place | None) -> None:
    """Make sure that a scene has a place, which a land mask needs.

    Raises:
        DataError: It has none.
    """
    if place is None:
        raise DataError(
            info.path,
            found="no coordinate system",
            expected="a scene with a place on the ground, for --land-mask",
            mend="leave the land mask out, or give the scene its place with gdal_edit",
        )


def remove_land(ships: Ships, land: LandMask) -> Ships:
    """The ships whose centre is not on land."""
    if ships.lonlat is None or not len(ships):
        return ships
    return ships.only(~land.contains(ships.lonlat))
