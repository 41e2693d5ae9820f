"""Killed at any moment, a run goes on to the same end; what is not its checkpoint is refused."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from osm.compat import checkpoints
from osm.compat.checkpoints import WholeFileBackend, load_from_local, trust_mmengine_checkpoints
from osm.errors import ConfigError, WeightsError
from osm.files import read_json
from osm.matching.hooks import FiniteLossHook
from osm.matching.pretrain import pretrain
from osm.matching.workdir import WorkDir
from osm.transfer.export import read_export

#: All that has a state: a queue, key branches, learned temperatures, an anchor, rates by part, momenta, a schedule.
STATEFUL = {
    "model.loss": {
        "_delete_": True,
        "type": "Sum",
        "losses": [
            {"type": "MomentumQueue", "size": 12, "momentum": 0.9, "temperature": 0.5, "learned": True},
            {"type": "InfoNCE", "temperature": 0.5},
        ],
    },
    "model.head_norm": True,
    "train.schedule": "cosine",
    "train.warmup_epochs": 1.5,
    "train.anchor": 0.1,
    "train.lr_mult": {"sar.backbone": 0.5, "objective": 2.0},
    "start.reestimate_bn": True,
    "augment.turn": True,
    "augment.speckle_looks": 2.0,
    "augment.brightness": 0.2,
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_step(step: int):
    """Die after a step, 0 being the first."""
    check = FiniteLossHook.after_train_iter

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        check(self, runner, batch_idx, data_batch, outputs)
        if runner.iter == step:
            die()

    FiniteLossHook.after_train_iter = after_train_iter


def in_the_middle_of_a_checkpoint(_: int):
    """Die when a checkpoint's bytes are written and it has not its name yet."""
    checkpoints.os.fsync = lambda _: die()


def between_a_checkpoint_and_the_word_that_it_is_there(epoch: int):
    put = WholeFileBackend.put

    def put_and_die(self, obj, filepath):
        put(self, obj, filepath)
        if Path(filepath).name == f"epoch_{epoch}.pth":
            die()

    WholeFileBackend.put = put_and_die


def killed(moment, argument, config, **run) -> None:
    """Run in a process of its own, which meets its end at ``moment``."""
    child = os.fork()
    if not child:
        try:
            moment(argument)
            pretrain(config, **run)
        finally:
            os._exit(0)
    deadline = time.monotonic() + 120
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            pytest.fail("the run neither ended nor died")
        time.sleep(0.01)
    assert os.WIFSIGNALED(ended[1]), "it was to be killed, and ended"


def state(path: Path) -> dict:
    trust_mmengine_checkpoints()
    return load_from_local(str(path), map_location="cpu")


