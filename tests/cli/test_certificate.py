"""``osm certificate show`` as a user meets it, at 80 columns."""

import json
from dataclasses import replace

import pytest
import torch

from osm.cli.main import main
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_backbone
from osm.transfer.load import certify_random, load_backbone

NAME = "resnet18"


@pytest.fixture(autouse=True)
def _page(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    """A certificate of a backbone whose last stage stayed random and whose first is frozen."""
    folder = tmp_path_factory.mktemp("part")
    state = build_backbone(NAME).state_dict()
    kept = {key: value for key, value in state.items() if "layer4" not in key}
    torch.save({**kept, "fc.weight": torch.zeros(2)}, folder / "part.pth")
    backbone = build_backbone(NAME)
    backbone.layer1.requires_grad_(False)
    loaded = load_backbone(backbone, folder / "part.pth", architecture=NAME, min_coverage=0.5, target="faster-rcnn_r18")
    backbone.layer1.eval()
    loaded.at_step0(backbone).write(folder / "certificate.json")
    return folder


def osm(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    shown, error = capsys.readouterr()
    assert stop.value.code == 0, error
    assert max(map(len, shown.splitlines())) <= 80 or "--json" in arguments
    return shown


def row(shown, name):
    return next(line.split() for line in shown.splitlines() if line.split()[:1] == [name])


def test_everything_that_was_asked_for_is_shown(part, capsys):
    shown = osm(capsys, "certificate", "show", part)
    assert shown == osm(capsys, "certificate", "show", part / "certificate.json")
    content = json.loads((part / "certificate.json").read_text())
    assert "of 100 tensors" in shown
    assert "values that can be trained" in shown
    assert "faster-rcnn_r18" in shown
    assert row(shown, "conv1") == ["conv1", "1", "of", "1", "9,408", "100", "%", "0", "–"]
    assert row(shown, "layer1") == ["layer1", *["20", "of", "20", "147,968", "100", "%", "147,968", "4", "of", "4"]]
    assert row(shown, "layer4")[1:6] == ["0", "of", "25", "8,393,728", "0"]
    assert "stayed random: layer4.0.conv1" in shown
    assert "in the file and not needed: fc.weight" in shown
    assert shown.count(content["sha256_at_load"][:16]) == 2
    assert "equal" in shown
    assert "no card; ImageNet photographs" in shown


def test_the_json_is_that_of_the_file(part, capsys):
    content = json.loads((part / "certificate.json").read_text())
    assert json.loads(osm(capsys, "certificate", "show", part, "--json")) == content


def test_both_branches_of_a_run_are_shown(tmp_path, capsys):
    for name in ("sar", "optical"):
        one = certify_random(build_backbone("darknet-narrow"), architecture="darknet-narrow", target=f"{name} branch")
        one.write(tmp_path / f"certificate_{name}.json")
    shown = osm(capsys, "certificate", "show", tmp_path)
    assert shown.index("sar branch") < shown.index("optical branch")
    assert "not recorded: no training step was taken" in shown
    assert "stayed random: all of it" in shown
    both = json.loads(osm(capsys, "certificate", "show", tmp_path, "--json"))
    assert set(both) == {"certificate_sar.json", "certificate_optical.json"}


def test_a_mismatch_that_was_let_pass_and_a_change_stand_out(tmp_path, capsys):
    contract = replace(InputContract.of("darknet-narrow"), bit_depth=16, radiometry="log:0.5,99.5")
    source = tmp_path / "w.safetensors"
    export_backbone(source, build_backbone("darknet-narrow"), Card("darknet-narrow", contract))
    backbone = build_backbone("darknet-narrow")
    certificate = load_backbone(backbone, source, architecture="darknet-narrow", allow_mismatch=True)
    backbone.conv1.conv.weight.data += 1
    certificate.at_step0(backbone).write(tmp_path / "certificate.json")
    shown = osm(capsys, "certificate", "show", tmp_path / "certificate.json")
    assert row(shown, "bits") == ["bits", "16", "8", "MISMATCH"]
    assert row(shown, "bands")[-1] == "agrees"
    assert row(shown, "radiometry")[-1] == "differs"
    assert "let pass by --allow-contract-mismatch" in shown
    assert "NOT EQUAL: conv1.conv.weight" in shown


def test_a_certificate_of_before_the_schema_is_shown_with_what_it_has(tmp_path, capsys):
    earlier = {
        "format": 1, "coverage": 0.5, "architecture": "resnet18", "source": "weights/a.pth", "source_sha256": "0" * 64,
        "filled": [{"target": "a"}], "random": ["b.weight"], "unused": [],
        "backbone_sha256": {"a": "1", "b.weight": "2"},
    }  # fmt: skip
    (tmp_path / "certificate.json").write_text(json.dumps(earlier))
    shown = osm(capsys, "certificate", "show", tmp_path)
    assert "1 of 2 tensors (50 %" in shown
    assert "Written before there was a schema" in shown


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.json", None, "no such file"),
        ("a.json", "{", "broken JSON"),
        ("b.json", "[1]", "no certificate"),
        ("c.json", '{"schema": "osm-certificate-9"}', "osm-certificate-9; expected a certificate (osm-certificate-1)"),
        ("d.json", '{"schema": "osm-certificate-1"}', "no SHA-256"),
        ("e.json", '{"format": 1, "backbone_sha256": {}}', "entries that are not those of a certificate"),
        ("", None, "a folder without a certificate"),
    ],
)
def test_what_is_none_is_one_line_and_exit_code_2(tmp_path, capsys, name, content, said):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(SystemExit) as stop:
        main(["certificate", "show", str(tmp_path / name)])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
