from __future__ import annotations

import pytest
import torch

from osm.matching.objectives import Dense, Encoded, EncodedPairs, InfoNCE


def pairs(sar, optical, step=0) -> EncodedPairs:
    count = len(sar)
    order = torch.arange(count).roll(1)
    nothing = torch.zeros(count, 2)
    first, second = (Encoded(nothing, {0: whole}) for whole in (sar, optical))
    return EncodedPairs(first, second, Encoded(nothing, {}), order, step=step)


def same_heads(dense):
    with torch.no_grad():
        dense.heads["optical_0"].load_state_dict(dense.heads["sar_0"].state_dict())
    return dense


def build(**options):
    torch.manual_seed(0)
    return Dense(**{"loss": {"type": "InfoNCE"}, "levels": [0], "channels": (3,), "dimensions": 8, **options})


def maps(seed=0, count=4, size=5):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_with_all_cells_it_is_the_objective_over_all_cells():
    dense = same_heads(build(cells=25))
    whole = maps()
    flat = dense.heads["sar_0"](whole).flatten(2).transpose(1, 2).flatten(0, 1)
    order = torch.arange(100).roll(1)
    cells = EncodedPairs(Encoded(flat, {}), Encoded(flat, {}), Encoded(flat[order], {}), order)
    assert float(dense(pairs(whole, whole))) == pytest.approx(float(InfoNCE()(cells)), rel=1e-4)


def test_cells_of_one_place_are_partners():
    dense = same_heads(build(cells=6))
    whole = maps()
    shifted = whole.roll(2, dims=3)
    assert float(dense(pairs(whole, whole))) < float(dense(pairs(whole, shifted)))


def test_a_bridge_nonmatch_is_a_cell_of_another_pair():
    dense = same_heads(build(loss={"type": "BridgeLoss"}, cells=25))
    # every pair is one constant colour of its own: only cells of another pair differ
    colours = torch.tensor([[9.0, 0, 0], [0, 9, 0], [0, 0, 9], [-9, -9, -9]])[:, :, None, None].expand(-1, -1, 5, 5)
    rows = torch.sigmoid(dense.heads["sar_0"](colours)[:, :, 0, 0])
    far = (rows - rows.roll(1, dims=0)).square().mean(dim=1).sqrt()
    assert float(dense(pairs(colours, colours))) == pytest.approx(float((far - 1).square().mean() / 2), rel=1e-4)


def test_cells_depend_on_seed_and_step_alone():
    dense, whole, other = build(cells=3), maps(0), maps(1)
    torch.manual_seed(5)
    first = float(dense(pairs(whole, other, step=7)))
    torch.manual_seed(6)
    assert float(dense(pairs(whole, other, step=7))) == first
    assert float(dense(pairs(whole, other, step=8))) != first


def test_by_default_it_reads_the_last_two_maps():
    assert Dense({"type": "VICReg"}, channels=(4, 5, 6, 7)).levels == (2, 3)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"levels": [1]}, "levels"), ({"levels": []}, "levels"), ({"cells": 0}, "cells"),
     ({"loss": {"type": "MomentumQueue"}}, "MomentumQueue"), ({"loss": {"type": "Dense"}}, "Dense")],
)  # fmt: skip
def test_a_bad_option_is_refused(options, named):
    with pytest.raises(ValueError, match=named):
        build(**options)
