"""Tie points found by the images themselves, coarse to fine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.data.register.fit import Fit, fit_transform
from osm.data.register.resample import Grid, Resampled
from osm.data.register.structure import likeness, peak, structure
from osm.data.register.tie_points import TiePoints
from osm.data.register.transform import Matrix, Transform
from osm.data.sources import Box, Bytes, Mask, Source
from osm.errors import DataError

Floats = npt.NDArray[np.float64]

_OVERVIEW_PX = 384
_TEMPLATE_PX = 224
_LEAST_TEMPLATE_PX = 96
_SEARCH_PX = (24, 12)
"""How far is searched to each side at each level, and once more at the last."""

_MOST_COARSE = 6
_LEAST_PROMINENCE = 0.25
_LEAST_KNOWN = 0.7
_LEAST_POINTS = 8
_LEAST_SHARE = 0.3
_MOST_FALSE = 1e-3


@dataclass(frozen=True)
class SearchRule:
    """What is searched.

    Attributes:
        points: Windows along the longer side of a sub-region (or of the scene).
        rotation_deg: Largest rotation, to both sides, of one scene against what is known beforehand.
        scale: Largest change of scale likewise: 0.06 is 6 %.
        tolerance_px: Largest residual of a point that is kept, in SAR pixels.
    """

    points: int = 10
    rotation_deg: float = 6.0
    scale: float = 0.06
    tolerance_px: float = 3.0


def estimate_tie_points(
    sar: Source,
    optical: Source,
    start: Transform,
    *,
    where: str | Path,
    rule: SearchRule = SearchRule(),
    regions: Sequence[Box] | None = None,
    jobs: int = 2,
) -> TiePoints:
    """Find tie points.

    Overviews of both scenes are compared over rotations, scales and all shifts; what agrees best is refined by windows
    of ever finer images, each time by an affine transform that most windows agree on. At the last level every window
    whose best offset stands out gives a point. Wrong ones remain: whoever fits a transform refuses them.

    Args:
        sar: The SAR scene.
        optical: The optical scene.
        start: From SAR to optical pixels, as far as is known beforehand.
        where: What to name in errors.
        rule: What is searched.
        regions: Windows of the SAR scene that get points of their own; None for the whole scene.
        jobs: Threads.

    Raises:
        DataError: The scenes have too little in common to be matched.
    """
    longest = max(sar.size_px)
    # the overview is reduced by a power of two, and each level halves that
    factor = 1 << max(0, int(np.ceil(np.log2(longest / _OVERVIEW_PX))))
    with ThreadPoolExecutor(jobs) as pool:
        known: Transform = _overview(sar, optical, start, factor, rule)
        while factor > 1:
            factor //= 2
            places = _places(sar.size_px, None, min(rule.points, _MOST_COARSE))
            points = _match(sar, optical, known, factor, places, _SEARCH_PX[0], pool)
            known = _refined(points, factor, _SEARCH_PX[0], _apart(sar.size_px, None, factor), where, rule)
        places = _places(sar.size_px, regions, rule.points)
        points = _match(sar, optical, known, 1, places, _SEARCH_PX[1], pool)
        _refined(points, 1, _SEARCH_PX[1], _apart(sar.size_px, regions, 1), where, rule)
    return points


def _overview(sar: Source, optical: Source, start: Transform, factor: int, rule: SearchRule) -> Transform:
    """Rotation, scale and shift of the whole scene, on top of ``start``."""
    grid = Grid.of(sar.size_px, factor)
    box = (0, 0, grid.width_px, grid.height_px)
    ours = structure(*_small(sar, None, box, grid))
    margin = [max(4, length // 6) for length in (grid.width_px, grid.height_px)]
    inner = (slice(margin[1], grid.height_px - margin[1]), slice(margin[0], grid.width_px - margin[0]))
    template = tuple(np.ascontiguousarray(scale[inner]) for scale in ours)
    centre = np.array(sar.size_px) / 2
    best: tuple[float, Matrix] = (-np.inf, Matrix(np.eye(3)))
    reach = np.arange(-2, 3) / 2
    rotations = np.radians(rule.rotation_deg * reach) if rule.rotation_deg else np.zeros(1)
    scales = 1 + rule.scale * reach if rule.scale else np.ones(1)
    # one look at the optical scene serves all: it is turned in memory
    theirs = _small(optical, start, box, grid)
    for angle in rotations:
        for scale in scales:
            turn = _similarity(angle, scale, centre)
            surface = likeness(template, structure(*_turned(*theirs, turn, factor)))
            column, row, height, _ = peak(surface)
            if height > best[0]:
                shift = (np.array([column, row]) - margin) * factor
                moved = turn.matrix.copy()
                moved[:2, 2] += turn.matrix[:2, :2] @ shift
                best = (height, Matrix(moved))
    return Chain(start, best[1])


@dataclass(frozen=True, eq=False)
class Chain:
    """A transform behind an affine change of the SAR pixels.

    Attributes:
        outer: From changed SAR pixels to optical ones.
        inner: The change.
        kind: ``chain``.
    """

    outer: Transform
    inner: Matrix
    kind: str = "chain"

    def __call__(self, points: Floats) -> Floats:
        """Map ``(N, 2)``."""
        return self.outer(self.inner(points))

    def record(self) -> dict[str, object]:
        """Both parts."""
        return {"kind": self.kind, "outer": self.outer.record(), "inner": self.inner.record()}


def _similarity(angle_rad: float, scale: float, centre: Floats) -> Matrix:
    matrix = np.eye(3)
    cosine, sine = scale * np.cos(angle_rad), scale * np.sin(angle_rad)
    matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
    matrix[:2, 2] = centre - matrix[:2, :2] @ centre
    return Matrix(matrix)


def _small(source: Source, transform: Transform | None, box: Box, grid: Grid) -> tuple[Bytes, Mask]:
    """A window of a grid, in parts, so that a whole scene is never held."""
    whole = Resampled(source, transform, grid)
    rows = max(16, (8 * 2**20) // max(1, int((box[2] - box[0]) * grid.sar_px**2)) // 16 * 16)
    parts = [whole.read((box[0], top, box[2], min(top + rows, box[3]))) for top in range(box[1], box[3], rows)]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _turned(pixels: Bytes, missing: Mask, turn: Matrix, factor: int) -> tuple[Bytes, Mask]:
    import cv2

    matrix = turn.matrix[:2].copy()
    matrix[:, 2] /= factor
    # from centres of pixels to corners and back
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (missing.shape[1], missing.shape[0])
    image = cv2.warpAffine(pixels, matrix, size, flags=flags)
    gone = cv2.warpAffine(missing.astype(np.float32), matrix, size, flags=flags, borderValue=1)
    return np.asarray(image, dtype=np.uint8), np.asarray(gone > 0)


def _places(size_px: tuple[int, int], regions: Sequence[Box] | None, count: int) -> list[tuple[float, float]]:
    """Centres of windows, evenly spread."""
    found = []
    for x1, y1, x2, y2 in regions or [(0, 0, *size_px)]:
        step = max(x2 - x1, y2 - y1) / count
        across, down = (max(2, round((high - low) / step)) for low, high in ((x1, x2), (y1, y2)))
        columns, rows = (
            low + (np.arange(number) + 0.5) * (high - low) / number
            for low, high, number in ((x1, x2, across), (y1, y2, down))
        )
        found += [(float(column), float(row)) for row in rows for column in columns]
    return found


def _match(
    sar: Source,
    optical: Source,
    known: Transform,
    factor: int,
    places: Sequence[tuple[float, float]],
    search_px: int,
    pool: ThreadPoolExecutor,
) -> TiePoints:
    """A point for each place where windows agree, in pixels of the full scenes."""
    grid = Grid.of(sar.size_px, factor)
    template = _template(grid)
    ours, theirs = Resampled(sar, None, grid), Resampled(optical, known, grid)

    half = template // 2 + search_px

    def corner(place: tuple[float, float]) -> tuple[int, ...]:
        """Of the window about a place, moved into the scene."""
        size = (grid.width_px, grid.height_px)
        low = (round(at / factor) - half for at in place)
        return tuple(min(max(at, 0), length - 2 * half) for at, length in zip(low, size, strict=True))

    def look(low: tuple[int, ...]) -> tuple[float, ...] | None:
        if min(low) < 0:
            return None
        box = (low[0], low[1], low[0] + 2 * half, low[1] + 2 * half)
        (dark, dark_gone), (colour, colour_gone) = ours.read(box), theirs.read(box)
        if min(1 - dark_gone.mean(), 1 - colour_gone.mean()) < _LEAST_KNOWN:
            return None
        inner = slice(search_px, search_px + template)
        small = tuple(np.ascontiguousarray(scale[inner, inner]) for scale in structure(dark, dark_gone))
        column, row, _, prominence = peak(likeness(small, structure(colour, colour_gone)))
        if prominence < _LEAST_PROMINENCE:
            return None
        centre = np.array([low[0] + half, low[1] + half], dtype=np.float64)
        return (*(centre * factor), *((centre + np.array([column - search_px, row - search_px])) * factor))

    # near a border, several places have one window
    corners = dict.fromkeys(corner(place) for place in places)
    found = [point for point in pool.map(look, corners) if point is not None]
    table = np.array(found, dtype=np.float64).reshape(-1, 4)
    return TiePoints.of(table[:, :2], known(table[:, 2:]))


def _template(grid: Grid) -> int:
    """Side of the windows that are compared, in pixels of the grid."""
    return min(_TEMPLATE_PX, max(_LEAST_TEMPLATE_PX, min(grid.width_px, grid.height_px) // 3))


def _apart(size_px: tuple[int, int], regions: Sequence[Box] | None, factor: int) -> float:
    """How many windows there is room for that do not overlap: windows that do are no witnesses of their own."""
    side = _template(Grid.of(size_px, factor)) * factor
    return sum(
        max(1.0, (x2 - x1) / side) * max(1.0, (y2 - y1) / side) for x1, y1, x2, y2 in regions or [(0, 0, *size_px)]
    )


def _refined(
    points: TiePoints, factor: int, search_px: int, apart: float, where: str | Path, rule: SearchRule
) -> Transform:
    """The transform that most points agree on, if more do than chance would have it."""
    if len(points) < _LEAST_POINTS:
        raise _too_little(where, f"{len(points)} windows in which SAR and optical agree")
    tolerance_px = rule.tolerance_px * factor
    try:
        fit: Fit = fit_transform(points, "affine", where=where, tolerance_px=tolerance_px, least_share=_LEAST_SHARE)
    except DataError as error:
        raise _too_little(where, error.found) from error
    used = int(fit.used.sum())
    # a wrong window points anywhere within the search
    alone = min(np.pi * rule.tolerance_px**2 / (2 * search_px + 1) ** 2, 1.0)
    share = min(1.0, apart / len(points))
    if false_alarms(math.floor(share * used), max(4, round(share * len(points))), alone) > _MOST_FALSE:
        raise _too_little(where, f"no more than {used} of {len(points)} windows that agree on a shift, as by chance")
    return fit.transform


def false_alarms(used: int, count: int, alone: float) -> float:
    """How many affine transforms at least so many points would agree on if all of them were wrong.

    Source: Moisan and Stival, "A probabilistic criterion to detect rigid point matches", IJCV 57(3), 2004.

    Args:
        used: Points that agree.
        count: All points.
        alone: Probability that a wrong point agrees by chance.
    """
    from scipy.special import comb
    from scipy.stats import binom

    # three points of those that agree made the transform
    return float((count - 3) * comb(count, 3) * binom.sf(used - 4, count - 3, alone))


def _too_little(where: str | Path, found: str) -> DataError:
    return DataError(
        where,
        found=found,
        expected="scenes with enough in common to be matched by their pixels",
        mend="give matched points with --tie-points",
    )
