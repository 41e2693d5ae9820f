from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from osm.data.register.fit import fit_transform
from osm.data.register.tie_points import TiePoints
from osm.data.register.transform import Matrix, Piecewise, jacobian
from osm.errors import DataError

SIZE = 2000.0
CHECK = np.stack(np.meshgrid(np.linspace(50, 1950, 15), np.linspace(50, 1950, 15)), axis=2).reshape(-1, 2)
AFFINE = Matrix(np.array([[1.02, -0.035, 15], [0.036, 1.01, -20], [0, 0, 1.0]]))
PROJECTIVE = Matrix(np.array([[1.02, -0.035, 15], [0.036, 1.01, 40], [2e-5, -1e-5, 1.0]]), "projective")


def smooth(points: np.ndarray) -> np.ndarray:
    """A warp that no matrix describes: up to 12 pixels, over the length of the scene."""
    x, y = points.T / SIZE
    bend = 12 * np.column_stack([np.sin(2 * x + y), np.cos(1.5 * y - x) * x])
    return AFFINE(points) + bend


def _points(count: int, warp, seed: int = 0, noise_px: float = 0.0, wrong: float = 0.0) -> TiePoints:
    drawing = np.random.default_rng(seed)
    sar = drawing.uniform(0, SIZE, (count, 2))
    optical = warp(sar) + drawing.normal(0, noise_px, (count, 2))
    bad = drawing.permutation(count)[: round(wrong * count)]
    optical[bad] += drawing.choice([-1, 1], (len(bad), 2)) * drawing.uniform(30, 300, (len(bad), 2))
    return TiePoints.of(sar, optical)


def _rmse(found, truth) -> float:
    off = found(CHECK) - truth(CHECK)
    return float(np.sqrt((off**2).sum(axis=1).mean()))


@pytest.mark.parametrize(("kind", "truth"), [("affine", AFFINE), ("projective", PROJECTIVE)])
def test_exact_points_give_the_transform_back(kind: str, truth: Matrix) -> None:
    fit = fit_transform(_points(12, truth), kind, where="x")
    assert fit.used.all()
    assert _rmse(fit.transform, truth) < 1e-6
    assert fit.rmse_px < 1e-6
    assert fit.left_out_rmse_px is not None
    assert fit.left_out_rmse_px < 1e-5


@pytest.mark.parametrize(
    ("kind", "truth", "count"), [("affine", AFFINE, 40), ("projective", PROJECTIVE, 40), ("piecewise", smooth, 150)]
)
@pytest.mark.parametrize("seed", range(3))
def test_outliers_are_refused_and_the_warp_is_recovered(kind: str, truth, count: int, seed: int) -> None:
    points = _points(count, truth, seed, noise_px=0.3, wrong=0.25)
    bounds = np.array([[0, 0], [SIZE, SIZE]])
    fit = fit_transform(points, kind, where="x", tolerance_px=3, bounds=bounds)
    off = np.linalg.norm(points.optical - truth(points.sar), axis=1)
    assert not fit.used[off > 10].any()
    assert fit.used[off < 2].mean() > 0.9
    assert _rmse(fit.transform, truth) <= 0.5
    again = fit_transform(points, kind, where="x", tolerance_px=3, bounds=bounds)
    np.testing.assert_array_equal(fit.used, again.used)


def test_piecewise_meets_its_points_and_says_so_only_of_points_left_out() -> None:
    points = _points(80, smooth, noise_px=0.5)
    fit = fit_transform(points, "piecewise", where="x", tolerance_px=5)
    assert fit.rmse_px < 1e-9
    assert fit.left_out_rmse_px is not None
    assert 0.3 < fit.left_out_rmse_px < 2


def test_residuals_are_in_sar_pixels() -> None:
    truth = Matrix(np.diag([5.0, 5.0, 1.0]))
    points = _points(20, truth)
    moved = points.optical.copy()
    moved[3] += [5, 0]
    fit = fit_transform(TiePoints.of(points.sar, moved), "affine", where="x", tolerance_px=0.5)
    assert not fit.used[3]
    np.testing.assert_allclose(fit.residual_px[3], [1, 0], atol=0.05)


@pytest.mark.parametrize("kind", ["affine", "projective", "piecewise"])
def test_too_few_points_and_points_on_a_line_are_refused(kind: str) -> None:
    with pytest.raises(DataError, match="found 2 tie points; expected at least"):
        fit_transform(TiePoints.of([[0, 0], [1, 1]], [[0, 0], [1, 1]]), kind, where="x")
    line = np.linspace(0, 100, 9)[:, None] * [1, 2] + np.random.default_rng(0).normal(0, 0.1, (9, 2))
    with pytest.raises(DataError, match="on a line in the SAR scene"):
        fit_transform(TiePoints.of(line, _points(9, AFFINE).optical), kind, where="x")
    with pytest.raises(DataError, match="on a line in the optical scene"):
        fit_transform(TiePoints.of(_points(9, AFFINE).sar, line), kind, where="x")


