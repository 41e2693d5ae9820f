"""Whether SAR and optical columns of tie points were exchanged: the pixels tell, where the sizes do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from osm.data.register.fit import fit_transform
from osm.data.register.resample import Grid, Resampled
from osm.data.register.structure import likeness, structure
from osm.data.register.tie_points import TiePoints, inside
from osm.data.register.transform import Transform
from osm.data.sources import Source
from osm.errors import DataError

if TYPE_CHECKING:
    from osm.data.register.plan import Region

_WINDOWS = 16
_SIDE_PX = 128
_LEAST_BETTER = 0.03
_LEAST_APART_PX = 3.0


def check_order(
    sar: Source,
    optical: Source,
    points: TiePoints,
    regions: Sequence[Region],
    kind: str,
    where: Path,
) -> None:
    """Compare what the tie points say with what they would say the other way round.

    Around some points both scenes are laid upon each other by either transform. An inverse fits its points as well as
    the transform does; only the images tell them apart.

    Args:
        sar: The SAR scene.
        optical: The optical scene.
        points: The points.
        regions: Their transforms.
        kind: What is fitted the other way round.
        where: The file of tie points.

    Raises:
        DataError: The other way round fits much better.
    """
    turned = points.swapped()
    if not (inside(turned.sar, sar.size_px).all() and inside(turned.optical, optical.size_px).all()):
        return
    if len(regions) > 1:
        return
    region = regions[0]
    if region.transform is None:
        return
    try:
        other = fit_transform(turned, kind, where=where, tolerance_px=5.0, least_share=0.3).transform
    except DataError:
        return
    chosen = np.linspace(0, len(points) - 1, min(len(points), _WINDOWS)).round().astype(int)
    places = points.sar[chosen]
    apart = np.linalg.norm(region.transform(places) - other(places), axis=1)
    if np.nanmedian(apart) < _LEAST_APART_PX:
        return
    given, exchanged = (_agreement(sar, optical, transform, places) for transform in (region.transform, other))
    both = np.isfinite(given) & np.isfinite(exchanged)
    if both.sum() >= 3 and float((exchanged - given)[both].mean()) > _LEAST_BETTER:
        better = float(np.mean((exchanged > given)[both]))
        if better >= 0.7:
            raise DataError(
                where,
                found=f"tie points that fit the images better the other way round, at {better:.0%} of the places "
                "looked at",
                expected="sar_col,sar_row in the SAR scene and opt_col,opt_row in the optical one",
                mend="SAR and optical seem to be swapped: exchange sar_col,sar_row with opt_col,opt_row",
            )


def _agreement(sar: Source, optical: Source, transform: Transform, places: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """How alike the scenes are around places, in [-1, 1]; NaN where a window leaves a scene."""
    grid = Grid.of(sar.size_px)
    laid = Resampled(optical, transform, grid)
    found = np.full(len(places), np.nan)
    half = min(_SIDE_PX, *sar.size_px) // 2
    for number, place in enumerate(places):
        low = [
            int(np.clip(round(at) - half, 0, length - 2 * half)) for at, length in zip(place, sar.size_px, strict=True)
        ]
        box = (low[0], low[1], low[0] + 2 * half, low[1] + 2 * half)
        (dark, dark_gone), (colour, colour_gone) = sar.read(box), laid.read(box)
        if max(dark_gone.mean(), colour_gone.mean()) < 0.3:
            found[number] = float(likeness(structure(dark, dark_gone), structure(colour, colour_gone))[0, 0])
    return found
