"""Land: whether a place lies on it, and how far it is from the coast; from any vector file of polygons.

Needs the extra ``geo``. Everything is asked in longitude and latitude (WGS 84); the file may be in any coordinate
system that it names.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.pointers import aside, refuse_pointers
from osm.errors import DataError, EnvironmentProblem

Points = npt.NDArray[np.float64]

#: Beyond this a distance is not looked for: nothing there is called near.
AT_MOST_M = 200_000.0

_WGS84 = 4326
_PIECE = 64  # edges of coast that are one entry of the index
_EDGE_DEG, _EDGE_M = 0.01, 1000.0  # longer ones are divided: straight in one coordinate system is bent in another
_FIRST_M = 5_000.0
_DEGREE_M = 110_500.0  # of latitude, at the shortest
_EXPECTED = "a vector file of land polygons that GDAL reads (GeoPackage, shapefile, GeoJSON, …)"


class LandMask:
    """Polygons of land under a spatial index.

    Args:
        polygons: Shapely polygons and multipolygons in longitude, latitude; longitudes may go beyond ±180.
    """

    def __init__(self, polygons: Any) -> None:
        import shapely

        parts = shapely.get_parts(np.asarray(polygons, dtype=object).ravel())
        # what mends an invalid polygon may leave lines behind, which hold no land
        parts = shapely.get_parts(np.where(shapely.is_valid(parts), parts, shapely.make_valid(parts)))
        self._polygons = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
        self._land = shapely.STRtree(self._polygons)
        self._coast = shapely.STRtree(_pieces(self._polygons))

    @staticmethod
    def needs() -> None:
        """Make sure that the packages are there.

        Raises:
            EnvironmentProblem: The extra ``geo`` is not installed.
        """
        for name in ("pyogrio", "pyproj", "shapely"):
            if find_spec(name) is None:
                raise EnvironmentProblem(
                    name, found="not installed", expected="the extra geo", mend="pip install 'osm-ssd[geo]'"
                )

    @classmethod
    def open(cls, path: str | Path, bounds: tuple[float, float, float, float] | None = None) -> LandMask:
        """Read a file of land polygons; other shapes in it are passed over.

        Args:
            path: The file.
            bounds: West, south, east, north in degrees: of a large file, only what touches this is read.

        Raises:
            DataError: The file is missing, cannot be read, names no coordinate system, or holds no polygon.
            EnvironmentProblem: The extra ``geo`` is not installed.
        """
        path = Path(path)
        if not path.exists():
            raise DataError(path, found="no such file", expected=_EXPECTED, mend="check the path")
        cls.needs()
        refuse_pointers(path)
        import pyogrio
        import pyproj
        import shapely

        # a GML's schema is not fetched from wherever the file says
        pyogrio.set_gdal_config_options({"GML_DOWNLOAD_SCHEMA": False, "CPL_VSIL_CURL_ALLOWED_FILENAME": "none"})
        try:
            with aside(path) as readable:
                layers = pyogrio.list_layers(readable)
                if len(layers) > 1:
                    names = ", ".join(map(str, layers[:5, 0]))
                    raise DataError(
                        path,
                        found=f"{len(layers)} layers ({names})",
                        expected="one",
                        mend="write the land to its own file",
                    )
                stated = pyogrio.read_info(readable)["crs"]
                system = pyproj.CRS.from_user_input(stated) if stated else None
                if system is None:
                    raise DataError(
                        path,
                        found="no coordinate system",
                        expected="a file that names one",
                        mend="name it, for example with ogr2ogr -a_srs EPSG:4326",
                    )
                box = None if bounds is None else _bounds_in(system, bounds)
                _, _, found, _ = pyogrio.raw.read(readable, columns=[], bbox=box, force_2d=True)
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyproj.exceptions.CRSError) as error:
            raise DataError(
                path, found=f"nothing readable ({_said(error, path)})", expected=_EXPECTED, mend="check it"
            ) from error
        shapes = shapely.get_parts(shapely.from_wkb(found, on_invalid="ignore"))
        areas = shapes[np.isin(shapely.get_type_id(shapes), (3, 6))]
        if not len(areas) and (bounds is None or len(shapes)):
            kinds = sorted({str(shape.geom_type) for shape in shapes if shape is not None})
            raise DataError(
                path,
                found=f"no polygon, but {' and '.join(kinds)}" if kinds else "no shape",
                expected=_EXPECTED,
                mend="give areas of land; a coast that is drawn as lines does not say on which side land is",
            )
        return cls(_geographic(areas, system, path))

    def __len__(self) -> int:
        return len(self._polygons)

    def contains(self, lonlat: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether points lie on land or on its edge.

        Args:
            lonlat: (N, 2) degrees, WGS 84.

        Returns:
            (N,) bool.

        Raises:
            ValueError: A point that is none on the globe.
        """
        import shapely

        points = _checked(lonlat)
        inside = np.zeros(len(points), dtype=bool)
        for turn in (0.0, 360.0, -360.0):
            moved = points + np.array([turn, 0.0])
            which, polygon = self._land.query(shapely.points(moved))
            for index in np.unique(polygon):
                # a continent has a million vertices: prepared, it answers by an index of its own
                shape = self._polygons[index]
                shapely.prepare(shape)
                own = which[polygon == index]
                inside[own] |= shapely.intersects_xy(shape, moved[own])
        return inside

    def distance_m(self, lonlat: npt.ArrayLike, at_most_m: float = AT_MOST_M) -> Points:
        """Distance of points from land in metres, within 0.1 %.

        Measured in azimuthal equidistant projections of WGS 84, one for each degree in which there are points.

        Args:
            lonlat: (N, 2) degrees, WGS 84.
            at_most_m: How far to look.

        Returns:
            (N,) metres: 0 on land, infinity where there is none within ``at_most_m``.

        Raises:
            ValueError: A point that is none on the globe.
        """
        points = _checked(lonlat)
        found = np.where(self.contains(points), 0.0, np.inf)
        at_sea = np.flatnonzero(found > 0)
        if len(at_sea):
            _, cell = np.unique(np.floor(points[at_sea]), axis=0, return_inverse=True)
            cell = cell.reshape(-1)
            for number in range(int(cell.max()) + 1):
                own = at_sea[cell == number]
                found[own] = self._from_coast(points[own], at_most_m)
        return found

    def _from_coast(self, points: Points, at_most_m: float) -> Points:
        """The same for points of one degree, all at sea: what is near is looked at first."""
        import shapely

        forward = _around(points.mean(axis=0))
        ground = shapely.points(forward(points))
        found = np.full(len(points), np.inf)
        reach_m = min(_FIRST_M, at_most_m)
        while True:
            left = np.flatnonzero(np.isinf(found))
            pieces = self._near(points[left], reach_m)
            if len(pieces):
                coast = shapely.STRtree(shapely.transform(pieces, forward))
                which, metres = coast.query_nearest(ground[left], return_distance=True, all_matches=False)
                # farther than looked for, another piece could be nearer
                sure = metres <= reach_m
                found[left[which[0][sure]]] = metres[sure]
            if reach_m >= at_most_m or not np.isinf(found).any():
                return found
            reach_m = min(4 * reach_m, at_most_m)

    def _near(self, points: Points, reach_m: float) -> npt.NDArray[np.object_]:
        """Pieces of coast that may lie within reach of a point, at longitudes next to those of the points."""
        import shapely

        west, south = points.min(axis=0)
        east, north = points.max(axis=0)
        up = 1.01 * reach_m / _DEGREE_M
        most = min(max(abs(south), abs(north)) + up, 90.0)
        aside = min(up / max(np.cos(np.radians(most)), 1e-9), 180.0)
        found = []
        for turn in (0.0, 360.0, -360.0):
            box = shapely.box(west - aside + turn, south - up, east + aside + turn, north + up)
            found.append(self._coast.geometries[self._coast.query(box)])
        return np.concatenate(found)


