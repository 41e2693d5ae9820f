"""A detector of optical ships → its backbone → an arm beside the others → a fusion, as a user types it."""

import json

import pytest

from tests.commands import osm

pytest.importorskip("ensemble_boxes", reason="the extra fusion is not installed")
DETECTOR = "yolov3_darknet-narrow"
TINY = ["--set", "data.tile_px=128", "--set", "data.overlap_px=32", "--set", "train.epochs=1"]


@pytest.fixture(scope="module")
def chain(tmp_path_factory, repo_root):
    """By the commands of docs/osd.md, on simulated scenes."""
    from osm.transfer.architectures import build_backbone
    from osm.transfer.card import Card, InputContract
    from osm.transfer.export import export_backbone
    from osm.transfer.initialise import initialise

    root = tmp_path_factory.mktemp("osd")
    configs = repo_root / "configs"
    optical = ["--out", root / "dota", "--layout", "dota", "--count", 8, "--size", 256, "--seed", 1]
    assert osm("simulate", "scenes", *optical) == 0
    assert osm("simulate", "scenes", "--out", root / "scenes", "--count", 6, "--size", 256, "--seed", 3) == 0
    assert osm("data", "verify", "dota", root / "dota") == 0
    config = configs / "detect/demo_yolov3_narrow.py"
    dota = ["--set", "data.kind=dota", "--set", "data.test_split=val", "--set", "data.radiometry=none"]
    run = ["--data-root", root / "dota", "--init", "scratch", "--work-dir", root / "optical"]
    assert osm("finetune", config, *run, *dota, *TINY) == 0
    assert osm("export", root / "optical", "--to", "safetensors", "--out", root / "osd.safetensors") == 0

    # in place of a matched branch: what the arms are worth is no question here
    backbone = build_backbone("darknet-narrow")
    initialise(backbone, 5)
    export_backbone(root / "osm.safetensors", backbone, Card("darknet-narrow", InputContract.of("darknet-narrow")))
    (root / "compare.py").write_text(f"title = 'OSD'\ndetectors = ['{config}']\nseeds = [0]\nfuse = [('osd', 'osm')]\n")
    assert osm(*compare(root), *TINY) == 0
    return root


def compare(root, name="compare.py"):
    arms = ["--arm", f"osd={root / 'osd.safetensors'}", "--arm", f"osm={root / 'osm.safetensors'}"]
    return ["compare", root / name, "--data-root", root / "scenes", "--work-dir", root / "compare", *arms]


def test_the_chain_ends_in_a_report_with_the_arm_and_the_fusion(chain):
    report = json.loads((chain / "compare/report/report.json").read_text())
    assert [cell["arm"] for cell in report["cells"]] == ["scratch", "osd", "osm", "osd+osm"]
    assert [arm["kind"] for arm in report["arms"]] == ["scratch", "osd", "osm", "fusion"]
    assert all(0 <= cell[name] <= 1 for cell in report["cells"] for name in ("ap50_tile", "ap50_scene"))
    compared = {(one["arm"], one["baseline"]) for one in report["deltas"]}
    assert {("osd+osm", "scratch"), ("osd+osm", "osd"), ("osd+osm", "osm"), ("osd", "scratch")} <= compared
    text = (chain / "compare/report/report.md").read_text()
    assert "pretrained as a detector of optical ships (dota, 6 scenes)" in text
    assert "Fusion of osd and osm: no initialisation" in text
    assert "agrees; trained on the 3 bands of images in colours, fed 1 band of SAR given 3 times" in text


def test_the_detector_started_from_the_optical_detectors_backbone_bit_for_bit(chain):
    from safetensors.torch import load_file

    from osm.transfer.export import tensor_sha256

    optical = load_file(chain / "optical/detector.safetensors")
    certificate = json.loads((chain / f"compare/cells/{DETECTOR}/osd/seed0/certificate.json").read_text())
    assert certificate["coverage"] == 1.0
    assert certificate["step0"]["equal"]
    assert certificate["backbone_sha256"] == {
        key.removeprefix("backbone."): tensor_sha256(value)
        for key, value in optical.items()
        if key.startswith("backbone.") and not key.endswith("num_batches_tracked")
    }


def test_the_optical_scenes_were_looked_at_for_leaks(chain):
    parts = json.loads((chain / "compare/leakage.json").read_text())["parts"]
    (part,) = [part for part in parts if part["against"] == "pretraining scenes"]
    assert (part["arm"], part["pairs"], part["checked"], part["test_scenes"]) == ("osd", "dota", True, [])


def test_a_report_is_rendered_again_from_what_was_fused(chain, capsys, monkeypatch):
    before = json.loads((chain / "compare/report/report.json").read_text())
    monkeypatch.setattr("osm.compare.fusion.fuse_predictions", None)  # nothing may be fused again
    assert osm("report", chain / "compare", "--out", chain / "again") == 0
    assert json.loads((chain / "again/report.json").read_text())["cells"] == before["cells"]
    assert osm("report", chain / "compare", "--fuse", "osm+osd", "--out", chain / "again") == 0
    assert json.loads((chain / "again/report.json").read_text())["arms"] == before["arms"]


def test_a_fusion_can_be_asked_for_when_all_is_trained(chain):
    assert osm("report", chain / "compare", "--fuse", "scratch+osm", "--out", chain / "more") == 0
    more = json.loads((chain / "more/report.json").read_text())
    assert [arm["name"] for arm in more["arms"]] == ["scratch", "osd", "osm", "osd+osm", "scratch+osm"]
    assert any("Fusion of scratch and osm" in caveat for caveat in more["caveats"])
    # the plan is what it was
    assert osm("report", chain / "compare", "--out", chain / "more") == 0
    assert len(json.loads((chain / "more/report.json").read_text())["arms"]) == 4


def test_the_same_comparison_again_keeps_every_cell(chain, capsys):
    cells = sorted((chain / "compare/cells").rglob("*.json"))
    stamps = [path.stat().st_mtime_ns for path in cells]
    assert osm(*compare(chain), *TINY) == 0
    assert [path.stat().st_mtime_ns for path in cells] == stamps
    assert "fusion of osd and osm" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--arm", "osm={root}/osd.safetensors"], "of optical ships, for a start of the kind osm"),
        (["--arm", "osd={root}/osm.safetensors"], "for a start of the kind osd"),
        (["--fuse", "osd+osx"], "and no arm osd"),
    ],
)
def test_swapped_files_and_slips_are_one_line(chain, capfd, arguments, said, tmp_path):
    filled = [argument.format(root=chain) for argument in arguments]
    (tmp_path / "c.py").write_text((chain / "compare.py").read_text().replace("fuse = ", "caveats = [] # "))
    capfd.readouterr()
    assert osm("compare", tmp_path / "c.py", "--data-root", chain / "scenes", *filled, "--work-dir", tmp_path) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert said in line
