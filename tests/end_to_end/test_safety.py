"""Files of strangers, at every door: nothing in them is run, and one line says why they are refused."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from torch import nn

from osm.cli.main import main
from osm.compat.checkpoints import trust_mmengine_checkpoints
from osm.compat.resume import newest_checkpoint
from osm.detection.arms import Init
from osm.detection.finetune import finetune
from osm.detection.recipe import load_recipe
from osm.errors import WeightsError
from osm.matching.workdir import WorkDir
from osm.simulate import simulate_pairs, simulate_scenes
from osm.transfer.hub import load_pretrained

ASKED = f"{open.__module__}.open"  # io's, or _io's from Python 3.12 on


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    simulate_pairs(root / "pairs", count=12, seed=1, size_px=64)
    simulate_scenes(root / "scenes", count=6, seed=3, width_px=256, height_px=256)
    return root


@pytest.fixture(params=["evil.pth", "evil.safetensors"])
def evil(request, tmp_path):
    """A file that creates another one where somebody unpickles it."""
    path = tmp_path / request.param
    torch.save({"state_dict": {"conv1.weight": torch.zeros(2)}, "x": Malicious(tmp_path / "marker")}, path)
    yield path
    assert not (tmp_path / "marker").exists()


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert stop.value.code == 2
    assert len(lines) == 1
    return lines[0]


def reason(path):
    return f"it asks for {ASKED}" if path.suffix == ".pth" else "no whole safetensors file"


def test_every_command_that_takes_weights_refuses_them(evil, data, repo_root, tmp_path, capsys):
    configs, work = repo_root / "configs", ["--work-dir", tmp_path / "work"]
    scenes, pairs = ["--data-root", data / "scenes"], ["--data-root", data / "pairs"]
    small = ["--set", "data.size_px=64", "--set", "train.batch_size=4"]
    commands = [
        ["pretrain", configs / "pretrain/demo_darknet-narrow.py", *pairs, *work, "--init", evil, *small],
        ["finetune", configs / "detect/demo_yolov3_narrow.py", *scenes, *work, "--init", f"osm:{evil}"],
        ["finetune", configs / "detect/demo_yolov3_narrow.py", *scenes, *work, "--init", f"imagenet:{evil}"],
        ["probe", f"osm:{evil}", *scenes, *work, "--config", configs / "probe/simulated.py"],
        ["compare", configs / "compare/demo.py", *scenes, *work, "--arm", f"osm={evil}"],
    ]
    for command in commands:
        said = refused(capsys, *command)
        assert evil.name in said
        assert reason(evil) in said, said


def test_what_reads_exports_alone_refuses_any_pickle(evil, tmp_path, capsys):
    image = tmp_path / "none.png"
    for command in (["match", "pair", evil, image, image], ["match", "query", evil, evil, image], ["card", evil]):
        assert "no whole safetensors file" in refused(capsys, *command)
    (tmp_path / "hub").mkdir()
    shutil.copy(evil, tmp_path / "hub" / "model.safetensors")
    shutil.copy(evil, tmp_path / "hub" / "config.json")
    with pytest.raises(WeightsError, match=r"config\.json"):
        load_pretrained(tmp_path / "hub")
    assert "broken JSON" in refused(capsys, "certificate", "show", evil)


def test_no_checkpoint_of_a_stranger_is_resumed_from(evil, data, repo_root, tmp_path):
    trust_mmengine_checkpoints()
    run = tmp_path / "pretraining"
    run.mkdir()
    shutil.copy(evil, run / "epoch_1.pth")
    with pytest.raises(WeightsError, match=rf"epoch_1\.pth.*it asks for {re.escape(ASKED)}"):
        newest_checkpoint(WorkDir(run).checkpoints, nn.Linear(1, 1))
    folder = tmp_path / "finetuning" / "checkpoints" / "finetuning"
    folder.mkdir(parents=True)
    shutil.copy(evil, folder / "epoch_1.pth")
    small = {"data.tile_px": 128, "data.overlap_px": 32, "train.epochs": 2, "train.checkpoint_epochs": 1}
    recipe = load_recipe(repo_root / "configs/detect/demo_yolov3_narrow.py", small)
    with pytest.raises(WeightsError, match=rf"epoch_1\.pth.*it asks for {re.escape(ASKED)}"):
        finetune(
            recipe,
            init=Init("scratch"),
            data_root=data / "scenes",
            work_dir=tmp_path / "finetuning",
            resume=True,
        )


def test_the_chain_stops_at_another_contract_unless_told_and_writes_that_down(data, repo_root, tmp_path, capsys):
    from osm.transfer.architectures import build_backbone
    from osm.transfer.card import Card, InputContract
    from osm.transfer.export import export_backbone

    name = "darknet-narrow"
    weights = tmp_path / "log.safetensors"
    export_backbone(weights, build_backbone(name), Card(name, InputContract.of(name, radiometry="log:0.5,99.5")))
    configs = repo_root / "configs"
    small = ["--set", "data.tile_px=128", "--set", "data.overlap_px=32", "--set", "train.epochs=1"]
    scenes = ["--data-root", data / "scenes", "--work-dir", tmp_path / "work"]
    finetune_ = ["finetune", configs / "detect/demo_yolov3_narrow.py", *scenes, "--init", f"osm:{weights}", *small]
    config = tmp_path / "compare.py"
    config.write_text(f"title = 'x'\ndetectors = ['{configs}/detect/demo_yolov3_narrow.py']\nseeds = [0]\n")
    small_pairs = ["--set", "data.size_px=64", "--set", "train.batch_size=4"]
    pairs = ["--data-root", data / "pairs", "--work-dir", tmp_path / "bnn", "--init", weights, *small_pairs]
    commands = [
        finetune_,
        ["probe", weights, *scenes, "--config", configs / "probe/simulated.py"],
        ["compare", config, *scenes, "--arm", f"osm={weights}", *small],
        # simulated pairs are mapped linearly
        ["pretrain", configs / "pretrain/demo_darknet-narrow.py", *pairs],
    ]
    for command in commands:
        said = refused(capsys, *command)
        assert "SAR mapped by log:0.5,99.5" in said
        assert "--allow-contract-mismatch" in said
    assert not (tmp_path / "work" / "certificate.json").exists()
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in [*finetune_, "--allow-contract-mismatch"]])
    assert stop.value.code == 0
    contract = json.loads((tmp_path / "work" / "certificate.json").read_text())["contract"]
    assert contract["allowed"] is True
    assert [mismatch["entry"] for mismatch in contract["mismatches"]] == ["radiometry"]