@pytest.mark.parametrize("kind", ["affine", "projective", "piecewise"])
def test_points_that_say_nothing_together_are_refused(kind: str) -> None:
    drawing = np.random.default_rng(1)
    points = TiePoints.of(drawing.uniform(0, SIZE, (30, 2)), drawing.uniform(0, SIZE, (30, 2)))
    with pytest.raises(DataError, match="agree"):
        fit_transform(points, kind, where="x")


entry = st.floats(-0.2, 0.2)


@settings(max_examples=40, deadline=None)
@given(st.lists(entry, min_size=4, max_size=4), st.floats(-500, 500), st.floats(-500, 500), st.floats(-5e-5, 5e-5))
def test_there_and_back_is_nowhere_else(turn, right: float, down: float, tilt: float) -> None:
    matrix = np.array([[1 + turn[0], turn[1], right], [turn[2], 1 + turn[3], down], [tilt, -tilt, 1]])
    assume(abs(np.linalg.det(matrix)) > 0.3)
    there = Matrix(matrix, "projective")
    np.testing.assert_allclose(there.inverse()(there(CHECK)), CHECK, atol=1e-6)
    sar = CHECK[::7]
    back = fit_transform(TiePoints.of(there(sar), sar), "projective", where="x").transform
    np.testing.assert_allclose(back(there(CHECK)), CHECK, atol=1e-3)


@pytest.mark.parametrize("kind", ["affine", "projective", "piecewise"])
def test_columns_and_rows_exchanged_in_one_scene_make_a_mirror_image_and_are_refused(kind: str) -> None:
    points = _points(20, AFFINE)
    with pytest.raises(DataError, match="mirror image"):
        fit_transform(TiePoints.of(points.sar, points.optical[:, ::-1]), kind, where="x")
    # turned by a right angle, or upside down, is no mirror image
    turned = np.column_stack([points.optical[:, 1], 2100 - points.optical[:, 0]])
    assert fit_transform(TiePoints.of(points.sar, turned), kind, where="x").used.all()


def test_a_piecewise_warp_goes_on_outside_its_points() -> None:
    inside = CHECK[(np.abs(CHECK - 1000) < 600).all(axis=1)]
    warp = Piecewise(AFFINE, inside, smooth(inside) - AFFINE(inside), np.array([[0, 0], [SIZE, SIZE]]))
    edge = np.array([[0.0, 0.0], [SIZE, 0], [0, SIZE], [SIZE, SIZE]])
    assert np.isfinite(warp(edge)).all()
    assert np.abs(warp(edge) - smooth(edge)).max() < 15
    np.testing.assert_allclose(warp(inside), smooth(inside), atol=1e-9)


def test_the_jacobian_of_a_matrix_is_its_linear_part() -> None:
    found = jacobian(AFFINE, CHECK)
    np.testing.assert_allclose(found, np.broadcast_to(AFFINE.matrix[:2, :2], found.shape), atol=1e-9)


@pytest.mark.parametrize("on_the_line", [3, 19])
def test_all_but_one_on_a_line_make_no_projective_transform(on_the_line: int) -> None:
    along = np.linspace(100, 900, on_the_line)
    sar = np.vstack([np.column_stack([along, along]), [[300.0, 700.0]]])
    points = TiePoints.of(sar, sar + np.array([20.0, 5.0]))
    with pytest.raises(DataError, match=r"all but one of the .* lie on a line"):
        fit_transform(points, "projective", where="x.csv")
    assert fit_transform(points, "affine", where="x.csv").rmse_px < 1e-6


@pytest.mark.timeout(60)  # one fit without each of them took minutes, and gigabytes
@pytest.mark.parametrize("kind", ["affine", "projective", "piecewise"])
def test_thousands_of_points_are_fitted(kind: str) -> None:
    truth = PROJECTIVE if kind == "projective" else AFFINE
    fit = fit_transform(_points(4000, truth, noise_px=0.3), kind, where="x")
    assert np.isfinite(fit.left_out_px[fit.used]).all()
    # with so many, a point hardly moves a matrix: what is left over is the noise, whoever was left out
    if kind != "piecewise":
        assert fit.left_out_rmse_px == pytest.approx(0.3 * np.sqrt(2), rel=0.05)
    assert _rmse(fit.transform, truth) < (0.6 if kind == "piecewise" else 0.05)


@pytest.mark.parametrize("off", [3.0, 900.0, 1e5])
def test_all_but_one_of_many_on_a_line_make_no_projective_transform(off: float) -> None:
    along = np.random.default_rng(0).uniform(0, SIZE, 500)
    places = np.column_stack([along, 0.3 * along + np.random.default_rng(1).normal(0, 1e-3, 500)])
    places[217] += [-0.3 * off, off]
    with pytest.raises(DataError, match="on a line"):
        fit_transform(TiePoints.of(places, AFFINE(places)), "projective", where="x")
