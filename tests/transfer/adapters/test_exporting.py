"""Exports: the framework's users load them by the lines that are printed, and what is not proven is not there."""

import dataclasses
import hashlib
import json
import subprocess

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.runner import load_checkpoint
from safetensors import safe_open

from osm.compat.scope import mmdet_scope
from osm.configs import config_path
from osm.detection.engine import model_config
from osm.detection.recipe import load_recipe
from osm.errors import ConfigError, WeightsError
from osm.transfer.adapters import mmdet as mmdet_adapter
from osm.transfer.adapters import timm as timm_adapter
from osm.transfer.adapters.base import adapter
from osm.transfer.adapters.exporting import export_to
from osm.transfer.adapters.sidecars import read_record
from osm.transfer.architectures import register_backbones
from osm.transfer.export import read_export, read_safetensors

# registers what the printed lines name
register_backbones()


def run_usage(usage):
    names = {}
    exec(usage, names)  # complete as it is printed
    return names


def same(module, tensors, keys=lambda key: key):
    state = module.state_dict()
    return all(torch.equal(state[keys(key)], value) for key, value in tensors.items())


@pytest.mark.parametrize(
    ("architecture", "name", "suffix"),
    [
        ("resnet18", "torchvision", ".pth"),
        ("resnet18", "torchvision", ".safetensors"),
        ("resnet18", "timm", ".safetensors"),
        ("resnet18", "timm", ".pth"),
        ("darknet53", "timm", ".safetensors"),
    ],
)
def test_the_printed_lines_load_it_into_torchvision_and_timm(architecture, name, suffix, exported, filled, tmp_path):
    done = export_to(exported(architecture), name, out=tmp_path / f"w{suffix}")
    model = run_usage(done.usage)["model"].eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        found, expected = adapter(name).features(model, image), filled(architecture)(image)
    assert all(float((a - b).abs().max()) <= 1e-5 for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("architecture", ["resnet18", "darknet53"])
def test_mmdets_own_loaders_take_it_strictly(architecture, exported, tensors, tmp_path):
    done = export_to(exported(architecture), "mmdet", out=tmp_path / "w.pth")
    lines = run_usage(done.usage)
    with mmdet_scope():
        backbone = MODELS.build(lines["backbone"])
    backbone.init_weights()
    assert same(backbone, tensors(architecture))
    with mmdet_scope():
        backbone = MODELS.build({key: value for key, value in lines["backbone"].items() if key != "init_cfg"})
    load_checkpoint(backbone, str(done.path), strict=True)
    assert same(backbone, tensors(architecture))


def test_a_detector_of_mmdet_starts_from_it(exported, tensors, tmp_path):
    done = export_to(exported("resnet18"), "mmdet", out=tmp_path / "w.pth")
    model = run_usage(done.usage)["model"]
    detector = model_config(load_recipe(config_path("detect/faster-rcnn_r18_ssdd.py")))
    detector["backbone"] = {**detector["backbone"], **model["backbone"]}
    detector["data_preprocessor"] = {**detector["data_preprocessor"], **model["data_preprocessor"]}
    with mmdet_scope():
        built = MODELS.build(ConfigDict(detector))
        built.init_weights()
    assert same(built, tensors("resnet18"), lambda key: f"backbone.{key}")


def test_plain_tensors_keep_our_keys_and_card(exported, tensors, tmp_path):
    done = export_to(exported("darknet-narrow"), "safetensors", out=tmp_path / "w.safetensors")
    found, card = read_export(done.path)
    assert card == done.card
    assert card.metrics == {"auc": 0.7}
    assert all(torch.equal(found[key], value) for key, value in tensors("darknet-narrow").items())


def test_card_and_sha256_lie_beside_a_file_that_cannot_hold_them(exported, tmp_path):
    done = export_to(exported("resnet18"), "torchvision", out=tmp_path / "w.pth")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.pth", "w.pth.card.json", "w.pth.sha256"]
    assert done.sha256 == hashlib.sha256(done.path.read_bytes()).hexdigest()
    checked = subprocess.run(["sha256sum", "-c", "w.pth.sha256"], cwd=tmp_path, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "w.pth: OK\n")
    record = json.loads((tmp_path / "w.pth.card.json").read_text())
    assert record["sha256"] == done.sha256
    assert record["card"]["input"]["mean"] == [123.675, 116.28, 103.53]
    assert (record["card"]["input"]["bands"], record["card"]["input"]["replicate_to"]) == (1, 3)
    assert read_record(done.path).card == done.card
    # the same weights have the same SHA-256, whatever the file is called
    again = export_to(exported("resnet18"), "torchvision", out=tmp_path / "other.pth")
    assert again.sha256 == done.sha256


def test_a_safetensors_file_for_others_holds_its_record_and_is_not_taken_for_one_of_ours(exported, tmp_path):
    done = export_to(exported("resnet18"), "timm", out=tmp_path / "w.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.safetensors", "w.safetensors.sha256"]
    with safe_open(done.path, framework="pt") as stream:
        assert stream.metadata()["format"] == "pt"
    assert read_record(done.path).framework == "timm"
    with pytest.raises(WeightsError, match="without a card"):
        read_export(done.path)


def test_without_a_card_the_architecture_is_asked_for_and_the_file_is_named_in_one(tensors, tmp_path):
    torch.save(dict(tensors("resnet18")), tmp_path / "r18.pth")
    with pytest.raises(ConfigError, match=r"r18\.pth: found weights without a card; .*--architecture resnet50"):
        export_to(tmp_path / "r18.pth", "timm")
    done = export_to(tmp_path / "r18.pth", "timm", architecture="resnet18")
    assert done.path == tmp_path / "r18_timm.safetensors"
    assert done.card.start["source"] == "r18.pth"
    with pytest.raises(WeightsError, match="resnet50"):
        export_to(tmp_path / "r18.pth", "torchvision", architecture="resnet50")
    assert not (tmp_path / "r18_torchvision.pth").exists()


def test_what_cannot_be_written_is_said_before_anything_is_built(exported, tmp_path):
    ours = exported("resnet18")
    with pytest.raises(ConfigError, match=r"torchvision: found no darknet-narrow in it; expected resnet18 or resnet50"):
        export_to(exported("darknet-narrow"), "torchvision", out=tmp_path / "w.pth")
    with pytest.raises(ConfigError, match=r"--to: found 'darknet'"):
        export_to(ours, "darknet", out=tmp_path / "w.weights")
    with pytest.raises(ConfigError, match=r"found suffix '.safetensors'; expected .pth"):
        export_to(ours, "mmdet", out=tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=r"--architecture: found resnet50; expected resnet18, as the card"):
        export_to(ours, "mmdet", out=tmp_path / "w.pth", architecture="resnet50")
    with pytest.raises(ConfigError, match="the source itself"):
        export_to(ours, "safetensors", out=ours, overwrite=True)
    (tmp_path / "f.pth").mkdir()
    with pytest.raises(ConfigError, match="a folder"):
        export_to(ours, "mmdet", out=tmp_path / "f.pth", overwrite=True)
    (tmp_path / "w.pth").write_text("of somebody")
    with pytest.raises(ConfigError, match="--overwrite"):
        export_to(ours, "mmdet", out=tmp_path / "w.pth")
    assert (tmp_path / "w.pth").read_text() == "of somebody"
    export_to(ours, "mmdet", out=tmp_path / "w.pth", overwrite=True)
    assert len(torch.load(tmp_path / "w.pth", weights_only=True)) == 120


def exchanged(one, other):
    """A key map that fits in every name and shape, and is wrong."""

    def rename(architecture, keys):
        return {key: {one: other, other: one}.get(key, key) for key in keys}

    return rename


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("layer1.0.conv1.weight", "layer1.0.conv2.weight"),
        ("layer4.1.bn1.weight", "layer4.1.bn1.running_var"),
        ("bn1.running_mean", "layer1.0.bn1.running_mean"),
    ],
)
def test_a_wrong_key_map_is_found_and_nothing_is_left_behind(one, other, exported, tmp_path, monkeypatch):
    wrong = dataclasses.replace(mmdet_adapter.ADAPTER, rename=exchanged(one, other))
    monkeypatch.setattr(mmdet_adapter, "ADAPTER", wrong)
    (tmp_path / "w.pth").write_text("of before")
    with pytest.raises(WeightsError, match=r"w\.pth: found features in mmdet that differ from ours by"):
        export_to(exported("resnet18"), "mmdet", out=tmp_path / "w.pth", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]
    assert (tmp_path / "w.pth").read_text() == "of before"


