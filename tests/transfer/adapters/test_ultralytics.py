"""ultralytics' model of our YAML file is our backbone: the same parameters, the same maps."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from osm.compat.ultralytics_scope import ultralytics_scope
from osm.errors import WeightsError
from osm.transfer.adapters.ultralytics import ADAPTER, YAML_FILES, model_config, rename, settle_backbone
from osm.transfer.architectures import ARCHITECTURES, build_backbone
from osm.transfer.initialise import initialise

pytestmark = pytest.mark.usefixtures("needs_ultralytics")


def parameters(module):
    return sum(value.numel() for value in module.parameters())


def randomised(architecture):
    """Our backbone with batch norms as after a training: another eps than the right one would show."""
    levels = range(len(ARCHITECTURES[architecture].channels))
    backbone = build_backbone(architecture, levels)
    backbone.eval()  # which mmdet does not return
    initialise(backbone, 3)
    generator = torch.Generator().manual_seed(0)
    for layer in backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1, generator=generator)
            layer.running_var.uniform_(0.01, 1, generator=generator)
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
    return backbone


@pytest.mark.parametrize("architecture", ADAPTER.architectures)
def test_maps_are_those_of_our_backbone(architecture):
    ours = randomised(architecture)
    theirs = ADAPTER.build(architecture).eval()
    tensors = ours.state_dict()
    keys = rename(architecture, list(tensors))
    assert len(set(keys.values())) == len(keys)
    ADAPTER.load(theirs, {keys[key]: value for key, value in tensors.items()})
    images = torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = ours(images), ADAPTER.features(theirs, images)
    assert len(expected) == len(found)
    for one, other in zip(expected, found, strict=True):
        assert one.shape == other.shape
        assert float((one - other).abs().max()) <= 1e-5


def test_it_is_a_true_darknet_53_and_the_default_activation_stays_what_it_was():
    with ultralytics_scope():
        from ultralytics.nn.modules import Conv
    before = Conv.default_act
    model = ADAPTER.build("darknet53")
    assert parameters(model) == parameters(build_backbone("darknet53"))
    assert round(parameters(model) / 1e6, 2) == 40.58
    convolutions = [module for module in model.modules() if isinstance(module, Conv)]
    assert len(convolutions) == 52
    assert all(isinstance(module.act, nn.LeakyReLU) for module in convolutions)
    assert {module.act.negative_slope for module in convolutions} == {0.1}
    assert Conv.default_act is before
    assert isinstance(Conv.default_act, nn.SiLU)


def test_the_default_activation_is_restored_when_building_fails():
    with ultralytics_scope():
        from ultralytics.nn.modules import Conv
        from ultralytics.nn.tasks import DetectionModel
    before = Conv.default_act
    broken = model_config("darknet-narrow")
    broken["head"][0] = [-1, 1, "Conv", ["many", 1, 1]]
    with pytest.raises(TypeError), ultralytics_scope():
        DetectionModel(broken, ch=3, verbose=False)
    assert Conv.default_act is before


def test_batch_norm_of_the_backbone_is_ours_and_of_the_head_theirs():
    with ultralytics_scope():
        from ultralytics.nn.tasks import DetectionModel

        model = DetectionModel(model_config("darknet-narrow"), ch=3, verbose=False)
    backbone = settle_backbone(model, "darknet-narrow")
    inside = set(map(id, backbone.modules()))
    ours = {m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d) and id(m) in inside}
    theirs = {m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d) and id(m) not in inside}
    assert ours == {1e-5} == {m.eps for m in build_backbone("darknet-narrow").modules() if hasattr(m, "eps")}
    assert theirs == {1e-3}


def test_loading_is_strict():
    model = ADAPTER.build("darknet-narrow")
    whole = model.state_dict()
    ADAPTER.load(model, whole)
    for tensors in (
        {key: value for key, value in whole.items() if key != "model.0.conv.weight"},
        {**whole, "model.11.conv.weight": torch.zeros(1)},
        {**whole, "model.0.conv.weight": torch.zeros(1)},
    ):
        with pytest.raises(WeightsError, match="do not fit"):
            ADAPTER.load(model, tensors)


@pytest.mark.parametrize("architecture", ["darknet53", "resnet18"])
def test_a_key_without_a_place_is_named(architecture):
    with pytest.raises(WeightsError, match=r"^fc\.weight: "):
        rename(architecture, ["fc.weight"])


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_the_usage_that_is_printed_runs(tmp_path, suffix):
    ours = randomised("darknet-narrow").state_dict()
    keys = rename("darknet-narrow", list(ours))
    tensors = {keys[key]: value for key, value in ours.items()}
    path = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    space = {}
    with ultralytics_scope():
        exec(ADAPTER.usage("darknet-narrow", str(path)), space)
    state = space["model"].state_dict()
    assert all(torch.equal(state[keys[key]], value) for key, value in ours.items())
    assert all(path.is_file() for path in YAML_FILES.values())
