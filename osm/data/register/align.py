"""How the optical scene of a pair comes onto the pixel grid of its SAR scene, and how well."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from osm.data.eight_bit import ReadRule, read_optical, read_sar
from osm.data.register.estimate import estimate_tie_points
from osm.data.register.order import check_order
from osm.data.register.plan import AlignRule, Prepared, Region, fitted
from osm.data.register.resample import Grid, Resampled
from osm.data.register.tie_points import TiePoints
from osm.data.sources import Box, MemorySource, Source, open_optical, open_sar
from osm.errors import DataError
from osm.files import sha256_file

HELD_PX = 32 * 2**20
"""Scenes of up to so many pixels are held whole; larger ones are read window by window."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """A scene pair that is ready to be cut.

    Attributes:
        prepared: What was known beforehand.
        sar: The SAR scene on the grid.
        optical: The optical scene as it is.
        regions: Parts of the grid with their transforms.
        points: All tie points; None where there are none.
    """

    prepared: Prepared
    sar: Source
    optical: Source
    regions: tuple[Region, ...]
    points: TiePoints | None

    def optical_on_grid(self, region: Region) -> Source:
        """The optical scene on the grid, by the transform of a region."""
        if region.transform is None and self.prepared.grid.sar_px == 1.0:
            return self.optical
        return Resampled(self.optical, region.transform, self.prepared.grid)

    def record(self) -> dict[str, Any]:
        """What the report says of it."""
        before = self.prepared
        found: dict[str, Any] = {"method": before.method, "grid": asdict(before.grid), "sar_pixel_m": before.sar_m}
        if before.tie_points is not None:
            found |= {"tie_points": before.tie_points.name, "tie_points_sha256": sha256_file(before.tie_points)}
        found["regions"] = [region.record(before.sar_m) for region in self.regions]
        return found


def align(before: Prepared, rule: AlignRule, reading: ReadRule, *, jobs: int = 2) -> Alignment:
    """Open both scenes, and find tie points where none are given.

    Raises:
        DataError: A scene cannot be read; too few points are found; SAR and optical of the points are swapped.
    """
    pair = before.pair
    if max(np.prod(before.sar_size), np.prod(before.optical_size)) <= HELD_PX:
        sar: Source = MemorySource(read_sar(pair.sar_path, reading))
        optical: Source = MemorySource(read_optical(pair.optical_path, reading))
    else:
        sar, optical = open_sar(pair.sar_path, reading), open_optical(pair.optical_path, reading)
    on_grid = sar if before.grid.sar_px == 1.0 else Resampled(sar, None, before.grid)
    if before.method == "estimate":
        assert before.start is not None
        search = replace(rule.search, tolerance_px=rule.tolerance_px)
        boxes = [_on_sar(region.box, before.grid) for region in before.regions] if rule.region_px else None
        points = estimate_tie_points(
            sar, optical, before.start, where=pair.sar_path, rule=search, regions=boxes, jobs=jobs
        )
        regions = tuple(
            fitted(region, points, rule, pair.sar_path, before.grid, estimated=True) for region in before.regions
        )
        if not any(region.registered for region in regions):
            raise DataError(
                pair.sar_path, found="no sub-region with enough tie points", expected="one at least",
                mend="raise --region-px, or give matched points with --tie-points",
            )  # fmt: skip
        return Alignment(before, on_grid, optical, regions, points)
    if before.given is not None and before.tie_points is not None:
        check_order(sar, optical, before.given, before.regions, rule.transform, before.tie_points)
    return Alignment(before, on_grid, optical, before.regions, before.given)


def _on_sar(box: Box, grid: Grid) -> Box:
    x1, y1, x2, y2 = (int(value * grid.sar_px) for value in box)
    return x1, y1, x2, y2
