from __future__ import annotations

import pytest
import torch

from osm.errors import WeightsError
from osm.matching.distance import distance
from osm.matching.draws import derangement, generator
from osm.matching.network import BridgeNetwork, Verdict
from osm.transfer.architectures import build_backbone
from osm.transfer.initialise import initialise


def build(**options) -> BridgeNetwork:
    network = BridgeNetwork("darknet-narrow", **options)
    network.start()
    return network


def images(count: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(3, count, 3, 64, 64, generator=draw))


def state(module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first, second) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_in_batch_negatives_are_a_derangement_of_the_embeddings_at_hand():
    network = build(seed=5)
    network.step = 3
    sar, optical, _ = images(6)
    embedded_sar, embedded_optical = network(sar, optical, mode="tensor")
    order = derangement(6, generator(5, 3, 0))
    network.step = 3
    result = network(sar, optical, mode="loss")
    near, far = distance(embedded_sar, embedded_optical), distance(embedded_sar, embedded_optical[order])
    assert result["loss"].item() == pytest.approx(((near**2).mean() + ((far - 1) ** 2).mean()).item() / 2, abs=1e-5)
    assert result["distance_match"].item() == pytest.approx(near.mean().item(), abs=1e-5)
    assert result["distance_nonmatch"].item() == pytest.approx(far.mean().item(), abs=1e-5)


def test_reference_negatives_take_a_further_pass_of_the_optical_branch():
    network = build(negatives="reference").eval()
    sar, optical, nonmatch = images(4)
    embedded = network(sar, nonmatch, mode="tensor")
    result = network(sar, optical, nonmatch=nonmatch, mode="loss")
    assert result["distance_nonmatch"].item() == pytest.approx(distance(*embedded).mean().item(), abs=1e-5)


def test_verdicts_follow_the_threshold():
    network = build().eval()
    sar, optical, _ = images(3)
    far = distance(*network(sar, optical, mode="tensor")).tolist()
    network.threshold = sorted(far)[1]
    assert network(sar, optical, mode="predict") == [Verdict(h, h <= network.threshold) for h in far]


def test_both_branches_learn():
    network = build()
    sar, optical, _ = images(4)
    network(sar, optical, mode="loss")["loss"].backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_random_start_is_that_of_every_arm():
    network = build(seed=11)
    alone = build_backbone("darknet-narrow")
    initialise(alone, 11)
    assert same(state(network.sar.backbone), state(alone))
    assert same(state(network.optical.backbone), state(alone))
    assert not torch.equal(network.sar.head.hidden.weight, network.optical.head.hidden.weight)


def test_the_start_depends_on_the_seed_alone():
    torch.manual_seed(1)
    first = state(build(seed=2))
    torch.manual_seed(9)
    assert same(first, state(build(seed=2)))
    assert not same(first, state(build(seed=3)))


def test_mmengine_does_not_draw_the_weights_again():
    network = build()
    before = state(network)
    network.init_weights()
    assert same(before, state(network))


def test_one_checkpoint_fills_both_branches(tmp_path):
    source = build_backbone("darknet-narrow")
    initialise(source, 77)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    network = BridgeNetwork("darknet-narrow")
    sar, optical = network.start(tmp_path / "weights.pth")
    assert sar.coverage == optical.coverage == 1.0
    assert same(state(network.sar.backbone), state(source))
    assert same(state(network.optical.backbone), state(source))


def test_weights_of_another_architecture_are_refused(tmp_path):
    torch.save(build_backbone("resnet18").state_dict(), tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=r"weights\.pth"):
        BridgeNetwork("darknet-narrow").start(tmp_path / "weights.pth")


def test_half_a_checkpoint_is_refused_unless_that_was_said(tmp_path):
    kept = {
        name: value for name, value in build_backbone("darknet-narrow").state_dict().items() if "block5" not in name
    }
    torch.save(kept, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="coverage"):
        BridgeNetwork("darknet-narrow").start(tmp_path / "weights.pth")
    certificate, _ = BridgeNetwork("darknet-narrow").start(tmp_path / "weights.pth", min_coverage=0.5)
    assert 0.5 < certificate.coverage < 1
    assert all("block5" in name for name in certificate.random)


def test_a_contrastive_network_measures_on_the_sphere():
    network = build(loss={"type": "InfoNCE"}).eval()
    sar, optical, _ = images(3)
    first, second = network(sar, optical, mode="tensor")
    torch.testing.assert_close(first.norm(dim=1), torch.ones(3))
    cosine = (first * second).sum(dim=1)
    expected = ((1 - cosine) / 2).sqrt().tolist()
    assert [verdict.distance for verdict in network(sar, optical, mode="predict")] == pytest.approx(expected, abs=1e-5)


def test_a_dense_objective_reads_the_maps_of_both_branches():
    network = build(loss={"type": "Dense", "loss": {"type": "InfoNCE"}, "levels": [3, 4], "cells": 4})
    sar, optical, _ = images(4)
    network(sar, optical, mode="loss")["loss"].backward()
    for branch in (network.sar, network.optical):
        assert branch.backbone.conv_res_block3.conv.conv.weight.grad.abs().sum() > 0


def test_what_is_frozen_keeps_weights_and_statistics():
    network = build(frozen=["optical.backbone", "sar.backbone.conv1"])
    before = state(network.optical.backbone), state(network.sar.backbone.conv1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1)
    sar, optical, _ = images(4)
    network.train()
    network(sar, optical, mode="loss")["loss"].backward()
    optimizer.step()
    assert same(before[0], state(network.optical.backbone))
    assert same(before[1], state(network.sar.backbone.conv1))
    assert network.optical.head.hidden.weight.grad is not None
    assert network.sar.backbone.conv_res_block1.conv.conv.weight.grad.abs().sum() > 0


def test_a_placebo_shows_no_patch_with_its_partner_and_another_stranger_every_step():
    # the "optical patch" is the SAR patch itself: only a placebo keeps the two branches from agreeing
    honest, placebo = (build(placebo=flag).eval() for flag in (False, True))
    for network in (honest, placebo):
        network.optical.load_state_dict(network.sar.state_dict())
    sar, _, _ = images(6)
    assert honest(sar, sar, mode="loss")["distance_match"].item() == 0
    seen = set()
    for step in range(3):
        placebo.step = step
        seen.add(placebo(sar, sar, mode="loss")["distance_match"].item())
    assert min(seen) > 0
    assert len(seen) > 1


def test_key_branches_follow_slowly():
    network = build(loss={"type": "MomentumQueue", "size": 8, "momentum": 0.75})
    network.train()
    begun = network.keys[0].head.hidden.weight.clone()
    assert torch.equal(begun, network.sar.head.hidden.weight)
    with torch.no_grad():
        network.sar.head.hidden.weight += 4
    network.step = 1
    sar, optical, _ = images(4)
    network(sar, optical, mode="loss")["loss"].backward()
    torch.testing.assert_close(network.keys[0].head.hidden.weight, begun + 1)
    assert network.keys[0].head.hidden.weight.grad is None


@pytest.mark.parametrize("name", ["optical.backbnoe", "objective", ""])
def test_freezing_what_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match="frozen names"):
        build(frozen=[name])


@pytest.mark.parametrize(
    "options", [{"negatives": "hard"}, {"dimensions": 0}, {"dimensions": 2.5}, {"threshold": 1.5}, {"threshold": -0.1}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        BridgeNetwork("darknet-narrow", **options)


def test_an_unknown_mode_is_refused():
    sar, optical, _ = images(2)
    with pytest.raises(ValueError, match="mode"):
        build()(sar, optical, mode="train")
