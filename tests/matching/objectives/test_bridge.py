from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from osm.matching.objectives import BridgeLoss, Encoded, EncodedPairs, build_objective

#: Logits whose sigmoid is 0, 1 and 0.5 in float32.
ZEROS, ONES, HALF = torch.full((4, 20), -200.0), torch.full((4, 20), 200.0), torch.zeros(4, 20)
ORDER = torch.tensor([1, 2, 3, 0])


def pairs(sar, optical, nonmatch=None) -> EncodedPairs:
    order = torch.arange(len(sar)).roll(-1)
    nonmatch = optical[order] if nonmatch is None else nonmatch
    return EncodedPairs(*(Encoded(rows, {}) for rows in (sar, optical, nonmatch)), order)


@pytest.mark.parametrize(
    ("optical", "nonmatch", "alpha", "expected"),
    [
        (ZEROS, ONES, 1.0, 0.0),  # perfect
        (ONES, ZEROS, 1.0, 1.0),  # all wrong
        (ZEROS, ZEROS, 1.0, 0.5),  # collapsed
        (HALF, HALF, 1.0, 0.25),  # the plateau: every distance 0.5
        (HALF, ZEROS, 3.0, (0.25 + 3 * 1.0) / 4),
        (HALF, ZEROS, 0.0, 0.25),
    ],
)
def test_known_answers(optical, nonmatch, alpha, expected):
    assert BridgeLoss(alpha)(pairs(ZEROS, optical, nonmatch)).item() == pytest.approx(expected, abs=1e-7)


def test_it_is_the_formula_of_the_paper():
    draw = torch.Generator().manual_seed(0)
    sar, optical, nonmatch = torch.randn(3, 6, 20, dtype=torch.float64, generator=draw)
    first, second, third = (torch.sigmoid(rows) for rows in (sar, optical, nonmatch))
    positive = sum(float(((a - b) ** 2).mean()) for a, b in zip(first, second, strict=True)) / 6
    negative = sum((float(((a - b) ** 2).mean()) ** 0.5 - 1) ** 2 for a, b in zip(first, third, strict=True)) / 6
    assert BridgeLoss(2.0)(pairs(sar, optical, nonmatch)).item() == pytest.approx((positive + 2 * negative) / 3)


@given(st.integers(2, 6), st.integers(0, 10**6))
def test_all_negatives_are_the_mean_over_every_derangement_by_rotation(count, seed):
    draw = torch.Generator().manual_seed(seed)
    sar, optical = torch.randn(2, count, 5, dtype=torch.float64, generator=draw)
    rotations = [optical.roll(-shift, dims=0) for shift in range(1, count)]
    expected = sum(float(BridgeLoss()(pairs(sar, optical, other))) for other in rotations) / len(rotations)
    assert float(BridgeLoss(negatives="all")(pairs(sar, optical))) == pytest.approx(expected)


def test_hard_negatives_are_the_nearest_that_do_not_match():
    logit = torch.logit(torch.tensor([[0.1], [0.4], [0.9]], dtype=torch.float64))
    # on one axis: SAR patch i lies where optical patch i does; the nearest other ones are 0.3, 0.3 and 0.5 away
    nearest = torch.tensor([0.3, 0.3, 0.5], dtype=torch.float64)
    expected = ((nearest - 1) ** 2).mean() / 2
    assert float(BridgeLoss(negatives="hard")(pairs(logit, logit))) == pytest.approx(float(expected))


@given(st.integers(0, 10**6))
def test_hard_negatives_cost_at_least_as_much_as_any(seed):
    sar, optical = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(seed))
    one, every, hard = (float(BridgeLoss(negatives=how)(pairs(sar, optical))) for how in ("one", "all", "hard"))
    assert hard >= max(one, every) - 1e-6


@pytest.mark.parametrize("negatives", ["one", "all", "hard"])
def test_a_nonmatch_at_distance_zero_does_not_destroy_the_gradient(negatives):
    sar = HALF.clone().requires_grad_()
    optical = HALF.clone()
    optical[1] = 0.6
    BridgeLoss(negatives=negatives)(pairs(sar, optical)).backward()
    assert torch.isfinite(sar.grad).all()


def test_it_is_one_line_of_a_config():
    assert build_objective({"type": "BridgeLoss", "alpha": 0.5}).alpha == 0.5


@pytest.mark.parametrize(("options", "named"), [({"alpha": -1.0}, "alpha"), ({"negatives": "some"}, "negatives")])
def test_a_bad_option_is_refused(options, named):
    with pytest.raises(ValueError, match=named):
        BridgeLoss(**options)
