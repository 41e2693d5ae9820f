"""Fitting a transform to tie points: outliers are refused, and what is left over is measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.data.register.tie_points import TiePoints, spread_ratio
from osm.data.register.transform import Matrix, Piecewise, Transform, jacobian
from osm.errors import DataError

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LEAST_POINTS = {"affine": 3, "projective": 4, "piecewise": 4}
KINDS = tuple(LEAST_POINTS)
LEAST_SPREAD = 0.01
"""Least ratio of the two spreads of points (``spread_ratio``); below, they lie on a line."""

_ITERATIONS, _CONFIDENCE, _REFITS = 5000, 0.9999, 10
_NEIGHBOURS = 6
_MOST_FOLDS = 200


@dataclass(frozen=True, eq=False)
class Fit:
    """A transform, and how well the tie points agree with it.

    Residuals are in pixels of the SAR scene: how far the place where the transform finds the optical point is from
    the SAR point.

    Attributes:
        transform: From SAR to optical pixels.
        used: ``(N,)``: which points were used; the others were refused as outliers.
        residual_px: ``(N, 2)`` of all points.
        left_out_px: ``(N, 2)``: of each used point, its residual when it is left out of the fit (of more than 200, with
            some others); NaN for the others and where too few remain.
    """

    transform: Transform
    used: Mask
    residual_px: Floats
    left_out_px: Floats

    @property
    def rmse_px(self) -> float:
        """Root of the mean squared length of the residuals of the points used."""
        return rms(self.residual_px[self.used])

    @property
    def left_out_rmse_px(self) -> float | None:
        """The same of points left out of the fit, one at a time; None where none could be."""
        known = np.isfinite(self.left_out_px).all(axis=1)
        return rms(self.left_out_px[known]) if known.any() else None


def rms(vectors: Floats) -> float:
    """Root of the mean squared length of ``(N, 2)``."""
    return float(np.sqrt((vectors**2).sum(axis=1).mean()))


def fit_transform(
    points: TiePoints,
    kind: str,
    *,
    where: str | Path,
    tolerance_px: float = 3.0,
    least_share: float = 0.5,
    bounds: Floats | None = None,
) -> Fit:
    """Fit a transform, and refuse outliers.

    Affine and projective: RANSAC (Fischler and Bolles 1981; OpenCV's, whose random state is fixed, so the same points
    give the same answer), then least squares over what agrees within the tolerance, until that no longer changes.
    Piecewise: the same for a loose affine frame; within it a point is refused where it departs from the median of its
    neighbours by more than the tolerance, which is how outliers are found in flow fields (Westerweel and Scarano 2005).

    Args:
        points: The points.
        kind: One of ``KINDS``.
        where: What to name in errors.
        tolerance_px: Largest residual of a point that is used, in pixels of the SAR scene.
        least_share: Least part of the points that must agree.
        bounds: ``(2, 2)`` smallest and largest column, row of SAR that will be asked for; ``piecewise`` alone.

    Raises:
        DataError: Too few points, points on a line, too few that agree, or a mirror image.
    """
    least = LEAST_POINTS[kind]
    if len(points) < least:
        raise DataError(
            where,
            found=f"{len(points)} tie points",
            expected=f"at least {least} for a transform that is {kind}",
            mend="add points, well spread; twice as many show how good they are",
        )
    for side, places in (("SAR", points.sar), ("optical", points.optical)):
        if spread_ratio(places) < LEAST_SPREAD:
            raise _on_a_line(where, f"{len(places)} tie points on a line in the {side} scene")
    scale = _scale(points)
    limits = np.array([points.sar.min(axis=0), points.sar.max(axis=0)]) if bounds is None else bounds
    if kind == "piecewise":
        used = _agreeing_with_neighbours(points, tolerance_px, scale)
    else:
        used = _ransac(points, kind, tolerance_px * scale)
    if used.sum() < max(least, least_share * len(points)):
        raise DataError(
            where,
            found=f"that only {int(used.sum())} of {len(points)} tie points agree on one transform that is {kind}, "
            f"within {tolerance_px:g} pixels",
            expected=f"at least {max(least, int(np.ceil(least_share * len(points))))}",
            mend="check the points (are column and row, or SAR and optical, exchanged?), raise --tolerance-px, or "
            "choose another --transform",
        )
    chosen = points.take(used)
    if min(spread_ratio(chosen.sar), spread_ratio(chosen.optical)) < LEAST_SPREAD:
        raise _on_a_line(where, f"that the {len(chosen)} tie points that agree lie on a line")
    if kind == "projective" and _hangs_on_one(chosen):
        raise _on_a_line(where, f"that all but one of the {len(chosen)} tie points that agree lie on a line")
    if np.linalg.det(_affine(chosen).matrix) < 0:
        # both look at the ground from above: one may be turned, but never turned over
        raise DataError(
            where,
            found="tie points by which the optical scene is a mirror image of the SAR scene",
            expected="two scenes seen from above",
            mend="column and row seem to be exchanged in one of the scenes: exchange them; a scene that is stored as a "
            "mirror image has to be turned over first",
        )
    transform = solve(chosen, kind, limits)
    left_out = np.full((len(points), 2), np.nan)
    left_out[used] = leave_one_out(chosen, kind, limits)
    return Fit(transform, used, residuals(transform, points), left_out)


def solve(points: TiePoints, kind: str, bounds: Floats) -> Transform:
    """The transform of least squares, in optical pixels, through all points."""
    if kind == "affine":
        return _affine(points)
    if kind == "projective":
        return _projective(points)
    base = _affine(points)
    return Piecewise(base, points.sar, points.optical - base(points.sar), bounds)


def residuals(transform: Transform, points: TiePoints) -> Floats:
    """How far each point is off, ``(N, 2)`` in pixels of the SAR scene."""
    off = points.optical - transform(points.sar)
    turn = jacobian(transform, points.sar)
    # where a transform folds the plane there is no way back
    turn[np.abs(np.linalg.det(turn)) < 1e-9] = np.nan
    return np.asarray(np.linalg.solve(turn, off[:, :, None])[:, :, 0])


def leave_one_out(points: TiePoints, kind: str, bounds: Floats) -> Floats:
    """Residual ``(N, 2)`` of each point under the transform of all others; NaN where they cannot make one.

    Of more than 200 points, some are left out together, every 200th of the list: one fit each would take hours.
    """
    found = np.full((len(points), 2), np.nan)
    if len(points) <= LEAST_POINTS[kind]:
        return found
    fold = np.arange(len(points)) % _MOST_FOLDS
    for number in range(min(len(points), _MOST_FOLDS)):
        rest = points.take(fold != number)
        if min(spread_ratio(rest.sar), spread_ratio(rest.optical)) >= LEAST_SPREAD:
            found[fold == number] = residuals(solve(rest, kind, bounds), points.take(fold == number))
    return found


def _hangs_on_one(points: TiePoints) -> bool:
    """Whether without some point the others lie on a line: then many projective transforms fit all of them."""
    everything = np.arange(len(points))
    suspects: Iterable[int] = everything
    if len(points) > _MOST_FOLDS:
        # that point is the farthest off, along or across the longer extent of the others
        suspects = {int(number) for side in (points.sar, points.optical) for number in _farthest(side)}
    for number in suspects:
        rest = points.take(everything != number)
        if min(spread_ratio(rest.sar), spread_ratio(rest.optical)) < LEAST_SPREAD:
            return True
    return False


def _farthest(places: Floats) -> npt.NDArray[np.int64]:
    """The farthest of points ``(N, 2)`` along and across their longer extent."""
    off = places - np.median(places, axis=0)
    axes = np.linalg.svd(off, full_matrices=False)[2]
    return np.asarray(np.abs(off @ axes.T).argmax(axis=0))


def _on_a_line(where: str | Path, found: str) -> DataError:
    return DataError(where, found=found, expected="points spread over the scene", mend="add points away from that line")


def _scale(points: TiePoints) -> float:
    """Optical pixels in a pixel of SAR: the median over pairs of points, which a few outliers do not move."""
    some = np.linspace(0, len(points) - 1, min(len(points), 100)).round().astype(int)
    first, second = np.triu_indices(len(some), 1)
    ours, theirs = (
        np.linalg.norm(side[some][first] - side[some][second], axis=1) for side in (points.sar, points.optical)
    )
    apart = ours > 0
    return max(float(np.median(theirs[apart] / ours[apart])), 1e-6)


def _ransac(points: TiePoints, kind: str, tolerance_optical_px: float) -> Mask:
    """Which points agree on one transform."""
    import cv2

    # single precision inside OpenCV: coordinates near zero
    ours, theirs = points.sar - points.sar.mean(axis=0), points.optical - points.optical.mean(axis=0)
    if kind == "affine":
        _, mask = cv2.estimateAffine2D(
            ours, theirs, method=cv2.RANSAC, ransacReprojThreshold=tolerance_optical_px, maxIters=_ITERATIONS,
            confidence=_CONFIDENCE,
        )  # fmt: skip
    else:
        _, mask = cv2.findHomography(
            ours, theirs, cv2.RANSAC, tolerance_optical_px, maxIters=_ITERATIONS, confidence=_CONFIDENCE
        )
    used = np.zeros(len(points), dtype=bool) if mask is None else np.asarray(mask, dtype=bool).ravel()
    for _ in range(_REFITS):
        chosen = points.take(used)
        if len(chosen) < LEAST_POINTS[kind] or spread_ratio(chosen.sar) < LEAST_SPREAD:
            break
        transform = solve(chosen, kind, np.zeros((2, 2)))
        now = np.linalg.norm(points.optical - transform(points.sar), axis=1) <= tolerance_optical_px
        if (now == used).all():
            break
        used = now
    return used


def _agreeing_with_neighbours(points: TiePoints, tolerance_px: float, scale: float) -> Mask:
    """Which points depart from an affine transform as their neighbours do."""
    from scipy.spatial import cKDTree

    extent = float(np.linalg.norm(np.ptp(points.sar, axis=0)))
    # a warp that is smooth stays near an affine one: within 2 % of the scene
    frame = _ransac(points, "affine", max(5 * tolerance_px, 0.02 * extent) * scale)
    if frame.sum() < LEAST_POINTS["affine"] or spread_ratio(points.sar[frame]) < LEAST_SPREAD:
        return frame
    used = frame
    for _ in range(_REFITS):
        index = np.flatnonzero(used)
        if len(index) <= LEAST_POINTS["piecewise"]:
            break
        departure = points.optical - _affine(points.take(index))(points.sar)
        count = min(_NEIGHBOURS + 1, len(index))
        near = index[cKDTree(points.sar[index]).query(points.sar[index], k=count)[1][:, 1:]]
        expected = _local(points.sar, departure, index, near)
        off = np.linalg.norm(departure[index] - expected, axis=1) / scale
        worst = int(np.argmax(off))
        if off[worst] <= tolerance_px:
            break
        # the worst few at a time: an outlier makes its neighbours look like outliers too
        used = used.copy()
        used[index[off >= max(off[worst] / 2, tolerance_px)]] = False
    return used


def _local(places: Floats, departure: Floats, index: npt.NDArray[np.int64], near: npt.NDArray[np.int64]) -> Floats:
    """What neighbours let expect of each point ``(K, 2)``: their median, with the slope of the surface between them."""
    found = np.empty((len(index), 2))
    for number, (own, others) in enumerate(zip(index, near, strict=True)):
        steps = places[others] - places[own]
        plane = np.column_stack([np.ones(len(others)), steps])
        slope = np.linalg.lstsq(plane, departure[others], rcond=None)[0][1:] if len(others) >= 5 else np.zeros((2, 2))
        found[number] = np.median(departure[others] - steps @ slope, axis=0)
    return found


def _affine(points: TiePoints) -> Matrix:
    centre = points.sar.mean(axis=0)
    known = np.column_stack([points.sar - centre, np.ones(len(points))])
    answer = np.linalg.lstsq(known, points.optical, rcond=None)[0].T
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = answer[:, :2], answer[:, 2] - answer[:, :2] @ centre
    return Matrix(matrix, "affine")


def _projective(points: TiePoints) -> Matrix:
    """Direct linear transform of normalised points (Hartley and Zisserman, algorithm 4.2), then least squares."""
    from scipy.optimize import least_squares

    ours, theirs = _normalising(points.sar), _normalising(points.optical)
    known, wanted = _apply(ours, points.sar), _apply(theirs, points.optical)
    start = _dlt(known, wanted)
    if len(points) > LEAST_POINTS["projective"]:

        def off(entries: Floats) -> Floats:
            return np.asarray((_apply(np.append(entries, 1).reshape(3, 3), known) - wanted).ravel())

        start = np.append(least_squares(off, (start / start[2, 2]).ravel()[:8], method="lm").x, 1).reshape(3, 3)
    matrix = np.linalg.inv(theirs) @ start @ ours
    return Matrix(matrix / matrix[2, 2], "projective")


def _dlt(known: Floats, wanted: Floats) -> Floats:
    rows = []
    for (x, y), (u, v) in zip(known, wanted, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y, -u], [0, 0, 0, x, y, 1, -v * x, -v * y, -v]]
    # of four points there are eight rows, and what they map to zero is seen in the full matrix alone
    return np.asarray(np.linalg.svd(np.array(rows), full_matrices=len(rows) < 9)[2][-1].reshape(3, 3))


def _normalising(points: Floats) -> Floats:
    centre = points.mean(axis=0)
    scale = np.sqrt(2) / max(float(np.linalg.norm(points - centre, axis=1).mean()), 1e-12)
    return np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]])


def _apply(matrix: Floats, points: Floats) -> Floats:
    return Matrix(matrix)(points)
