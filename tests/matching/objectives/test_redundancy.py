from __future__ import annotations

import pytest
import torch

from osm.matching.objectives import BarlowTwins, Encoded, EncodedPairs, VICReg


def pairs(sar, optical) -> EncodedPairs:
    order = torch.arange(len(sar)).roll(1)
    encoded = Encoded(sar, {}), Encoded(optical, {})
    return EncodedPairs(*encoded, encoded[1].rows(order), order)


def rows(seed=0, count=16, dimensions=5):
    return torch.randn(2, count, dimensions, generator=torch.Generator().manual_seed(seed))


def test_vicreg_agrees_with_pytorch_metric_learning():
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    sar, optical = rows()
    upstream = losses.VICRegLoss(invariance_lambda=25, variance_mu=25, covariance_v=1)
    assert float(VICReg()(pairs(sar, optical))) == pytest.approx(float(upstream(sar, ref_emb=optical)), rel=1e-4)


def test_vicreg_known_answer():
    # two numbers that are the same: variance 1 + 1/3, covariance the same, no difference between views
    column = torch.tensor([1.0, -1.0, 1.0, -1.0])
    same = torch.stack([column, column], dim=1)
    expected = 2 * (2 * (4 / 3) ** 2 / 2)
    assert float(VICReg()(pairs(same, same))) == pytest.approx(expected, rel=1e-5)


def test_a_collapsed_branch_costs_its_variance():
    constant = torch.zeros(8, 3)
    assert float(VICReg(0, 1, 0)(pairs(constant, constant))) == pytest.approx(0.99, abs=1e-6)


def test_barlow_twins_of_independent_equal_columns_is_zero():
    signs = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    assert float(BarlowTwins()(pairs(signs, 3 * signs + 2))) == pytest.approx(0, abs=1e-6)


def test_barlow_twins_known_answer():
    column = torch.tensor([1.0, -1.0, 1.0, -1.0])
    same = torch.stack([column, column], dim=1)
    # diagonal right, two off-diagonal correlations of 1
    assert float(BarlowTwins(0.25)(pairs(same, same))) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "option"),
    [(VICReg, "invariance"), (VICReg, "variance"), (VICReg, "covariance"), (BarlowTwins, "redundancy")],
)
def test_a_negative_weight_is_refused(kind, option):
    with pytest.raises(ValueError, match=option):
        kind(**{option: -1.0})