def _said(error: Exception, path: Path) -> str:
    """What GDAL says, without advice on GDAL's own commands."""
    text = str(error).partition("; It might help")[0]
    return "a file of no such format" if "not recognized as being" in text else text.replace(str(path), "it")[:160]


def _pieces(polygons: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """The rings of polygons as short lines, so that an index sees where a long coast is near."""
    import shapely

    rings = shapely.segmentize(shapely.get_rings(polygons), _EDGE_DEG)
    if not len(rings):
        return np.empty(0, dtype=object)
    corners = shapely.get_coordinates(rings)
    counts = shapely.get_num_coordinates(rings)
    ends = np.cumsum(counts)
    starts = [np.arange(end - count, end - 1, _PIECE) for end, count in zip(ends, counts, strict=True)]
    first = np.concatenate(starts)
    last = np.minimum(first + _PIECE, np.repeat(ends - 1, [len(own) for own in starts]))
    lengths = last - first + 1
    before = np.cumsum(lengths) - lengths
    place = np.arange(lengths.sum()) - np.repeat(before - first, lengths)
    made: npt.NDArray[np.object_] = shapely.linestrings(
        corners[place], indices=np.repeat(np.arange(len(first)), lengths)
    )
    return made


def _around(centre: Points) -> Any:
    """What brings (N, 2) degrees to metres around a place."""
    import pyproj

    local = pyproj.CRS.from_proj4(f"+proj=aeqd +lon_0={centre[0]} +lat_0={centre[1]} +datum=WGS84 +units=m")
    change = pyproj.Transformer.from_crs(pyproj.CRS.from_epsg(_WGS84), local, always_xy=True)

    return partial(transformed, change)


def transformed(change: Any, points: Points) -> Points:
    """(N, 2) points through a ``pyproj.Transformer``."""
    # pyproj takes an array of one for a number, and numpy warns
    given = points.T if len(points) > 1 else points.T.tolist()
    return np.column_stack(change.transform(*given))


def _geographic(shapes: npt.NDArray[np.object_], system: Any, path: Path) -> npt.NDArray[np.object_]:
    """Shapes in longitude and latitude of WGS 84.

    Raises:
        DataError: They leave what their coordinate system is for, or cross the 180th meridian in another system.
    """
    import pyproj
    import shapely

    if system.is_projected:
        metres = system.axis_info[0].unit_conversion_factor or 1.0
        shapes = shapely.segmentize(shapes, _EDGE_M / metres)
    change = pyproj.Transformer.from_crs(system, pyproj.CRS.from_epsg(_WGS84), always_xy=True)
    moved: npt.NDArray[np.object_] = shapely.transform(shapes, partial(transformed, change))
    corners = shapely.get_coordinates(moved)
    if not np.isfinite(corners).all() or (np.abs(corners[:, 1]) > 90.000001).any():
        raise DataError(
            path,
            found=f"coordinates outside of what {system.name} is for",
            expected="coordinates of the system that the file names",
            mend="correct the system of the file, for example with ogr2ogr -a_srs",
        )
    if system.is_projected:
        lines = shapely.get_rings(moved)
        if any(np.ptp(shapely.get_coordinates(line)[:, 0]) > 180 for line in lines):
            raise DataError(
                path,
                found=f"a polygon across the 180th meridian in {system.name}",
                expected="polygons that are cut there",
                mend="run ogr2ogr -t_srs EPSG:4326 -wrapdateline on it",
            )
    return moved


def _bounds_in(system: Any, bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    import pyproj

    change = pyproj.Transformer.from_crs(pyproj.CRS.from_epsg(_WGS84), system, always_xy=True)
    west, south, east, north = change.transform_bounds(*bounds, densify_pts=51)
    return west, south, east, north


def _checked(lonlat: npt.ArrayLike) -> Points:
    points = np.asarray(lonlat, dtype=np.float64).reshape(-1, 2).copy()
    if not np.isfinite(points).all() or (np.abs(points[:, 1]) > 90).any():
        raise ValueError("points that are none on the globe: degrees of longitude and latitude, in this order")
    points[:, 0] = (points[:, 0] + 180) % 360 - 180
    return points
