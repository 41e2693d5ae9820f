"""Inshore and offshore by where land is: groups of georeferenced scenes, for data sets that bring no such lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.data.geotiff import read_geotags
from osm.data.ground import Points, place_in
from osm.data.land import AT_MOST_M, LandMask
from osm.errors import DataError

INSHORE, OFFSHORE = "inshore", "offshore"

#: A scene with a ship nearer to land than this is inshore.
NEAR_M = 1000.0


@dataclass(frozen=True)
class CoastGroups:
    """Scenes by where land is.

    Attributes:
        groups: ``inshore`` or ``offshore`` by scene, of those that carry a position.
        distance_m: Distance of the ship nearest to land (of the centre of a scene without ships), infinite beyond
            ``osm.data.land.AT_MOST_M``.
        unplaced: Scenes that carry no position, or in no coordinate system that they name.
        near_m: Where inshore ends.
    """

    groups: dict[str, str]
    distance_m: dict[str, float]
    unplaced: tuple[str, ...]
    near_m: float

    def note(self, mask: str) -> str:
        """What has to be said of them.

        Args:
            mask: Name of the file of land.
        """
        said = (
            f"Inshore: a scene with a ship within {self.near_m:,.0f} m of land, by {mask} (of a scene without ships, "
            "its centre)."
        )
        if self.unplaced:
            all_of = len(self.unplaced) + len(self.groups)
            said += f" {len(self.unplaced)} of {all_of} scenes carry no position and are in no group."
        if self.groups and all(np.isinf(list(self.distance_m.values()))):
            said += f" No scene has land within {AT_MOST_M / 1000:.0f} km there: is it land of another region?"
        return said


def lonlat_of(path: Path, points_px: npt.ArrayLike) -> Points | None:
    """Longitude and latitude of places in an image; None where it carries no position.

    Args:
        path: The image.
        points_px: (N, 2) column and row, continuous (edges, not centres of pixels).

    Raises:
        DataError: The image cannot be read, or its coordinates leave what their system is for.
    """
    tags = read_geotags(path)
    if tags.transform is None or tags.epsg is None:
        return None
    transform = tags.transform
    place = place_in(path, f"EPSG:{tags.epsg}", lambda pixels: pixels @ transform[:, :2].T + transform[:, 2])
    lonlat = place.lonlat(points_px)
    if not np.isfinite(lonlat).all():
        raise DataError(
            path, found=f"a position outside of {place.name}", expected="one inside", mend="correct its tags"
        )
    return lonlat


def coast_groups(
    scenes: Mapping[str, tuple[Path, npt.ArrayLike]], mask: str | Path, near_m: float = NEAR_M
) -> CoastGroups:
    """Group scenes by the distance of their ships from land.

    Args:
        scenes: By id: the image, and (N, 2) places in it that are asked about, one at least.
        mask: A file for ``LandMask.open``; of a large one only what is near the scenes is read.
        near_m: A scene is inshore if one of its places is nearer to land than this.

    Raises:
        DataError: An image or the mask cannot be read.
        EnvironmentProblem: The extra ``geo`` is not installed.
    """
    LandMask.needs()
    placed = {name: lonlat_of(path, points) for name, (path, points) in scenes.items()}
    known = {name: lonlat for name, lonlat in placed.items() if lonlat is not None}
    unplaced = tuple(name for name in scenes if name not in known)
    if not known:
        return CoastGroups({}, {}, unplaced, near_m)
    everywhere = np.concatenate(list(known.values()))
    land = LandMask.open(mask, bounds=_around(everywhere))
    distance = land.distance_m(everywhere)
    ends = np.cumsum([len(points) for points in known.values()])
    nearest = {name: float(own.min()) for name, own in zip(known, np.split(distance, ends[:-1]), strict=True)}
    groups = {name: INSHORE if metres <= near_m else OFFSHORE for name, metres in nearest.items()}
    return CoastGroups(groups, nearest, unplaced, near_m)


def ship_centres(boxes: npt.ArrayLike, width_px: int, height_px: int) -> Points:
    """(N, 2) centres of boxes (N, 4); of an image without any, its own."""
    ships = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return (ships[:, :2] + ships[:, 2:]) / 2 if len(ships) else np.array([[width_px / 2, height_px / 2]])


def _around(lonlat: Points) -> tuple[float, float, float, float] | None:
    """Bounds of all places and as far from them as is looked; None, which is everything, near a pole or ±180°."""
    up = 1.01 * AT_MOST_M / 110_500
    (west, south), (east, north) = lonlat.min(axis=0), lonlat.max(axis=0)
    most = max(abs(south), abs(north)) + up
    if most >= 89:
        return None
    aside = up / float(np.cos(np.radians(most)))
    if west - aside < -180 or east + aside > 180:
        return None
    return float(west - aside), float(south - up), float(east + aside), float(north + up)
