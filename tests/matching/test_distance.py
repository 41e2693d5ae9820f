from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.matching.distance import distance, root, squared_distance


def test_known_answers():
    sar = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.1, 0.9]])
    optical = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0], [0.4, 0.5]])
    expected = [0.0, 1.0, math.sqrt(0.125), math.sqrt((0.3**2 + 0.4**2) / 2)]
    assert distance(sar, optical).tolist() == pytest.approx(expected, abs=1e-6)
    assert squared_distance(sar, optical).tolist() == pytest.approx([h * h for h in expected], abs=1e-6)


@given(st.integers(1, 8), st.integers(1, 30), st.integers(0, 2**31))
@settings(deadline=None)
def test_it_is_a_symmetric_number_between_0_and_1(count, dimensions, seed):
    draw = torch.Generator().manual_seed(seed)
    sar, optical = torch.rand(2, count, dimensions, generator=draw)
    h = distance(sar, optical)
    assert h.shape == (count,)
    assert ((h >= 0) & (h <= 1)).all()
    assert torch.equal(h, distance(optical, sar))


def test_equal_embeddings_have_gradient_zero_and_never_nan():
    sar = torch.full((3, 20), 0.5, requires_grad=True)
    optical = torch.full((3, 20), 0.5, requires_grad=True)
    (distance(sar, optical) - 1).square().mean().backward()
    assert torch.equal(sar.grad, torch.zeros(3, 20))
    assert torch.equal(optical.grad, torch.zeros(3, 20))


@pytest.mark.parametrize("gap", [1e-1, 1e-4, 1e-7, 1e-12, 1e-18, 1e-22, 1e-30])
def test_gradient_near_zero_is_finite_and_bounded(gap):
    # |dh/df_k| <= 1/sqrt(d) wherever h > 0; the difference alone is near zero, not the embeddings
    sar = torch.zeros(1, 20)
    sar[0, 0] = gap
    sar.requires_grad_()
    distance(sar, torch.zeros(1, 20)).sum().backward()
    assert torch.isfinite(sar.grad).all()
    assert sar.grad.abs().max() <= 1 / math.sqrt(20) * 1.001


def test_gradient_is_that_of_finite_differences():
    draw = torch.Generator().manual_seed(0)
    sar, optical = torch.rand(2, 4, 5, dtype=torch.float64, generator=draw)
    assert torch.autograd.gradcheck(distance, (sar.requires_grad_(), optical.requires_grad_()))


def test_root_of_zero_beside_others():
    squared = torch.tensor([0.0, 4.0, 0.25], requires_grad=True)
    value = root(squared)
    value.sum().backward()
    assert value.tolist() == [0.0, 2.0, 0.5]
    assert squared.grad.tolist() == [0.0, 0.25, 1.0]
