"""``osm export`` and ``osm import`` as a user meets them."""

import pytest
import torch

from osm.cli.main import main
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_backbone, read_export


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


@pytest.mark.parametrize("arguments", [("export", "w", "--to", "caffe"), ("import", "w", "--from", "ultralytics")])
def test_an_unknown_framework_is_refused_with_those_that_are_known(arguments, capsys):
    assert run(*arguments) == 2
    message = capsys.readouterr().err
    assert arguments[-1] in message
    assert "torchvision" in message
