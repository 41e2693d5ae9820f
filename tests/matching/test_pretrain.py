"""Stage 1 as a user runs it, on a dozen and a half of simulated pairs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import torch
from jsonschema import Draft202012Validator
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from PIL import Image

from osm.data.radiometry import Radiometry
from osm.errors import ConfigError, DataError, WeightsError
from osm.files import read_json
from osm.matching.pretrain import pretrain
from osm.matching.runner import runner_config
from osm.transfer.architectures import build_backbone
from osm.transfer.certificate import read_certificate, schema
from osm.transfer.export import read_export
from osm.transfer.load import load_backbone


def checkpoint(folder, epoch):
    from osm.compat.checkpoints import load_from_local, trust_mmengine_checkpoints

    trust_mmengine_checkpoints()
    return load_from_local(str(folder / f"epoch_{epoch}.pth"), map_location="cpu")


def branch(state, name):
    prefix = f"{name}.backbone."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_it_leaves_figures_certificates_and_an_export(finished):
    work = finished.work_dir
    metrics = read_json(work / "metrics.json")
    assert metrics["threshold"] == 0.38
    assert all(0 <= metrics[name] <= 1 for name in ("accuracy", "precision", "recall", "auc"))
    assert all(0 <= metrics["at_chosen_threshold"][name] <= 1 for name in ("accuracy", "precision", "recall"))
    assert metrics["test_matches"] == 7
    assert metrics["training"]["steps"] == 12
    assert metrics["data"]["simulated"] is True
    assert metrics["reference"]["resnet50"] == {"accuracy": 0.829, "precision": 0.748, "recall": 0.993}
    assert {"setting": "train.epochs", "reference": 200, "here": 4} in metrics["departures"]
    for name in ("sar", "optical"):
        certificate = read_certificate(work / f"certificate_{name}.json")
        Draft202012Validator(schema()).validate(certificate)
        assert certificate["coverage"] == 0.0
        assert certificate["target"] == f"{'SAR' if name == 'sar' else name} branch"
        assert certificate["contract"]["target"]["bands"] == (1 if name == "sar" else 3)
        assert certificate["step0"]["equal"] is True


def test_the_export_is_the_sar_backbone_bit_for_bit(finished):
    tensors, card = read_export(finished.work_dir / "sar_backbone.safetensors")
    state = checkpoint(finished.work_dir, 4)["state_dict"]
    assert equal(tensors, branch(state, "sar"))
    assert not equal(tensors, branch(state, "optical"))
    assert card.architecture == "darknet-narrow"
    assert str(Radiometry.parse(card.input.radiometry)) == card.input.radiometry
    assert card.data["simulated"] is True
    assert card.metrics["auc"] == read_json(finished.work_dir / "metrics.json")["auc"]
    assert card.start["coverage"] == 0.0


def test_the_export_loads_into_a_backbone_whole(finished):
    certificate = load_backbone(
        build_backbone("darknet-narrow"), finished.work_dir / "sar_backbone.safetensors", architecture="darknet-narrow"
    )
    assert certificate.coverage == 1.0


def test_the_weights_moved(finished):
    certificate = read_json(finished.work_dir / "certificate_sar.json")
    tensors, _ = read_export(finished.work_dir / "sar_backbone.safetensors")
    from osm.transfer.export import tensor_sha256

    kept = [name for name, digest in certificate["backbone_sha256"].items() if tensor_sha256(tensors[name]) == digest]
    assert kept == []


def test_every_epoch_is_a_line_of_the_log(finished):
    lines = [line for line in (finished.work_dir / "pretrain.log").read_text().splitlines() if "Epoch(train)" in line]
    assert len(lines) == 4
    for word in ("lr:", "eta:", "loss:", "distance_match:", "distance_nonmatch:", "pairs_per_s:"):
        assert word in lines[-1]


def test_a_finished_run_is_refused_and_resuming_it_changes_nothing(finished, tiny):
    common = {"data_root": finished.data_root, "work_dir": finished.work_dir, "options": tiny}
    before = (finished.work_dir / "sar_backbone.safetensors").stat().st_mtime_ns
    with pytest.raises(ConfigError, match="found a finished run"):
        pretrain(finished.config, **common)
    result = pretrain(finished.config, resume=True, **common)
    assert result.sar_backbone.stat().st_mtime_ns == before


def test_killed_and_resumed_it_ends_with_the_same_weights(finished, tiny, tmp_path, repo_root):
    work = tmp_path / "killed"
    settings = [word for name, value in tiny.items() for word in ("--set", f"{name}={value}")]
    command = [
        sys.executable, str(repo_root / "tools" / "pretrain.py"), str(finished.config), *settings,
        "--data-root", str(finished.data_root), "--work-dir", str(work),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not (work / "last_checkpoint").is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
    assert (work / "last_checkpoint").is_file(), errors
    assert not (work / "sar_backbone.safetensors").exists()
    common = {"data_root": finished.data_root, "work_dir": work, "options": tiny}
    with pytest.raises(ConfigError, match="continue it with --resume"):
        pretrain(finished.config, **common)
    with pytest.raises(ConfigError, match=r"train\.batch_size = 4; expected 5"):
        pretrain(finished.config, **{**common, "options": {**tiny, "train.batch_size": 4}}, resume=True)
    pretrain(finished.config, **common, resume=True)
    resumed, whole = checkpoint(work, 4), checkpoint(finished.work_dir, 4)
    assert equal(resumed["state_dict"], whole["state_dict"])
    assert resumed["meta"]["iter"] == whole["meta"]["iter"] == 12
    figures, expected = read_json(work / "metrics.json"), read_json(finished.work_dir / "metrics.json")
    assert {**figures, "seconds": 0} == {**expected, "seconds": 0}


@HOOKS.register_module()
class InterruptHook(Hook):
    """Ends the second epoch after its checkpoint as Ctrl-C would."""

    priority = "LOWEST"

    def after_train_epoch(self, runner):
        if runner.epoch == 1:
            raise KeyboardInterrupt


def test_augmentation_goes_on_where_it_was_interrupted(finished, tiny, tmp_path, monkeypatch):
    varied = {"turn": True, "crop_px": 48, "speckle_looks": 4.0, "sar_gain_db": 2.0, "brightness": 0.3, "grey": 0.2}
    options = {**tiny, "data.size_px": 32, **{f"augment.{name}": value for name, value in varied.items()}}
    common = {"data_root": finished.data_root, "options": options}
    whole = pretrain(finished.config, work_dir=tmp_path / "whole", **common)
    with monkeypatch.context() as patch:

        def interrupted(*arguments, **named):
            config = runner_config(*arguments, **named)
            return {**config, "custom_hooks": [*config["custom_hooks"], {"type": "InterruptHook"}]}

        patch.setattr("osm.matching.pretrain.runner_config", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain(finished.config, work_dir=tmp_path / "halves", **common)
    assert (tmp_path / "halves" / "epoch_2.pth").is_file()
    pretrain(finished.config, work_dir=tmp_path / "halves", resume=True, **common)
    resumed, expected = checkpoint(tmp_path / "halves", 4), checkpoint(tmp_path / "whole", 4)
    assert resumed["meta"]["iter"] == 12
    assert equal(resumed["state_dict"], expected["state_dict"])
    _, card = read_export(whole.sar_backbone)
    assert {name: card.config["augment"][name] for name in varied} == varied
    departed = {entry["setting"] for entry in read_json(whole.metrics)["departures"]}
    assert departed >= {f"augment.{name}" for name in varied}


def test_reference_sampling_and_another_precision_are_one_setting_each(finished, tiny, tmp_path):
    options = {**tiny, "train.epochs": 1, "model.negatives": "reference", "train.precision": "float32"}
    result = pretrain(finished.config, data_root=finished.data_root, work_dir=tmp_path / "run", options=options)
    departed = {entry["setting"] for entry in read_json(result.metrics)["departures"]}
    assert departed.isdisjoint({"model.negatives", "train.precision"})


def test_a_loss_that_is_no_number_stops_with_its_step(finished, tiny, tmp_path):
    options = {**tiny, "train.optimizer.lr": 1e30, "train.precision": "float32"}
    with pytest.raises(ConfigError, match=r"^step \d+ \(epoch \d\): found a loss of (nan|inf)"):
        pretrain(finished.config, data_root=finished.data_root, work_dir=tmp_path / "run", options=options)
    assert not (tmp_path / "run" / "sar_backbone.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train.batch_size": 16}, r"train\.batch_size = 16 for 15 training pairs.*set train\.batch_size=15"),
        ({"augment.crop_px": 65}, r"augment\.crop_px = 65 for patches of 64x64.*set augment\.crop_px=64"),
        ({"data.size_px": 128}, r"data\.size_px = 128 for patches of 64x64.*set data\.size_px=64"),
        ({"train.epoch": 3}, r"'epoch' in train.*write 'epochs'"),
        ({"data.split": "scene"}, "scene"),
    ],
)
def test_settings_that_do_not_fit_stop_before_anything_is_written(finished, tiny, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        pretrain(finished.config, data_root=finished.data_root, work_dir=tmp_path / "run", options={**tiny, **options})
    assert not (tmp_path / "run").exists()


def test_a_missing_partner_stops_before_anything_is_written(finished, tiny, own_pairs, tmp_path):
    victim = own_pairs / "QXSLAB_SAROPT" / "opt_256_oc_0.2" / "5.png"
    victim.unlink()
    with pytest.raises(DataError, match=r"5\.png: found no such file"):
        pretrain(finished.config, data_root=own_pairs, work_dir=tmp_path / "run", options=tiny)
    assert not (tmp_path / "run").exists()


def test_a_file_that_breaks_in_the_middle_of_an_epoch_is_named_and_the_run_goes_on_when_it_is_back(
    demo_config, own_pairs, tmp_path, tiny, monkeypatch
):
    from osm.matching.hooks import FiniteLossHook

    check, victims = FiniteLossHook.after_train_iter, []

    def break_a_file(self, runner, batch_idx, data_batch=None, outputs=None):
        check(self, runner, batch_idx, data_batch, outputs)
        if runner.iter == 3:  # the first step of the second epoch; this pair comes later in it
            order = list(runner.train_dataloader.sampler)
            dataset = runner.train_dataloader.dataset
            path = dataset.folder.optical_dir / dataset.names([order[-1]])[0]
            victims.append((path, path.read_bytes()))
            path.write_bytes(victims[0][1][:300])

    monkeypatch.setattr(FiniteLossHook, "after_train_iter", break_a_file)
    run = {"data_root": own_pairs, "work_dir": tmp_path / "run", "options": {**tiny, "train.epochs": 2}}
    with pytest.raises(DataError, match="broken or truncated") as caught:
        pretrain(demo_config, **run)
    path, whole = victims[0]
    assert caught.value.where == str(path)
    assert [entry.name for entry in run["work_dir"].glob("epoch_*")] == ["epoch_1.pth"]
    monkeypatch.undo()
    path.write_bytes(whole)
    assert pretrain(demo_config, **run, resume=True).sar_backbone.is_file()


def test_a_part_with_one_pair_is_refused(finished, tiny, tmp_path):
    options = {**tiny, "data.train_fraction": 0.97}
    with pytest.raises(DataError, match="found 1 test pairs among 22"):
        pretrain(finished.config, data_root=finished.data_root, work_dir=tmp_path / "run", options=options)


def test_weights_of_another_architecture_leave_a_run_untouched(finished, tiny, tmp_path):
    torch.save(build_backbone("resnet18").state_dict(), tmp_path / "resnet.pth")
    before = sorted(path.name for path in finished.work_dir.iterdir())
    with pytest.raises(WeightsError, match=r"resnet\.pth"):
        pretrain(
            finished.config, data_root=finished.data_root, work_dir=finished.work_dir, options=tiny,
            init=tmp_path / "resnet.pth", overwrite=True,
        )  # fmt: skip
    assert sorted(path.name for path in finished.work_dir.iterdir()) == before


def test_requests_that_contradict_each_other_are_refused(finished, tmp_path):
    common = {"data_root": finished.data_root, "work_dir": tmp_path / "run"}
    with pytest.raises(ConfigError, match="found both"):
        pretrain(finished.config, **common, resume=True, overwrite=True)
    with pytest.raises(ConfigError, match="--launcher"):
        pretrain(finished.config, **common, launcher="mpi")


def test_a_packed_store_trains_the_same_weights_and_both_say_what_they_left_out(demo_config, own_pairs, tmp_path, tiny):
    from osm.data.pack import pack_pairs
    from osm.data.pairs import read_pairs

    folder = read_pairs(own_pairs)
    for side in (folder.sar_dir, folder.optical_dir):
        (side / "9.png").write_bytes((side / "5.png").read_bytes())
    Image.new("L", (64, 64)).save(folder.sar_dir / "3.png")
    Image.new("RGB", (64, 64), (9, 90, 200)).save(folder.optical_dir / "4.png")
    Image.new("RGB", (48, 48)).save(folder.optical_dir / "6.png")
    reasons = {"duplicate": 1, "constant SAR": 1, "constant optical": 1, "unequal size": 1}
    pack_pairs(own_pairs, tmp_path / "packed")
    exports = []
    for root in (own_pairs, tmp_path / "packed"):
        work_dir = tmp_path / "runs" / root.name
        result = pretrain(demo_config, data_root=root, work_dir=work_dir, options={**tiny, "train.epochs": 1})
        exports.append(read_export(result.sar_backbone)[0])
        data = read_json(result.metrics)["data"]
        assert (data["pairs"], data["dropped"], data["simulated"]) == (18, reasons, True)
        assert "9.png,duplicate,the same pixels as 5.png" in (work_dir / "dropped.csv").read_text()
        assert "4 pairs are left out" in (work_dir / "pretrain.log").read_text()
    assert equal(*exports)


def test_the_blocked_split_says_how_many_groups_there_are(demo_config, own_pairs, tmp_path, tiny):
    options = {**tiny, "train.epochs": 1, "data.split": "blocked"}
    seen = []

    @contextmanager
    def watch():
        yield lambda *step: seen.append(step)
        seen.append("closed")

    result = pretrain(demo_config, data_root=own_pairs, work_dir=tmp_path / "run", options=options, watch=watch)
    told = [("screen pairs", 0, 22), ("screen pairs", 22, 22), ("search overlaps", 0, 22), ("search overlaps", 22, 22)]
    assert seen == [*told, "closed"]
    data = read_json(result.metrics)["data"]
    assert data["split"] == "blocked"
    assert data["overlapping_groups"] == 22
    assert data["seam_pairs"] == 0


def test_a_changed_byte_of_any_file_of_a_run_is_found_by_sha256sum(finished, tmp_path):
    run = shutil.copytree(finished.work_dir, tmp_path / "run")

    def check():
        command = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
        return subprocess.run(command, cwd=run, capture_output=True, text=True, check=False)

    listed = {line.split("  ", 1)[1] for line in (run / "SHA256SUMS").read_text().splitlines()}
    assert {"sar_backbone.safetensors", "bridge_network.safetensors", "metrics.json", "report.md"} <= listed
    assert {"certificate_sar.json", "certificate_optical.json", "run.json"} <= listed
    assert any(name.startswith("figures/") for name in listed)
    assert check().returncode == 0
    for name in sorted(listed):
        whole = (run / name).read_bytes()
        (run / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert name in check().stdout, name
        (run / name).write_bytes(whole)
