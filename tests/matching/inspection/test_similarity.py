"""Linear CKA against known answers, its invariances, and the kernel form of the same paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.matching.inspection.similarity import chance_cka, linear_cka

SEEDS = st.integers(0, 2**32 - 1)


def draw(seed, rows=60, columns=7):
    # unequal variances: with equal ones more would be invariant than should be
    return np.random.default_rng(seed).standard_normal((rows, columns)) * np.arange(1, columns + 1)


def by_kernels(x, y):
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) of centred Gram matrices, Kornblith et al., section 3."""
    centring = np.eye(len(x)) - 1 / len(x)
    k, l = (centring @ (z @ z.T) @ centring for z in (x, y))  # noqa: E741
    return np.trace(k @ l) / np.sqrt(np.trace(k @ k) * np.trace(l @ l))


@given(SEEDS, SEEDS, st.integers(2, 40))
def test_both_forms_of_the_paper_agree(first, second, rows):
    # also with fewer examples than channels
    x, y = draw(first, rows), draw(second, rows, 5) + 0.3 * draw(first, rows)[:, :5]
    assert linear_cka(x, y) == pytest.approx(by_kernels(x, y), rel=1e-9)


@given(SEEDS)
def test_equal_features_are_1(seed):
    assert linear_cka(draw(seed), draw(seed)) == pytest.approx(1, abs=1e-12)


@given(SEEDS, SEEDS, st.floats(1e-150, 1e150), st.floats(-1e3, 1e3))
def test_rotation_scale_and_offset_do_not_matter(seed, other, scale, offset):
    x, y = draw(seed), draw(other, columns=4)
    rotation = np.linalg.qr(np.random.default_rng(other).standard_normal((7, 7)))[0]
    expected = linear_cka(x, y)
    assert linear_cka(scale * (x @ rotation), y) == pytest.approx(expected, rel=1e-8)
    assert linear_cka(x + offset, y) == pytest.approx(expected, rel=1e-8)
    assert linear_cka(y, x) == pytest.approx(expected, rel=1e-12)


def test_scaling_one_channel_does_matter():
    x = draw(0)
    assert linear_cka(x, x * np.array([100, *[1] * 6])) < 0.9


def test_independent_features_are_near_0_if_there_are_many():
    x, y = (np.random.default_rng(seed).standard_normal((20_000, 8)) for seed in (0, 1))
    assert linear_cka(x, y) < 0.005
    # few examples for many channels: what the page warns of, and what chance shows
    x, y = (np.random.default_rng(seed).standard_normal((20, 200)) for seed in (0, 1))
    assert linear_cka(x, y) > 0.8
    assert chance_cka(x, y, 0) == pytest.approx(linear_cka(x, y), abs=0.1)


def test_chance_is_small_for_equal_features_and_repeats():
    x = np.random.default_rng(0).standard_normal((5000, 8))
    assert chance_cka(x, x, 3) < 0.01
    assert chance_cka(x, x, 3) == chance_cka(x, x, 3)


def test_a_known_answer():
    # two orthogonal directions of four examples; Y has the first alone: 1 / sqrt(1 + 1)
    first, second = np.array([1.0, 1, -1, -1]), np.array([1.0, -1, 1, -1])
    assert linear_cka(np.stack([first, second], 1), first[:, None]) == pytest.approx(1 / np.sqrt(2))
    assert linear_cka(second[:, None], first[:, None]) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("constant", [0.0, 0.1, -3e7])
def test_features_that_never_change_have_no_likeness(constant):
    assert linear_cka(np.full((9, 3), constant), draw(0, 9)) is None
    assert linear_cka(draw(0, 9), np.full((9, 3), constant, np.float32)) is None


@pytest.mark.parametrize("shapes", [((3, 2), (4, 2)), ((3,), (3, 2)), ((0, 2), (0, 2))])
def test_features_of_other_examples_are_refused(shapes):
    with pytest.raises(ValueError, match="must be"):
        linear_cka(*(np.ones(shape) for shape in shapes))


def test_nan_is_no_feature():
    with pytest.raises(ValueError, match="NaN"):
        linear_cka(np.array([[np.nan], [1.0]]), np.array([[1.0], [2.0]]))
