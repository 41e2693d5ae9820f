"""Ships as tables and maps: GeoJSON, CSV and GeoPackage, of one scene or of several."""

from __future__ import annotations

import csv
import json
import math
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from osm.data.ground import Place, Points
from osm.detection.search.ships import Ships
from osm.errors import DataError
from osm.files import atomic_path, write_text

#: Said wherever boxes are in pixels.
IN_PIXELS = "the scene has no coordinate system: places are in pixels (column, row), not in degrees"
COLUMNS = (
    "scene", "ship", "score", "lon", "lat", "x", "y", "crs", "length_m", "width_m", "heading_deg", "acquired",
    "x1_px", "y1_px", "x2_px", "y2_px",
)  # fmt: skip


def rows(ships: Ships) -> list[dict[str, Any]]:
    """One row a ship, by ``COLUMNS``; what is not known is None."""
    found = []
    digits = _digits(ships.crs)
    for i in range(len(ships)):
        x1, y1, x2, y2 = (round(float(value), 3) for value in ships.boxes_px[i])
        found.append(
            {
                "scene": ships.scene_id,
                "ship": i + 1,
                "score": round(float(ships.scores[i]), 6),
                "lon": _at(ships.lonlat, (i, 0), 7),
                "lat": _at(ships.lonlat, (i, 1), 7),
                "x": _at(ships.projected, (i, 0), digits),
                "y": _at(ships.projected, (i, 1), digits),
                "crs": ships.crs,
                "length_m": _at(ships.length_m, i, 1),
                "width_m": _at(ships.width_m, i, 1),
                "heading_deg": _at(ships.heading_deg, i, 1),
                "acquired": ships.acquired,
                "x1_px": x1,
                "y1_px": y1,
                "x2_px": x2,
                "y2_px": y2,
            }
        )
    return found


def outlines(ships: Ships, place: Place | None) -> Points | None:
    """The boxes on the ground: (N, 4, 2) longitude and latitude, anticlockwise as RFC 7946 wants; None without."""
    if place is None:
        return None
    x1, y1, x2, y2 = ships.boxes_px.astype(np.float64).T
    corners = np.stack([np.stack(c, axis=-1) for c in ((x1, y1), (x1, y2), (x2, y2), (x2, y1))], axis=1)
    ring = place.lonlat(corners.reshape(-1, 2)).reshape(-1, 4, 2)
    # a ring across the 180th meridian goes on beyond it: _polygon cuts it there
    across = np.ptp(ring[..., 0], axis=1, keepdims=True) > 180
    ring[..., 0] += np.where(across & (ring[..., 0] < 0), 360, 0)
    following = np.roll(ring, -1, axis=1)
    turn = (ring[..., 0] * following[..., 1] - following[..., 0] * ring[..., 1]).sum(axis=1)
    ring[turn < 0] = ring[turn < 0][:, ::-1]
    return np.asarray(ring)


def write_geojson(path: Path, scenes: Sequence[tuple[Ships, Points | None]]) -> None:
    """Write RFC 7946 GeoJSON: a polygon a ship; without a place a feature whose geometry is null.

    Args:
        path: The file.
        scenes: Ships and their outlines.
    """
    features = []
    for ships, rings in scenes:
        for number, row in enumerate(rows(ships)):
            geometry = None if rings is None else _polygon(rings[number])
            features.append({"type": "Feature", "geometry": geometry, "properties": row})
    record: dict[str, Any] = {"type": "FeatureCollection"}
    if any(rings is None for _, rings in scenes):
        record["note"] = IN_PIXELS
    record["searched"] = [
        {
            "scene": ships.scene_id,
            "image": ships.image_path,
            "acquired": ships.acquired,
            "weights": ships.weights,
            "weights_sha256": ships.weights_sha256,
            "radiometry": ships.radiometry,
        }
        for ships, _ in scenes
    ]
    # one feature a line: readable, and a tenth of the size of an indented one
    head = json.dumps(record, allow_nan=False)[:-1]
    body = ",\n".join(json.dumps(feature, allow_nan=False) for feature in features)
    write_text(path, f'{head}, "features": [\n{body}\n]}}\n')


