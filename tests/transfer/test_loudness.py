"""Stages that drown others: found where gains differ, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from osm.compare.arms import gather_arms
from osm.compare.plan import make_plan
from osm.transfer.architectures import build_backbone
from osm.transfer.initialise import initialise
from osm.transfer.load import load_backbone
from osm.transfer.loudness import loud_stages, loudness
from osm.transfer.stages import stages_of


def resnet(seed=0):
    backbone = build_backbone("resnet18")
    initialise(backbone, seed)
    return backbone


def quieter(backbone, gain, but):
    """The same with other gains, where a file has some: what it would hold of all stages but one."""
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if parameter.ndim == 1 and name.endswith("weight") and not name.startswith(but):
                parameter.mul_(gain)
    return {key for key in backbone.state_dict() if not key.startswith(but)}


@pytest.mark.parametrize("gain", [0.25, 0.4])
def test_a_stage_that_stayed_random_above_quiet_ones_is_named_with_its_factor(gain):
    before, backbone = loudness(resnet()), resnet()
    filled = quieter(backbone, gain, "layer4")
    (found,) = loud_stages(before, loudness(backbone), stages_of(backbone, filled))
    assert found.name == "layer4"
    # the gain of a block is that of its last norm; its shortcut carries what is quiet, too
    assert found.factor == pytest.approx(1 / gain, rel=0.35)
    assert "layer4 is random and" in found.words


@pytest.mark.parametrize("but", ["layer1", "layer3", "layer4"])
def test_like_gains_are_no_finding(but):
    backbone = resnet(1)
    filled = {key for key in backbone.state_dict() if not key.startswith(but)}
    assert loud_stages(loudness(resnet()), loudness(backbone), stages_of(backbone, filled)) == []


def test_nothing_is_found_where_all_or_nothing_was_filled():
    backbone = resnet()
    quieter(backbone, 0.2, "layer4")
    after = loudness(backbone)
    for filled in (set(), set(backbone.state_dict())):
        assert loud_stages(loudness(resnet()), after, stages_of(backbone, filled)) == []


@pytest.mark.parametrize("architecture", ["resnet18", "darknet-narrow"])
def test_a_backbone_is_left_as_it_was(architecture):
    backbone = build_backbone(architecture)
    backbone.eval()
    first = next(module for module in backbone.modules() if isinstance(module, torch.nn.BatchNorm2d))
    first.train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    random = torch.random.get_rng_state()
    assert loudness(backbone) == loudness(backbone)
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
    assert [module for module in backbone.modules() if module.training] == [first]
    assert not any(module._forward_hooks for module in backbone.modules())
    assert torch.equal(torch.random.get_rng_state(), random)


def test_the_incomplete_weights_at_hand_are_told_of_before_anything_trains(repo_root, shared_data, tmp_path):
    """Their batch norm was folded, and made anew with gains of 0.3; the last stage stays random, with gains of 1."""
    path = shared_data / "weights/resnet18_imagenet1k-v1_partial.pth"
    backbone = resnet()
    certificate = load_backbone(backbone, path, architecture="resnet18", min_coverage=0.8)
    assert [stage.name for stage in loud_stages(loudness(resnet()), loudness(backbone), certificate.stages)] == [
        "layer4"
    ]
    plan = make_plan(repo_root / "configs/compare/ssdd_quick.py", gather_arms([f"imagenet={path}"]))
    (note,) = (arm.note for arm in plan.arms if arm.kind == "imagenet")
    assert "80 of 100 tensors of resnet18, 26 % of the values that can be trained" in note
    assert "layer4 is random and 2." in note