def same(first, second) -> bool:
    """Whether two nests of tensors and plain values are equal bit for bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def test_killed_at_any_moment_and_resumed_it_ends_the_same_bit_for_bit(demo_config, pairs_root, tiny, tmp_path):
    common = {"data_root": pairs_root, "options": {**tiny, **STATEFUL}}
    whole, often = tmp_path / "whole", tmp_path / "killed"
    pretrain(demo_config, work_dir=whole, **common)
    # nor does the number of reading processes matter
    common = {"data_root": pairs_root, "options": {**tiny, **STATEFUL, "data.workers": 2}, "work_dir": often}
    names = lambda: sorted(path.name for path in often.glob("*epoch_*"))  # noqa: E731

    killed(at_step, 1, demo_config, **common)
    assert names() == []
    killed(in_the_middle_of_a_checkpoint, 0, demo_config, **common)
    assert len(names()) == 1
    assert names()[0].startswith(".epoch_1.")
    # no checkpoint yet: it begins again, by --resume and without
    killed(between_a_checkpoint_and_the_word_that_it_is_there, 1, demo_config, **common, resume=True)
    assert names() == ["epoch_1.pth"]
    with pytest.raises(ConfigError, match="continue it with --resume"):
        pretrain(demo_config, **common)
    killed(at_step, 7, demo_config, **common, resume=True)
    assert names() == ["epoch_1.pth", "epoch_2.pth"]
    pretrain(demo_config, **common, resume=True)

    expected, given = (state(folder / "epoch_4.pth") for folder in (whole, often))
    for part in ("state_dict", "optimizer", "param_schedulers"):
        assert same(given[part], expected[part]), part
    assert given["meta"]["iter"] == 12
    assert int(given["state_dict"]["objective.losses.0.written"]) == 60
    figures = [read_json(folder / "metrics.json") for folder in (whole, often)]
    assert {**figures[1], "seconds": 0} == {**figures[0], "seconds": 0}


@pytest.fixture
def interrupted(finished, tmp_path):
    """A copy of a finished run, without its end."""
    work = WorkDir(Path(shutil.copytree(finished.work_dir, tmp_path / "run")))
    work.export.unlink()
    return work


def resume(finished, work, tiny, **options):
    return pretrain(
        finished.config, data_root=finished.data_root, work_dir=work.path, options={**tiny, **options}, resume=True
    )


def test_a_run_killed_after_its_last_step_is_only_judged_and_exported(finished, interrupted, tiny):
    interrupted.metrics.unlink()
    resume(finished, interrupted, tiny)
    given, expected = (read_export(work.export)[0] for work in (interrupted, WorkDir(finished.work_dir)))
    assert same(given, expected)
    figures = [read_json(work.metrics) for work in (interrupted, WorkDir(finished.work_dir))]
    assert {**figures[0], "seconds": 0} == {**figures[1], "seconds": 0}


def test_a_broken_checkpoint_is_passed_over_for_the_one_before_it(finished, interrupted, tiny):
    broken = interrupted.path / "epoch_4.pth"
    broken.write_bytes(broken.read_bytes()[:5000])
    resume(finished, interrupted, tiny)
    assert "epoch_4.pth is passed over for epoch_3.pth" in interrupted.log.read_text()
    assert same(state(broken)["state_dict"], state(finished.work_dir / "epoch_4.pth")["state_dict"])


def test_where_all_are_broken_one_line_says_what_to_do(finished, interrupted, tiny):
    for path in interrupted.checkpoints:
        path.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"epoch_4\.pth: found a broken file .* begin anew with --overwrite"):
        resume(finished, interrupted, tiny)


def test_a_folder_that_was_moved_goes_on_where_it_is(finished, interrupted, tiny, tmp_path):
    (interrupted.path / "last_checkpoint").write_text("/gone/epoch_4.pth")
    moved = WorkDir(interrupted.path.rename(tmp_path / "moved"))
    resume(finished, moved, tiny)
    assert moved.finished


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (
            {"model.loss": {"_delete_": True, "type": "InfoNCE"}},
            ["no settings.model.loss.alpha", "settings.model.loss.type = 'InfoNCE'", "loss.type = 'BridgeLoss'"],
        ),
        ({"model.dimensions": 7}, ["found settings.model.dimensions = 7; expected 20"]),
        ({"model.architecture": "resnet18"}, ["settings.model.architecture = 'resnet18'; expected 'darknet-narrow'"]),
        (
            {"train.epochs": 5, "train.anchor": 1.0},
            ["settings.train.anchor = 1.0, settings.train.epochs = 5; expected"],
        ),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused_with_their_names(finished, interrupted, tiny, options, named):
    with pytest.raises(ConfigError) as caught:
        resume(finished, interrupted, tiny, **options)
    assert all(words in caught.value.line for words in named), caught.value.line


def test_a_checkpoint_of_another_width_that_was_copied_here_is_refused(finished, interrupted, tiny):
    path = interrupted.path / "epoch_4.pth"
    foreign = state(path)
    foreign["state_dict"]["sar.head.project.weight"] = torch.zeros(7, 128)
    torch.save(foreign, path)
    with pytest.raises(WeightsError, match=r"epoch_4\.pth: found sar\.head\.project\.weight of shape 7x128; .*20x128"):
        resume(finished, interrupted, tiny)
    assert not interrupted.finished
