"""``osm export`` and ``osm import`` as a user meets them."""

import json

import pytest
import torch
from safetensors.torch import load_file

from osm.cli.main import main
from osm.files import digests, write_sealed
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_backbone, read_export, read_safetensors, write_safetensors
from osm.transfer.load import certify_random


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "sar_backbone.safetensors"
    export_backbone(path, build_backbone("resnet18"), Card("resnet18", InputContract.of("resnet18")))
    return path


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def test_export_says_what_was_proven_what_it_is_fed_and_how_to_load_it(source, capsys):
    assert run("export", source, "--to", "torchvision") == 0
    shown = capsys.readouterr().out
    out = source.with_name("sar_backbone_torchvision.pth")
    digest = out.with_name(out.name + ".sha256").read_text().split()[0]
    assert shown.startswith(f"{out}: resnet18 for torchvision\n")
    assert "features equal ours, largest difference 0.0e+00" in shown
    assert digest in shown
    assert "8-bit SAR, 1 band replicated to 3 channels, minus [123.675, 116.28, 103.53], over [58.395" in shown
    assert f"model.load_state_dict(torch.load('{out}', weights_only=True))" in shown


def test_import_and_export_are_each_others_way_back(source, tmp_path, capsys):
    assert run("export", source, "--to", "mmdet", "--out", tmp_path / "a.pth") == 0
    back = tmp_path / "back.safetensors"
    assert run("import", tmp_path / "a.pth", "--from", "mmdet", "--architecture", "resnet18", "--out", back) == 0
    assert f"start from it with --init {back} (osm pretrain) or imagenet:{back}" in capsys.readouterr().out
    ours, found = read_export(source)[0], read_export(back)[0]
    assert all(torch.equal(found[key], value) for key, value in ours.items())


def test_a_partial_start_says_how_much_of_it_is_random(source, tmp_path, capsys):
    state = read_export(source)[0]
    torch.save({key: value for key, value in state.items() if not key.startswith("layer4.1")}, tmp_path / "part.pth")
    arguments = ("import", tmp_path / "part.pth", "--from", "torchvision", "--architecture", "resnet18")
    assert run(*arguments, "--out", tmp_path / "a.safetensors") == 2
    assert "give --allow-partial" in capsys.readouterr().err
    assert run(*arguments, "--out", tmp_path / "a.safetensors", "--allow-partial") == 0
    shown = capsys.readouterr().out
    assert "resnet18 from torchvision (partial: 0.90 of its tensors)" in shown
    assert "random   10 tensors, layer4.1.conv1.weight first" in shown
    assert "with a least coverage of 0.90" in shown


def test_what_does_not_exist_there_is_one_line(tmp_path, capsys):
    path = tmp_path / "d53.safetensors"
    export_backbone(path, build_backbone("darknet53"), Card("darknet53", InputContract.of("darknet53")))
    assert run("export", path, "--to", "torchvision") == 2
    assert capsys.readouterr().err == (
        "error: torchvision: found no darknet53 in it; expected resnet18 or resnet50; choose another framework\n"
    )


@pytest.fixture(params=["dota", "ssdd"])
def detector(request, tmp_path):
    """The folder of a finished detector run, without the training."""
    folder = tmp_path / "run"
    backbone = build_backbone("resnet18")
    state = {f"backbone.{key}": value for key, value in backbone.state_dict().items()}
    data = {"kind": request.param, "radiometry": "none", "train_split": "train", "test_split": "val"}
    recipe = {"detector": "faster-rcnn_r18", "architecture": "resnet18", "data": data, "model": {}}
    texts = {"osm.recipe": json.dumps(recipe)}
    write_safetensors(folder / "detector.safetensors", {**state, "neck.conv.weight": torch.zeros(2)}, texts)
    certify_random(backbone, architecture="resnet18").write(folder / "certificate.json")
    figures = {"ap50": 0.5, "ap_coco": None}
    run = {"seed": 3, "init": "scratch", "tile": figures, "scene": figures}
    files = digests(folder, ("detector.safetensors", "certificate.json"))
    write_sealed(folder / "metrics.json", {**run, "files": files})
    return folder


def test_a_detectors_backbone_goes_to_frameworks_with_a_card_of_its_run(detector, tmp_path, capsys):
    optical = kind_of(detector) == "dota"
    assert run("export", detector, "--to", "torchvision") == 0
    shown = capsys.readouterr().out
    assert ("8-bit images in colours, 3 bands" in shown) is optical
    out = detector / "detector_torchvision.pth"
    ours = {key: value for key, value in torch.load(out, weights_only=True).items() if "num_batches" not in key}
    theirs = load_file(detector / "detector.safetensors")
    assert all(torch.equal(value, theirs[f"backbone.{key}"]) for key, value in ours.items())
    card = json.loads(out.with_name(out.name + ".card.json").read_text())["card"]
    assert (card["data"]["learned"], card["data"]["optical"]) == ("ship detection", optical)
    assert run("export", detector, "--to", "safetensors", "--out", tmp_path / "b.safetensors") == 0
    shown = capsys.readouterr().out
    assert ("--arm osd=" in shown) is optical
    assert ("no arm of a comparison takes it" in shown) is not optical
    assert run("card", tmp_path / "b.safetensors") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"the backbone of a detector of {'optical ships' if optical else 'SAR ships'}" in shown
    assert "per scene AP50 50.0, AP[.5:.95] –" in shown
    assert ("It has seen no SAR image" in shown) is optical
    assert run("export", detector, "--to", "hub-folder") == 2
    assert "take its backbone out first" in capsys.readouterr().err
    assert run("export", tmp_path / "b.safetensors", "--to", "hub-folder", "--out", tmp_path / "hub") == 0
    page = (tmp_path / "hub" / "README.md").read_text()
    assert ("SAR branch" in page, "the arm osd of a comparison" in page) == (False, optical)


def kind_of(folder):
    return json.loads(read_safetensors(folder / "detector.safetensors")[1]["osm.recipe"])["data"]["kind"]


@pytest.mark.parametrize("arguments", [("export", "w", "--to", "caffe"), ("import", "w", "--from", "ultralytics")])
def test_an_unknown_framework_is_refused_with_those_that_are_known(arguments, capsys):
    assert run(*arguments) == 2
    message = capsys.readouterr().err
    assert arguments[-1] in message
    assert "torchvision" in message
