from __future__ import annotations

import pytest
import torch

from osm.errors import ConfigError, WeightsError
from osm.matching.inspection.arms import Asked, find_architecture, load_arms
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_backbone
from osm.transfer.initialise import initialise

NARROW = "darknet-narrow"


def a_backbone(name=NARROW, seed=5):
    backbone = build_backbone(name)
    initialise(backbone, seed)
    return backbone


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An export, the same as a plain state dict, half of it, and an export of another architecture."""
    path, backbone = tmp_path_factory.mktemp("weights"), a_backbone()
    export_backbone(path / "a.safetensors", backbone, Card(NARROW, InputContract.of(NARROW), start={"seed": 7}))
    state = backbone.state_dict()
    torch.save(state, path / "plain.pth")
    torch.save(dict(list(state.items())[: int(0.9 * len(state))]), path / "part.pth")
    export_backbone(path / "r.safetensors", build_backbone("resnet18"), Card("resnet18", InputContract.of("resnet18")))
    return path


def test_the_architecture_is_told_by_the_card_or_by_the_tensors(folder):
    assert find_architecture([folder / "a.safetensors", folder / "plain.pth"]) == NARROW
    assert find_architecture([folder / "part.pth"]) == NARROW
    assert find_architecture([folder / "r.safetensors"], "resnet18") == "resnet18"
    assert find_architecture([], "resnet50") == "resnet50"


def test_architectures_are_not_mixed(folder):
    with pytest.raises(WeightsError, match=r"r\.safetensors: found a backbone of resnet18; expected one of darknet"):
        find_architecture([folder / "a.safetensors", folder / "r.safetensors"])
    with pytest.raises(WeightsError, match="found a backbone of darknet-narrow; expected one of resnet18"):
        find_architecture([folder / "plain.pth"], "resnet18")


def test_what_tells_no_architecture_is_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match="--architecture"):
        find_architecture([])
    torch.save({"embedding.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="no backbone that is known here"):
        find_architecture([tmp_path / "other.pth"])


def test_arms_are_named_as_elsewhere_and_hold_what_was_asked(folder):
    asked = [Asked("scratch"), Asked("imagenet", folder / "part.pth", 0.8), Asked("osm", folder / "a.safetensors", 1.0)]
    scratch, part, whole = load_arms(asked, NARROW, seed=3)
    assert [arm.letter for arm in (scratch, part, whole)] == ["A", "B", "C"]
    assert [arm.label for arm in (scratch, part, whole)] == [
        "scratch", "imagenet (partial)", str(folder / "a.safetensors"),
    ]  # fmt: skip
    drawn, source = a_backbone(seed=3).state_dict(), a_backbone().state_dict()
    last = [key for key in source if key.endswith("weight")][-1]
    assert torch.equal(scratch.backbone.state_dict()[last], drawn[last])
    assert torch.equal(part.backbone.state_dict()[last], drawn[last])
    assert torch.equal(part.backbone.state_dict()["conv1.conv.weight"], source["conv1.conv.weight"])
    assert torch.equal(whole.backbone.state_dict()[last], source[last])
    assert 0.8 < part.coverage < whole.coverage == 1
    assert (part.card, whole.card.start) == (None, {"seed": 7})
    assert not any(arm.backbone.training for arm in (scratch, part, whole))


def test_a_single_arm_is_set_beside_its_own_random_start(folder):
    _, start = load_arms([Asked("osm", folder / "a.safetensors", 1.0)], NARROW, seed=0)
    assert (start.letter, start.label, start.added, start.seed) == ("B", "scratch", True, 7)
    assert torch.equal(start.backbone.state_dict()["conv1.conv.weight"], a_backbone(seed=7).conv1.conv.weight)
    assert len(load_arms([Asked("scratch")], NARROW, seed=0)) == 1


def test_too_many_arms_are_refused():
    with pytest.raises(ConfigError, match="9 arms"):
        load_arms([Asked("scratch")] * 9, NARROW, seed=0)