def write_csv(path: Path, scenes: Sequence[Ships]) -> None:
    """Write one line a ship; a cell is empty where nothing is known."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        table.writeheader()
        for ships in scenes:
            table.writerows(rows(ships))


def write_gpkg(path: Path, scenes: Sequence[tuple[Ships, Points | None]]) -> None:
    """Write a GeoPackage: layer ``ships`` in WGS 84, and ``ships_px`` for scenes without a place, in pixels.

    Raises:
        DataError: GDAL cannot write it.
    """
    import geopandas
    import pyogrio
    import shapely

    layers: dict[str, tuple[list[Any], list[Any]]] = {}
    for ships, rings in scenes:
        table, shapes = layers.setdefault("ships" if rings is not None else "ships_px", ([], []))
        table.extend(rows(ships))
        if rings is None:
            shapes.extend(shapely.box(*ships.boxes_px.astype(float).T))
        else:
            shapes.extend(shapely.from_geojson(json.dumps(_polygon(ring))) for ring in rings)
    with atomic_path(path) as temporary:
        temporary.unlink()  # GDAL makes a database of its own, and takes an empty file for a broken one
        try:
            for name, (table, shapes) in layers.items():
                frame = geopandas.GeoDataFrame(
                    {column: [row[column] for row in table] for column in COLUMNS},
                    geometry=shapes,
                    crs="EPSG:4326" if name == "ships" else None,
                )
                frame = frame.astype(_TYPES)
                kind = "Unknown" if name == "ships" else "Polygon"
                with warnings.catch_warnings():
                    # pixels have no coordinate system, and shall have none
                    warnings.filterwarnings("ignore", message="'crs' was not provided")
                    pyogrio.write_dataframe(frame, temporary, layer=name, driver="GPKG", geometry_type=kind)
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as error:
            for rest in temporary.parent.glob(f"{temporary.name}-*"):
                rest.unlink(missing_ok=True)
            raise DataError(
                path,
                found=f"a GeoPackage that cannot be written ({' '.join(str(error).split())[:160]})",
                expected="room on the disk, and a folder that can be written to",
                mend="make room and run it again",
            ) from error


_TEXTS = ("scene", "crs", "acquired")
_TYPES = {name: "string" if name in _TEXTS else "float64" for name in COLUMNS if name != "ship"}


def _polygon(ring: Points) -> dict[str, Any]:
    closed = [*ring.tolist(), ring[0].tolist()]
    if ring[:, 0].max() <= 180 and ring[:, 0].min() >= -180:
        return {"type": "Polygon", "coordinates": [[[round(v, 7) for v in point] for point in closed]]}
    import shapely

    whole, parts = shapely.Polygon(closed), []
    for west, turn in ((-180, 0), (180, -360), (-540, 360)):
        part = shapely.intersection(whole, shapely.box(west, -90, west + 360, 90))
        if part.area > 0:
            moved = shapely.geometry.polygon.orient(shapely.transform(part, partial(np.add, [turn, 0])))
            parts.append([[[round(v, 7) for v in point] for point in moved.exterior.coords]])
    return {"type": "MultiPolygon", "coordinates": parts}


def _digits(crs: str | None) -> int:
    """Decimals of a coordinate that hold a centimetre, whatever its unit."""
    if crs is None:
        return 2
    import pyproj

    system = pyproj.CRS.from_user_input(crs)
    if system.is_geographic:
        return 7
    unit_m = system.axis_info[0].unit_conversion_factor if system.axis_info else 1.0
    return 2 + max(0, round(math.log10(unit_m or 1.0)))


def _at(values: Points | None, index: Any, digits: int) -> float | None:
    if values is None:
        return None
    value = float(values[index])
    return round(value, digits) if np.isfinite(value) else None
