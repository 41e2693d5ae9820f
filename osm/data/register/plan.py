"""How a scene pair is to be registered: what headers and files of tie points say, before any pixel is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from osm.data.ground import has_place
from osm.data.partners import ScenePair, check_alignment
from osm.data.raster import Raster, RasterInfo
from osm.data.register.estimate import SearchRule
from osm.data.register.fit import KINDS, Fit, fit_transform
from osm.data.register.georeference import georeference, pixel_m
from osm.data.register.resample import Grid
from osm.data.register.tie_points import TiePoints, hull_area, read_tie_points
from osm.data.register.transform import Matrix, Transform
from osm.data.sources import Box
from osm.errors import ConfigError, DataError

METHODS = ("auto", "grid", "georeference", "estimate")


@dataclass(frozen=True)
class AlignRule:
    """How scenes are registered.

    Attributes:
        method: For scenes without a file of tie points. ``grid``: both images are one pixel grid. ``georeference``: by
            what the files say of their place. ``estimate``: by tie points that are found from the pixels. ``auto``:
            grid where the headers allow it, else georeference.
        transform: What is fitted to tie points: ``affine``, ``projective`` or ``piecewise``.
        tolerance_px: Largest residual of a tie point that is used, in SAR pixels.
        region_px: Side of the sub-regions that are registered by themselves, in SAR pixels; 0 for whole scenes.
        pixel_m: Side of a pixel of the patches in metres; None for that of the SAR scene.
        sar_pixel_m: Side of a SAR pixel in metres, where the file does not say.
        search: How tie points are looked for.

    Raises:
        ConfigError: A value out of range.
    """

    method: str = "auto"
    transform: str = "affine"
    tolerance_px: float = 3.0
    region_px: int = 0
    pixel_m: float | None = None
    sar_pixel_m: float | None = None
    search: SearchRule = field(default_factory=SearchRule)

    def __post_init__(self) -> None:
        for name, value, known in (("--align", self.method, METHODS), ("--transform", self.transform, KINDS)):
            if value not in known:
                raise ConfigError(name, found=repr(value), expected=" or ".join(known), mend="correct the spelling")
        sizes = (
            ("--pixel-m", self.pixel_m),
            ("--sar-pixel-m", self.sar_pixel_m),
            ("--tolerance-px", self.tolerance_px),
        )
        for name, number in sizes:
            if number is not None and not (np.isfinite(number) and number > 0):
                raise ConfigError(name, found=str(number), expected="a positive number", mend="correct it")
        if self.region_px < 0:
            raise ConfigError(
                "--region-px", found=str(self.region_px), expected="a number of pixels, or 0", mend="correct it"
            )


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the grid with one transform.

    Attributes:
        name: Row and column of the sub-region, such as ``0-1``.
        box: x1, y1, x2, y2 in the grid.
        transform: From SAR to optical pixels; None where both are one grid.
        fit: How it was fitted, where tie points were.
        points: Its tie points.
        registered: Whether there is a transform at all: a sub-region without tie points gives no patches.
        covered: Part of the region that lies between tie points that are used, in [0, 1]; beyond them a transform is
            only a guess.
    """

    name: str
    box: Box
    transform: Transform | None = None
    fit: Fit | None = None
    points: TiePoints | None = None
    registered: bool = True
    covered: float | None = None

    def record(self, sar_m: float | None) -> dict[str, Any]:
        """What the report says of it."""
        found: dict[str, Any] = {"region": self.name, "box_px": list(self.box), "registered": self.registered}
        if self.transform is not None:
            found["transform"] = self.transform.record()
        if self.fit is None or self.points is None:
            return found
        left_out = self.fit.left_out_rmse_px
        figures = {"rmse": self.fit.rmse_px, "left_out_rmse": left_out}
        found |= {"points": len(self.points), "used": int(self.fit.used.sum()), "covered": self.covered}
        for name, value in figures.items():
            found[f"{name}_px"] = None if value is None else round(value, 4)
            found[f"{name}_m"] = None if value is None or sar_m is None else round(value * sar_m, 4)
        columns = zip(
            self.points.sar.tolist(), self.points.optical.tolist(), self.fit.residual_px.tolist(),
            self.fit.left_out_px.tolist(), self.fit.used.tolist(), strict=True,
        )  # fmt: skip
        found["residuals"] = [
            {"sar": sar, "optical": optical, "residual_px": _rounded(off), "left_out_px": _rounded(out), "used": used}
            for sar, optical, off, out, used in columns
        ]
        return found


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the headers and the file of tie points of one scene pair say; no pixel was read.

    Attributes:
        pair: The files.
        method: ``grid``, ``georeference``, ``tie points`` or ``estimate``.
        sar_size: Width and height of the SAR scene.
        optical_size: The same of the optical scene.
        grid: The grid of the patches.
        sar_m: Side of a SAR pixel in metres.
        regions: Parts of the grid; without transforms where they are to be estimated.
        start: What the files say of the place.
        tie_points: The file of tie points.
        given: The points in it.
    """

    pair: ScenePair
    method: str
    sar_size: tuple[int, int]
    optical_size: tuple[int, int]
    grid: Grid
    sar_m: float | None
    regions: tuple[Region, ...]
    start: Transform | None
    tie_points: Path | None = None
    given: TiePoints | None = None


def prepare(pair: ScenePair, rule: AlignRule, tie_points: Path | None) -> Prepared:
    """Choose how a pair is registered, and fit what is given. Only headers and tables are read.

    Raises:
        DataError: Images that are no grid and have no place; scenes that do not overlap; tie points that do not do.
        EnvironmentProblem: A package that this takes is missing.
    """
    problem: DataError | None = None
    method = "tie points" if tie_points is not None else rule.method
    if method in ("auto", "grid"):
        try:
            size = check_alignment(pair)
        except DataError as error:
            if method == "grid":
                raise
            problem, method = error, "georeference"
        else:
            grid, sar_m = _grid(pair, size, rule, None)
            return Prepared(pair, "grid", size, size, grid, sar_m, (_whole(grid, None),), None)
    sar, optical = _header(pair.sar_path), _header(pair.optical_path)
    sizes = ((sar.width_px, sar.height_px), (optical.width_px, optical.height_px))
    placed = has_place(sar) and has_place(optical)
    if method == "georeference" and not placed:
        raise _no_place(pair, sar, problem)
    grid, sar_m = _grid(pair, sizes[0], rule, sar)
    if method == "georeference":
        stated = georeference(sar, optical)
        return Prepared(pair, method, *sizes, grid, sar_m, (_whole(grid, stated),), stated)
    start: Transform = Matrix(np.diag([sizes[1][0] / sizes[0][0], sizes[1][1] / sizes[0][1], 1.0]))
    if method == "estimate":
        if placed:
            start = georeference(sar, optical)
        return Prepared(pair, method, *sizes, grid, sar_m, _regions(grid, rule), start)
    assert tie_points is not None
    points = read_tie_points(tie_points, *sizes)
    _check_names(tie_points, points, _regions(grid, rule))
    regions = tuple(fitted(region, points, rule, tie_points, grid) for region in _regions(grid, rule))
    if not any(region.registered for region in regions):
        raise DataError(tie_points, found="no tie points", expected="points in some region", mend="add points")
    return Prepared(pair, method, *sizes, grid, sar_m, regions, start, tie_points, points)


def _header(path: Path) -> RasterInfo:
    with Raster(path) as raster:
        return raster.info


def _grid(
    pair: ScenePair, size: tuple[int, int], rule: AlignRule, info: RasterInfo | None
) -> tuple[Grid, float | None]:
    """The grid of the patches, and the side of a SAR pixel in metres."""
    own = rule.sar_pixel_m
    if own is None and (info is not None or rule.pixel_m is not None):
        own = pixel_m(_header(pair.sar_path) if info is None else info)
    if rule.pixel_m is None:
        return Grid.of(size), own
    if own is None:
        raise DataError(
            pair.sar_path,
            found="no size of a pixel in metres",
            expected="one, to get pixels of --pixel-m",
            mend="state it with --sar-pixel-m",
        )
    ratio = rule.pixel_m / own
    grid = Grid.of(size, 1.0 if abs(ratio - 1) < 1e-6 else ratio)
    if min(grid.width_px, grid.height_px) < 1:
        raise ConfigError(
            "--pixel-m", found=f"{rule.pixel_m:g} m", expected=f"less than the scene of {own:g} m pixels",
            mend="correct it",
        )  # fmt: skip
    return grid, own


def _whole(grid: Grid, transform: Transform | None) -> Region:
    return Region("0-0", (0, 0, grid.width_px, grid.height_px), transform)


def _regions(grid: Grid, rule: AlignRule) -> tuple[Region, ...]:
    if not rule.region_px:
        return (_whole(grid, None),)
    cuts = []
    for length in (grid.width_px, grid.height_px):
        number = max(1, round(length * grid.sar_px / rule.region_px))
        cuts.append([round(length * step / number) for step in range(number + 1)])
    columns, rows = cuts
    return tuple(
        Region(f"{row}-{column}", (columns[column], rows[row], columns[column + 1], rows[row + 1]))
        for row in range(len(rows) - 1)
        for column in range(len(columns) - 1)
    )


def fitted(
    region: Region, points: TiePoints, rule: AlignRule, where: Path, grid: Grid, *, estimated: bool = False
) -> Region:
    """A region with the transform of its points; unregistered where it has none.

    Args:
        region: The region.
        points: All points of the scene pair.
        rule: How.
        where: What to name in errors.
        grid: The grid of the region.
        estimated: Whether the points were found from the pixels: more of them may be wrong, and a sub-region whose
            points do not agree is left unregistered instead of being an error.
    """
    low, high = np.array(region.box[:2]) * grid.sar_px, np.array(region.box[2:]) * grid.sar_px
    here = ((points.sar >= low) & (points.sar < high)).all(axis=1)
    named = np.array([name != "" for name in points.regions], dtype=bool)
    # a single region takes everything, the points on its far edge among them
    everything = not rule.region_px
    mine = np.array([name == region.name for name in points.regions], dtype=bool)
    own = points.take(np.ones(len(points), dtype=bool) if everything else np.where(named, mine, here))
    if not len(own):
        if everything:
            # let the fit say how many it takes
            fit_transform(own, rule.transform, where=where)
        return replace(region, registered=False)
    share = 0.3 if estimated else 0.5
    bounds = np.array([low, high], dtype=np.float64)
    name = where if everything else f"{where}, sub-region {region.name}"
    try:
        fit = fit_transform(
            own, rule.transform, where=name, tolerance_px=rule.tolerance_px, least_share=share, bounds=bounds
        )
    except DataError:
        if estimated and not everything:
            return replace(region, registered=False, points=own)
        raise
    covered = round(min(1.0, hull_area(own.sar[fit.used]) / float(np.prod(high - low))), 4)
    return replace(region, transform=fit.transform, fit=fit, points=own, covered=covered)


def _check_names(path: Path, points: TiePoints, regions: tuple[Region, ...]) -> None:
    known = {region.name for region in regions}
    strange = sorted({name for name in points.regions if name and name not in known})
    if strange:
        raise DataError(
            path,
            found=f"the region {strange[0][:40]!r}",
            expected=f"one of {', '.join(sorted(known)[:6])}{', …' if len(known) > 6 else ''} (row-column)",
            mend="correct the name, set --region-px, or leave the column empty",
        )


def _no_place(pair: ScenePair, sar: RasterInfo, problem: DataError | None) -> DataError:
    lacking = pair.optical_path if has_place(sar) else pair.sar_path
    more = "or give matched points with --tie-points, or find them with --align estimate"
    if problem is not None:
        return DataError(problem.where, found=problem.found, expected=problem.expected, mend=f"{problem.mend}; {more}")
    return DataError(
        lacking,
        found="no place on the ground (no CRS with a transform, or with control points that are not in one line)",
        expected="a georeferenced scene", mend=more.removeprefix("or "),
    )  # fmt: skip


def _rounded(vector: list[float]) -> list[float] | None:
    return [round(value, 4) for value in vector] if np.isfinite(vector).all() else None
