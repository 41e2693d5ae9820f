"""From detections of a scene to ships: placed, measured, and those on land removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from osm.data.raster import RasterInfo
from osm.detection.search.place import Place, acquired, measure
from osm.detection.search.search import Detections
from osm.detection.search.ships import Ships
from osm.errors import DataError

if TYPE_CHECKING:
    from osm.data.land import LandMask


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
