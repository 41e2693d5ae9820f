"""Imports: bit for bit what the other framework had, a start that all stages read, and no fault passes."""

import json
from collections import OrderedDict

import pytest
import timm
import torch
import torchvision

from osm.configs import config_path
from osm.detection.recipe import load_recipe
from osm.detection.starts import check_start, parse_start
from osm.errors import ConfigError, WeightsError
from osm.matching.network import BridgeNetwork
from osm.transfer.adapters.exporting import export_to
from osm.transfer.adapters.importing import import_from
from osm.transfer.architectures import build_backbone
from osm.transfer.export import read_export
from osm.transfer.load import load_backbone


@pytest.mark.parametrize(
    ("architecture", "framework", "suffix"),
    [
        ("resnet18", "torchvision", ".pth"),
        ("resnet18", "mmdet", ".pth"),
        ("resnet18", "timm", ".pth"),
        ("resnet50", "timm", ".safetensors"),
        ("darknet53", "timm", ".safetensors"),
    ],
)
def test_what_was_exported_comes_back_bit_for_bit_with_its_card(
    architecture, framework, suffix, exported, tensors, tmp_path
):
    out = export_to(exported(architecture), framework, out=tmp_path / f"w{suffix}").path
    done = import_from(out, framework, architecture=architecture, out=tmp_path / "back.safetensors")
    found, card = read_export(done.path)
    assert found.keys() == tensors(architecture).keys()
    assert all(torch.equal(found[key], value) for key, value in tensors(architecture).items())
    assert (done.coverage, done.missing) == (1.0, ())
    assert card.metrics == {"auc": 0.7}
    assert card.start["import"]["imported_from"] == framework
    assert (tmp_path / "back.safetensors.sha256").read_text() == f"{done.sha256}  back.safetensors\n"


@pytest.fixture(scope="module")
def torchvision_file(tmp_path_factory):
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None)
    path = tmp_path_factory.mktemp("torchvision") / "resnet18.pth"
    torch.save(model.state_dict(), path)
    return path


def test_torchvisions_classifier_becomes_a_start_for_every_stage(torchvision_file, tmp_path):
    done = import_from(torchvision_file, "torchvision", architecture="resnet18", out=tmp_path / "start.safetensors")
    assert done.unused == ("fc.weight", "fc.bias")
    assert done.largest_difference <= 1e-5
    start = done.card.start
    assert (start["imported_from"], start["source"], start["partial"]) == ("torchvision", "resnet18.pth", False)
    # pretraining
    certificates = BridgeNetwork("resnet18").start(done.path)
    assert [certificate.coverage for certificate in certificates] == [1.0, 1.0]
    # fine-tuning and the probe
    recipe = load_recipe(config_path("detect/faster-rcnn_r18_ssdd.py"))
    assert check_start(parse_start(f"imagenet:{done.path}"), recipe).label == "imagenet"
    assert check_start(parse_start(str(done.path)), recipe).coverage == 1.0


def test_timms_and_mmdets_files_are_read_whatever_is_around_the_backbone(tmp_path):
    model = timm.create_model("resnet18", pretrained=False, num_classes=5)
    torch.save(model.state_dict(), tmp_path / "timm.pth")
    done = import_from(tmp_path / "timm.pth", "timm", architecture="resnet18", out=tmp_path / "a.safetensors")
    assert done.unused == ("fc.weight", "fc.bias")
    found, _ = read_export(done.path)
    assert torch.equal(found["layer4.1.conv2.weight"], model.state_dict()["layer4.1.conv2.weight"])
    state = {f"backbone.{key}": value for key, value in build_backbone("resnet18").state_dict().items()}
    torch.save(
        {"state_dict": OrderedDict(state, **{f"neck.{number}": torch.zeros(1) for number in range(20)}), "meta": {}},
        tmp_path / "detector.pth",
    )
    done = import_from(tmp_path / "detector.pth", "mmdet", architecture="resnet18", out=tmp_path / "b.safetensors")
    assert len(done.unused) == 20
    assert done.card.start["unused"][-1] == "and 12 more"


def test_a_partial_file_is_taken_only_on_request_and_named_so(torchvision_file, tmp_path):
    state = torch.load(torchvision_file, weights_only=True)
    lost = [key for key in state if key.startswith("layer4.1")]
    torch.save({key: value for key, value in state.items() if key not in lost}, tmp_path / "part.pth")
    out = tmp_path / "start.safetensors"
    with pytest.raises(WeightsError, match=r"part\.pth: found 90 of the 100 .*layer4\.1\.conv1\.weight.*--allow-par"):
        import_from(tmp_path / "part.pth", "torchvision", architecture="resnet18", out=out)
    assert not out.exists()
    done = import_from(tmp_path / "part.pth", "torchvision", architecture="resnet18", out=out, allow_partial=True)
    assert done.coverage == pytest.approx(0.9)
    found, card = read_export(out)
    assert set(lost).isdisjoint(found)
    assert card.start["partial"] is True
    assert card.start["random"] == [key for key in lost if not key.endswith("num_batches_tracked")]
    # what it lacks stays the arm's own draw, and the least coverage is asked for as ever
    with pytest.raises(WeightsError, match=r"coverage 0\.90"):
        load_backbone(build_backbone("resnet18"), out, architecture="resnet18")
    assert len(load_backbone(build_backbone("resnet18"), out, architecture="resnet18", min_coverage=0.9).random) == 10
    recipe = load_recipe(config_path("detect/faster-rcnn_r18_ssdd.py"))
    assert check_start(parse_start(f"imagenet:{out}"), recipe).label == "imagenet (partial)"


