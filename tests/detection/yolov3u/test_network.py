"""The network: random where it must be, ours where it is filled, exact where it computes with coordinates."""

import copy

import pytest
import torch
from torch import nn

from osm.detection.yolov3u.network import backbone_of, build_network, fill_backbone
from osm.errors import WeightsError
from osm.transfer.architectures import build_backbone
from osm.transfer.certificate import backbone_digests
from osm.transfer.initialise import initialise

pytestmark = pytest.mark.usefixtures("needs_ultralytics")

NARROW = "darknet-narrow"


def backbone(seed):
    module = build_backbone(NARROW)
    initialise(module, seed)
    return module


def test_what_is_filled_comes_back_unchanged_and_neck_and_head_are_left_alone():
    network = build_network(NARROW, 5)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    ours = backbone(8)
    fill_backbone(network, ours, NARROW)
    assert backbone_digests(backbone_of(network, NARROW)) == backbone_digests(ours)
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed
    assert all(int(key.split(".")[1]) <= 10 for key in changed)


def test_the_draw_is_a_function_of_the_seed_and_moves_no_generator():
    state = torch.random.get_rng_state()
    one, two, other = build_network(NARROW, 5), build_network(NARROW, 5), build_network(NARROW, 6)
    assert torch.equal(torch.random.get_rng_state(), state)
    key = "model.11.conv.weight"
    assert all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())
    assert not torch.equal(one.state_dict()[key], other.state_dict()[key])


def test_a_backbone_of_another_width_is_refused():
    wide = backbone(0)
    wide.conv1.conv = nn.Conv2d(3, 64, 3, bias=False)
    with pytest.raises(WeightsError, match="do not fit"):
        fill_backbone(build_network(NARROW, 0), wide, NARROW)


def test_the_copy_shows_what_is_frozen_and_in_which_mode():
    network = build_network(NARROW, 0).eval()
    network.model[0].train()
    network.model[2].cv1.conv.weight.requires_grad_(False)
    ours = backbone_of(network, NARROW)
    assert ours.conv1.bn.training
    assert not ours.conv_res_block1.conv.bn.training
    frozen = [name for name, value in ours.named_parameters() if not value.requires_grad]
    assert frozen == ["conv_res_block1.res0.conv1.conv.weight"]


def test_a_copy_of_the_network_has_a_head_of_its_own():
    network = build_network(NARROW, 0).eval()
    average = copy.deepcopy(network)
    nn.init.zeros_(network.model[-1].cv3[0][-1].weight)
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert not torch.equal(network(images)[0], average(images)[0])


@pytest.mark.parametrize("bfloat16", [False, True])
def test_coordinates_and_loss_stay_exact_under_bfloat16(bfloat16):
    from types import SimpleNamespace

    network = build_network(NARROW, 0, bfloat16=bfloat16)
    network.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5)
    seen = {}
    network.model[0].register_forward_hook(lambda _module, _inputs, output: seen.update(first=output.dtype))
    batch = {
        "img": torch.rand(2, 3, 64, 64),
        "batch_idx": torch.tensor([0.0]),
        "cls": torch.tensor([[0.0]]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.25, 0.25]]),
    }
    loss, _ = network(batch)
    loss.sum().backward()
    assert seen["first"] == (torch.bfloat16 if bfloat16 else torch.float32)
    assert loss.dtype == torch.float32
    assert all(value.grad is not None for value in network.parameters() if value.requires_grad)
    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        found, _ = network(torch.rand(1, 3, 512, 512))
    assert found.dtype == torch.float32
    # coordinates that bfloat16 could hold are whole numbers up there: some must be none
    high = found[:, :2][found[:, :2] > 256]
    assert bool((high != high.bfloat16().float()).any())