def test_timms_own_slope_of_darknet53_is_found(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(timm_adapter, "SLOPE", 0.01)
    with pytest.raises(WeightsError, match=r"features in timm that differ from ours"):
        export_to(exported("darknet53"), "timm", out=tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_the_proof_is_of_the_file_and_not_of_what_was_in_memory(exported, tmp_path, monkeypatch):
    save = torch.save

    def damaged(found, stream):
        save({**found, "layer2.0.bn1.bias": found["layer2.0.bn1.bias"] + 0.01}, stream)

    monkeypatch.setattr(torch, "save", damaged)
    with pytest.raises(WeightsError, match="differ from ours"):
        export_to(exported("resnet18"), "torchvision", out=tmp_path / "w.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_partial_source_is_not_exported(tensors, tmp_path):
    part = {key: value for key, value in tensors("resnet18").items() if not key.startswith("layer4.1")}
    torch.save(part, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"coverage 0\.90"):
        export_to(tmp_path / "part.pth", "torchvision", architecture="resnet18")


def test_half_precision_is_exported_as_float32(tensors, tmp_path):
    half = {key: value.half() if value.is_floating_point() else value for key, value in tensors("resnet18").items()}
    torch.save(half, tmp_path / "half.pth")
    done = export_to(tmp_path / "half.pth", "timm", architecture="resnet18")
    found, _ = read_safetensors(done.path)
    assert found["conv1.weight"].dtype == torch.float32
    assert torch.equal(found["conv1.weight"], half["conv1.weight"].float())


def test_an_export_to_ultralytics_is_proven_as_any_other(exported, tmp_path, needs_ultralytics):
    done = export_to(exported("resnet18"), "ultralytics", out=tmp_path / "w.safetensors")
    assert done.largest_difference <= 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.safetensors", "w.safetensors.sha256"]
