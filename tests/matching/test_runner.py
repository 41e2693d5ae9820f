from __future__ import annotations

import logging

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

from osm.matching.config import load_settings
from osm.matching.runner import open_readable_log, optimizer_config, runner_config, scheduler_config
from osm.matching.settings import TrainSettings

SGD = {"type": "SGD", "lr": 0.1}


@pytest.mark.parametrize(
    ("given", "fused"),
    [
        (SGD, True),
        ({"type": "AdamW", "lr": 0.1}, True),
        ({**SGD, "fused": False}, False),
        ({**SGD, "foreach": True}, None),
        ({"type": "Rprop", "lr": 0.1}, None),
    ],
)
def test_the_fused_form_is_taken_where_there_is_one(given, fused):
    assert optimizer_config(given).get("fused") is fused


def rates(**settings) -> list[float]:
    train = TrainSettings(batch_size=2, optimizer=SGD, **settings)
    layer = torch.nn.Linear(1, 1)
    wrapper = build_optim_wrapper(layer, {"type": "OptimWrapper", "optimizer": dict(SGD)})
    plan = [
        PARAM_SCHEDULERS.build({**entry, "epoch_length": 10}, default_args={"optimizer": wrapper})
        for entry in scheduler_config(train, steps_per_epoch=10)
    ]
    seen = []
    for _ in range(train.epochs * 10):
        seen.append(wrapper.get_lr()["lr"][0])
        wrapper.step()
        for scheduler in plan:
            scheduler.step()
    return seen


def test_a_constant_rate_is_constant():
    assert rates(epochs=3) == [0.1] * 30


def test_a_cosine_falls_from_the_rate_to_a_hundredth():
    seen = rates(epochs=4, schedule="cosine")
    assert seen[0] == 0.1
    assert seen == sorted(seen, reverse=True)
    assert seen[20] == pytest.approx((0.1 + 0.001) / 2)
    assert seen[-1] == pytest.approx(0.001, abs=2e-4)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_warmup_of_half_an_epoch_rises_to_the_rate(schedule):
    seen = rates(epochs=4, schedule=schedule, warmup_epochs=0.5)
    assert seen[0] == pytest.approx(0.001)
    assert seen[:5] == sorted(seen[:5])
    assert max(seen) == pytest.approx(0.1)
    assert seen[5] == pytest.approx(0.1, rel=0.01)


def test_two_checkpoints_are_kept_since_one_of_them_may_be_half_written(repo_root, tmp_path):
    settings = load_settings(repo_root / "configs" / "pretrain" / "bnn_resnet18.py")
    config = runner_config(
        settings, data_root=tmp_path, work_dir=tmp_path, steps_per_epoch=3, tensorboard=True, cuda=False
    )
    assert config["default_hooks"]["checkpoint"]["max_keep_ckpts"] == 2
    assert {"type": "TensorboardVisBackend"} in config["visualizer"]["vis_backends"]


def test_the_terminal_shows_the_epochs_and_the_file_shows_everything(tmp_path, capsys):
    log = open_readable_log(tmp_path / "pretrain.log")
    log.info("\n------\nSystem environment: a page about the machine")
    log.info("Hooks will be executed in the following order")
    log.info("Epoch(train) [1][3/3]  loss: 0.25")
    log.log(logging.WARNING, "disk is nearly full")
    shown, kept = capsys.readouterr().out, (tmp_path / "pretrain.log").read_text()
    assert "loss: 0.25" in shown
    assert "nearly full" in shown
    assert "System environment" not in shown
    assert "Hooks will" not in shown
    assert "System environment" in kept
    assert "Hooks will" in kept


def test_a_warmup_of_one_step_or_less_does_not_keep_the_rate_at_its_floor():
    assert rates(epochs=3, warmup_epochs=0.1) == [0.1] * 30
    assert max(rates(epochs=3, warmup_epochs=0.2)) == pytest.approx(0.1)
