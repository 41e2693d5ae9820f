"""The whole chain as a user types it, on data small enough for a test."""

import json
import subprocess
import sys

import pytest

from tests.commands import osm


@pytest.fixture(scope="module")
def chain(tmp_path_factory, repo_root):
    """Pairs → branch → detectors → report, by the commands of the README."""
    root = tmp_path_factory.mktemp("chain")
    configs = repo_root / "configs"
    assert osm("simulate", "pairs", "--out", root / "pairs", "--count", 24, "--size", 64) == 0
    assert osm("simulate", "scenes", "--out", root / "scenes", "--count", 6, "--size", 256, "--seed", 3) == 0
    pretrain = ["pretrain", configs / "pretrain/demo_darknet-narrow.py", "--data-root", root / "pairs"]
    small = ["--set", "data.size_px=64", "--set", "train.epochs=2", "--set", "train.batch_size=4"]
    assert osm(*pretrain, "--work-dir", root / "bnn", *small) == 0
    (root / "compare.py").write_text(
        f"title = 'Chain'\ndetectors = ['{configs}/detect/demo_yolov3_narrow.py']\nseeds = [0]\n"
    )
    tiny = ["--set", "data.tile_px=128", "--set", "data.overlap_px=32", "--set", "train.epochs=1"]
    weights = root / "bnn/sar_backbone.safetensors"
    compare = ["compare", root / "compare.py", "--data-root", root / "scenes", "--arm", f"osm={weights}"]
    assert osm(*compare, "--work-dir", root / "compare", *tiny) == 0
    return root


def test_the_chain_ends_in_a_report_with_both_arms(chain):
    report = json.loads((chain / "compare/report/report.json").read_text())
    assert {cell["arm"] for cell in report["cells"]} == {"scratch", "osm"}
    assert all(0 <= cell["ap50_scene"] <= 1 for cell in report["cells"])
    page = (chain / "compare/report/index.html").read_text()
    assert "Simulated data" in page
    assert "Simulated data" in (chain / "compare/report/report.md").read_text()


def test_the_detector_started_from_the_sar_branch_bit_for_bit(chain):
    from safetensors.torch import load_file

    from osm.transfer.export import tensor_sha256

    exported = load_file(chain / "bnn/sar_backbone.safetensors")
    cell = chain / "compare/cells/yolov3_darknet-narrow/osm/seed0"
    certificate = json.loads((cell / "certificate.json").read_text())
    assert certificate["coverage"] == 1.0
    assert certificate["backbone_sha256"] == {
        key: tensor_sha256(value) for key, value in exported.items() if not key.endswith("num_batches_tracked")
    }


def test_matching_figures_say_what_they_are_of(chain):
    metrics = json.loads((chain / "bnn/metrics.json").read_text())
    assert {"accuracy", "precision", "recall", "auc"} <= metrics.keys()
    assert 0 <= metrics["auc"] <= 1
    assert metrics["data"]["simulated"] is True


def test_tools_are_the_same_commands(repo_root, chain):
    finetune = [sys.executable, repo_root / "tools/finetune.py", repo_root / "configs/detect/demo_yolov3_narrow.py"]
    small = ["--set", "data.tile_px=128", "--set", "data.overlap_px=32", "--set", "train.epochs=1"]
    work = ["--data-root", chain / "scenes", "--work-dir", chain / "tools"]
    command = [*finetune, *work, "--init", f"osm:{chain / 'bnn/sar_backbone.safetensors'}", *small]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "100 of 100 backbone tensors loaded" in done.stdout
    again = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert again.stderr.startswith("error: ")
    assert "a finished run" in again.stderr
    assert again.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["finetune", "{configs}/detect/demo_yolov3_narrow.py", "--data-root", "{root}/none", "--init", "scratch"],
            "none",
        ),
        (
            ["finetune", "{configs}/detect/demo_yolov3_narrow.py", "--data-root", "{root}/scenes", "--init", "osm"],
            "--init",
        ),
        (["finetune", "{root}/none.py", "--data-root", "{root}/scenes", "--init", "scratch"], "none.py"),
        (["compare", "{root}/compare.py", "--data-root", "{root}/scenes", "--arm", "osm={root}/no.pth"], "no.pth"),
        (["compare", "{root}/compare.py", "--data-root", "{root}/scenes", "--set", "train.epoch=1"], "epochs"),
        (
            ["pretrain", "{configs}/pretrain/demo_resnet18.py", "--data-root", "{root}/none", "--work-dir", "{root}/w"],
            "none",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(chain, repo_root, capfd, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    filled = [argument.format(configs=repo_root / "configs", root=chain) for argument in arguments]
    capfd.readouterr()
    assert osm(*filled) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert said in lines[0]
    assert not list(tmp_path.rglob("metrics.json"))
