from __future__ import annotations

import pytest
import torch

from osm.matching.objectives import OBJECTIVES, Encoded, EncodedPairs, build_objective

CHANNELS, DIMENSIONS = (6, 8, 10), 7

EVERY = {
    "BridgeLoss": {},
    "InfoNCE": {},
    "MomentumQueue": {"size": 16},
    "VICReg": {},
    "BarlowTwins": {},
    "Dense": {"loss": {"type": "InfoNCE"}, "cells": 3},
    "Sum": {"losses": [{"type": "BridgeLoss"}, {"type": "Dense", "loss": {"type": "VICReg"}}]},
    "Warmup": {"first": {"type": "InfoNCE"}, "then": {"type": "BridgeLoss"}},
}


def batch(count=6, seed=0, matched=False) -> EncodedPairs:
    draw = torch.Generator().manual_seed(seed)
    sar, optical = torch.randn(2, count, DIMENSIONS, generator=draw)
    maps = [{level: torch.randn(count, c, 4, 4, generator=draw) for level, c in enumerate(CHANNELS)} for _ in range(2)]
    if matched:
        optical, maps[1] = sar.clone(), maps[0]
    order = torch.arange(count).roll(1)
    rows = [Encoded(sar.requires_grad_(), maps[0]), Encoded(optical.requires_grad_(), maps[1])]
    keys = (Encoded(sar.detach(), {}), Encoded(optical.detach(), {}))
    return EncodedPairs(rows[0], rows[1], rows[1].rows(order), order, step=1, seed=seed, keys=keys)


def build(name):
    torch.manual_seed(0)
    return build_objective({"type": name, **EVERY[name]}, CHANNELS, DIMENSIONS)


def test_every_objective_is_tried_here():
    assert set(EVERY) == set(OBJECTIVES.module_dict)


@pytest.mark.parametrize("name", EVERY)
def test_every_objective_is_a_finite_number_and_reaches_both_branches(name):
    objective, pairs = build(name), batch()
    loss = objective(pairs)
    assert loss.shape == ()
    assert torch.isfinite(loss)
    loss.backward()
    if name != "Dense":  # which reads maps, not logits
        for encoded in (pairs.sar, pairs.optical):
            assert encoded.logits.grad.abs().sum() > 0
    for parameter in objective.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("name", [name for name in EVERY if name != "Dense"])
def test_partners_that_agree_cost_less_than_strangers(name):
    objective = build(name).eval()
    assert objective(batch(matched=True)) < objective(batch())


def test_an_unknown_objective_names_those_there_are():
    with pytest.raises(ValueError, match=r"no objective 'Brigde'.*BridgeLoss"):
        build_objective({"type": "Brigde"})


def test_rows_reorders_logits():
    encoded = Encoded(torch.arange(3.0)[:, None], {})
    assert encoded.rows(torch.tensor([2, 0, 1])).logits.flatten().tolist() == [2.0, 0.0, 1.0]
