from __future__ import annotations

import pytest
import torch

from osm.matching.objectives import BridgeLoss, Encoded, EncodedPairs, build_objective


def pairs(sar, optical, nonmatch) -> EncodedPairs:
    nothing = torch.zeros(len(sar), 1, 1, 1)
    return EncodedPairs(*(Encoded(torch.as_tensor(rows), nothing) for rows in (sar, optical, nonmatch)))


ZEROS, ONES = torch.zeros(4, 20), torch.ones(4, 20)
HALF = torch.full((4, 20), 0.5)


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
    sar, optical, nonmatch = torch.rand(3, 6, 20, dtype=torch.float64, generator=draw)
    positive = sum(float(((a - b) ** 2).mean()) for a, b in zip(sar, optical, strict=True)) / 6
    negative = sum((float(((a - b) ** 2).mean()) ** 0.5 - 1) ** 2 for a, b in zip(sar, nonmatch, strict=True)) / 6
    assert BridgeLoss(2.0)(pairs(sar, optical, nonmatch)).item() == pytest.approx((positive + 2 * negative) / 3)


def test_a_nonmatch_at_distance_zero_does_not_destroy_the_gradient():
    sar = HALF.clone().requires_grad_()
    nonmatch = HALF.clone()
    nonmatch[1] = 0.6
    BridgeLoss()(pairs(sar, ONES, nonmatch)).backward()
    assert torch.isfinite(sar.grad).all()
    assert (sar.grad != 0).all()


def test_it_is_one_line_of_a_config():
    assert build_objective({"type": "BridgeLoss", "alpha": 0.5}).alpha == 0.5


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="alpha"):
        BridgeLoss(-1.0)


def test_rows_reorders_embedding_and_map_alike():
    encoded = Encoded(torch.arange(3.0)[:, None], torch.arange(3.0)[:, None, None, None])
    turned = encoded.rows(torch.tensor([2, 0, 1]))
    assert turned.embedding.flatten().tolist() == turned.feature_map.flatten().tolist() == [2.0, 0.0, 1.0]