def test_the_partial_weights_at_hand(shared_data, tmp_path):
    path = shared_data / "weights" / "resnet18_imagenet1k-v1_partial.pth"
    done = import_from(
        path, "torchvision", architecture="resnet18", out=tmp_path / "start.safetensors", allow_partial=True
    )
    assert done.coverage == pytest.approx(0.8)
    assert all(key.startswith("layer4") for key in done.missing)
    assert done.largest_difference <= 1e-5


def test_files_without_counters_of_batches_are_complete(torchvision_file, tmp_path):
    state = torch.load(torchvision_file, weights_only=True)
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    done = import_from(tmp_path / "old.pth", "torchvision", architecture="resnet18", out=tmp_path / "a.safetensors")
    assert done.coverage == 1.0
    assert int(read_export(done.path)[0]["bn1.num_batches_tracked"]) == 0


KEY = "layer3.0.bn1.weight"


@pytest.mark.parametrize("allow_partial", [False, True])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda state: state.update(typo=state.pop(KEY)), "a tensor typo that resnet18 does not have"),
        (lambda state: state.update({"encoder.x": torch.zeros(2)}), r"a tensor encoder\.x"),
        (lambda state: state.update({KEY: torch.zeros(255)}), r"layer3\.0\.bn1\.weight of shape \(255,\)"),
        (lambda state: state.update({KEY: torch.zeros(256).long()}), "torch.int64; expected .*floating point"),
        (lambda state: state.update({KEY: torch.full((256,), float("nan"))}), "NaN or infinity"),
        (lambda state: state.update({"bn1.running_var": -state["bn1.running_var"]}), "differ from ours by nan"),
        (lambda state: state.update({"bn1.num_batches_tracked": torch.zeros(3)}), "of shape \\(3,\\).*integer"),
    ],
)
def test_no_fault_in_a_file_passes(fault, message, allow_partial, torchvision_file, tmp_path):
    state = dict(torch.load(torchvision_file, weights_only=True))
    fault(state)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=rf"w\.pth: found .*{message}"):
        import_from(
            tmp_path / "w.pth",
            "torchvision",
            architecture="resnet18",
            out=tmp_path / "out" / "a.safetensors",
            allow_partial=allow_partial,
        )
    assert list((tmp_path / "out").glob("*")) == []


def test_a_file_with_counters_alone_is_not_even_partial(tmp_path):
    torch.save({"bn1.num_batches_tracked": torch.tensor(0)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="0 of the 100 tensors"):
        import_from(
            tmp_path / "w.pth", "mmdet", architecture="resnet18", out=tmp_path / "a.safetensors", allow_partial=True
        )


def test_timms_own_darknet53_is_another_network(tmp_path):
    model = timm.create_model("darknet53", pretrained=False, num_classes=0)
    torch.save(model.state_dict(), tmp_path / "darknet53.pth")
    with pytest.raises(WeightsError, match=r"LeakyReLU 0\.01.*import it from mmdet or from Darknet's own files"):
        import_from(tmp_path / "darknet53.pth", "timm", architecture="darknet53", out=tmp_path / "a.safetensors")


def test_what_is_ours_or_misspelt_is_refused(exported, torchvision_file, tmp_path):
    with pytest.raises(WeightsError, match="weights of ours, with a card"):
        import_from(exported("resnet18"), "torchvision", architecture="resnet18", out=tmp_path / "a.safetensors")
    with pytest.raises(ConfigError, match=r"torchvision: found no darknet53 in it; expected resnet18 or resnet50"):
        import_from(torchvision_file, "torchvision", architecture="darknet53", out=tmp_path / "a.safetensors")
    with pytest.raises(ConfigError, match=r"--from: found 'ultralytics'"):
        import_from(torchvision_file, "ultralytics", architecture="darknet53", out=tmp_path / "a.safetensors")
    with pytest.raises(ConfigError, match=r"expected \.safetensors"):
        import_from(torchvision_file, "torchvision", architecture="resnet18", out=tmp_path / "a.pth")


def test_a_card_beside_a_file_that_changed_or_that_is_broken_stops(exported, tmp_path):
    path = export_to(exported("resnet18"), "torchvision", out=tmp_path / "w.pth").path
    state = torch.load(path, weights_only=True)
    torch.save({**state, "bn1.bias": state["bn1.bias"] + 1}, path)
    arguments = {"architecture": "resnet18", "out": tmp_path / "a.safetensors"}
    with pytest.raises(WeightsError, match="another SHA-256 than in the card beside it"):
        import_from(path, "torchvision", **arguments)
    beside = tmp_path / "w.pth.card.json"
    values = json.loads(beside.read_text())
    for broken in ("{", "[]", json.dumps({**values, "format": 2}), json.dumps({**values, "card": {"format": 1}})):
        beside.write_text(broken)
        with pytest.raises(WeightsError, match=r"w\.pth\.card\.json: found a broken"):
            import_from(path, "torchvision", **arguments)
    beside.unlink()
    assert import_from(path, "torchvision", **arguments).coverage == 1.0


def test_a_flipped_byte_in_a_safetensors_file_of_ours_for_timm_is_found(exported, tmp_path):
    path = export_to(exported("resnet18"), "timm", out=tmp_path / "w.safetensors").path
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="SHA-256"):
        import_from(path, "timm", architecture="resnet18", out=tmp_path / "a.safetensors")
