"""Registration by what the files say of their place: coordinate systems, transforms, ground control points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.ground import crs_name, has_place, to_ground, to_pixels
from osm.data.raster import RasterInfo
from osm.errors import DataError, EnvironmentProblem

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Georeference:
    """From SAR pixels to the ground, from one coordinate system to the other, and to optical pixels.

    Attributes:
        sar: Header of the SAR scene.
        optical: Header of the optical scene.
        kind: ``georeference``.
    """

    sar: RasterInfo
    optical: RasterInfo
    kind: str = "georeference"

    def __call__(self, points: Floats) -> Floats:
        """Map ``(N, 2)``; NaN where the projection has no answer."""
        ground = to_ground(self.sar, points)
        if self.sar.crs_wkt != self.optical.crs_wkt:
            ground = _project(self.sar, self.optical, ground)
        return to_pixels(self.optical, ground)

    def record(self) -> dict[str, Any]:
        """Both coordinate systems and transforms."""
        sides = (("sar", self.sar), ("optical", self.optical))
        stated = {name: None if info.transform is None else info.transform.tolist() for name, info in sides}
        names = {f"{name}_crs": crs_name(info) for name, info in sides}
        return {"kind": self.kind, **{f"{name}_transform": matrix for name, matrix in stated.items()}, **names}


def georeference(sar: RasterInfo, optical: RasterInfo) -> Georeference:
    """The transform that two georeferenced scenes state.

    Raises:
        DataError: The scenes do not overlap, or one's coordinate system does not project into the other's.
        EnvironmentProblem: pyproj is not installed.
    """
    found = Georeference(sar, optical)
    edge = np.linspace(0, 1, 21)
    some = np.stack(np.meshgrid(edge, edge), axis=2).reshape(-1, 2) * [sar.width_px, sar.height_px]
    places = found(some)
    finite = np.isfinite(places).all(axis=1)
    if not finite.any():
        raise DataError(
            sar.path,
            found=f"places in {crs_name(sar)} that do not project into {crs_name(optical)} of {optical.path}",
            expected="coordinate systems that go over into each other there",
            mend="check the files' coordinate systems with gdalinfo, or register by --tie-points",
        )
    known = places[finite]
    low, high = known.min(axis=0), known.max(axis=0)
    if (high < 0).any() or (low > [optical.width_px, optical.height_px]).any():
        raise DataError(
            sar.path,
            found=f"no overlap with {optical.path}: its place is {_extent(sar)}, the other's {_extent(optical)}",
            expected="two scenes of one place",
            mend="check which files belong together",
        )
    return found


def pixel_m(info: RasterInfo) -> float | None:
    """Side of a pixel in the middle of a scene, in metres on the ground; None where the file does not say.

    Raises:
        DataError: The coordinate system has no answer there.
    """
    if not has_place(info):
        return None
    import pyproj

    middle = np.array([[info.width_px / 2, info.height_px / 2]])
    corners = to_ground(info, middle + np.array([[0, 0], [1, 0], [0, 1]]))
    crs = pyproj.CRS.from_wkt(str(info.crs_wkt))
    geod = crs.get_geod()
    if crs.is_projected:
        unit = float(crs.axis_info[0].unit_conversion_factor or 1.0)
        sides = np.linalg.norm(corners[1:] - corners[0], axis=1) * unit
    elif crs.is_geographic and geod is not None:
        lon, lat = corners[:, 0], corners[:, 1]
        sides = np.asarray(geod.inv([lon[0]] * 2, [lat[0]] * 2, lon[1:], lat[1:])[2])
    else:
        return None
    side = float(np.sqrt(sides[0] * sides[1]))
    return side if np.isfinite(side) and side > 0 else None


def _project(sar: RasterInfo, optical: RasterInfo, ground: Floats) -> Floats:
    try:
        import pyproj
    except ImportError as error:
        raise EnvironmentProblem(
            "pyproj", found="it is not installed", expected="what projects coordinates",
            mend="pip install 'osm-ssd[geo]'",
        ) from error  # fmt: skip
    try:
        change = pyproj.Transformer.from_crs(
            pyproj.CRS.from_wkt(str(sar.crs_wkt)), pyproj.CRS.from_wkt(str(optical.crs_wkt)), always_xy=True
        )
    except pyproj.exceptions.ProjError as error:
        raise DataError(
            sar.path,
            found=f"a coordinate system that does not project into that of {optical.path} ({error})"[:200],
            expected="two coordinate systems of the Earth",
            mend="check them with gdalinfo, or register by --tie-points",
        ) from error
    x, y = change.transform(ground[:, 0], ground[:, 1], errcheck=False)
    found = np.column_stack([x, y]).astype(np.float64)
    found[~np.isfinite(found).all(axis=1)] = np.nan
    return found


def _extent(info: RasterInfo) -> str:
    corners = to_ground(info, np.array([[0.0, 0.0], [info.width_px, info.height_px]]))
    (x1, y1), (x2, y2) = corners.min(axis=0), corners.max(axis=0)
    return f"x {x1:.6g} to {x2:.6g}, y {y1:.6g} to {y2:.6g} ({crs_name(info)})"
