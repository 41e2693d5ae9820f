from __future__ import annotations

import pytest
import torch

from osm.matching.objectives import BridgeLoss, Encoded, EncodedPairs, InfoNCE, Sum, VICReg, Warmup

BRIDGE, CONTRAST = {"type": "BridgeLoss"}, {"type": "InfoNCE"}


def pairs(step=0) -> EncodedPairs:
    sar, optical = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    order = torch.arange(6).roll(1)
    encoded = Encoded(sar, {}), Encoded(optical, {})
    return EncodedPairs(*encoded, encoded[1].rows(order), order, step=step)


def test_a_sum_is_weighted_and_measures_where_its_first_part_does():
    both = Sum([BRIDGE, CONTRAST], [2.0, 0.5])
    expected = 2 * BridgeLoss()(pairs()) + 0.5 * InfoNCE()(pairs())
    assert both(pairs()).item() == pytest.approx(expected.item(), rel=1e-6)
    assert (both.space, Sum([CONTRAST, BRIDGE]).space) == ("cube", "sphere")


def test_a_sum_reads_every_map_that_a_part_reads():
    dense = [{"type": "Dense", "loss": CONTRAST, "levels": [level]} for level in (2, 1)]
    assert Sum(dense, channels=(4, 4, 4)).levels == (1, 2)


def test_a_warm_up_ends_at_its_step():
    both = Warmup({"type": "VICReg"}, BRIDGE, steps=3)
    assert float(both(pairs(2))) == pytest.approx(float(VICReg()(pairs())))
    assert float(both(pairs(3))) == pytest.approx(float(BridgeLoss()(pairs())))
    assert both.space == "cube"


def test_the_objective_whose_turn_it_is_not_has_zero_gradients():
    # DistributedDataParallel stops where a parameter has none
    both = Warmup(CONTRAST, BRIDGE, steps=1)
    both(pairs(5)).backward()
    assert [float(parameter.grad) for parameter in both.parameters()] == [0.0]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Sum([]), "at least one"),
        (lambda: Sum([BRIDGE], [1.0, 2.0]), "weights"),
        (lambda: Warmup(CONTRAST, BRIDGE, steps=0), "steps"),
        (
            lambda: Sum([{"type": "MomentumQueue", "momentum": m, "size": 4} for m in (0.9, 0.5)], dimensions=3),
            "same momentum",
        ),
    ],
)
def test_a_bad_option_is_refused(make, named):
    with pytest.raises(ValueError, match=named):
        make()
