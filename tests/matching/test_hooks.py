from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from osm.errors import ConfigError
from osm.matching.hooks import FiniteLossHook, StepHook
from osm.matching.objectives import OBJECTIVES, BridgeLoss
from osm.matching.pretrain import pretrain
from osm.matching.workdir import WorkDir
from osm.transfer.export import read_export


def at(epoch: int, step: int, work_dir: Path = Path()) -> SimpleNamespace:
    loader = SimpleNamespace(dataset=SimpleNamespace(names=lambda numbers: [f"{number}.png" for number in numbers]))
    model = torch.nn.Linear(1, 1)
    model.data_preprocessor = torch.nn.Identity()
    return SimpleNamespace(epoch=epoch, iter=step, model=model, work_dir=str(work_dir), train_dataloader=loader)


@pytest.mark.parametrize("kept", [(), (2, 10)])
def test_a_loss_that_is_no_number_names_step_pairs_and_what_is_kept(kept, tmp_path):
    for epoch in kept:
        (tmp_path / f"epoch_{epoch}.pth").touch()
    batch = {"index": torch.arange(30, 10, -1)}
    with pytest.raises(ConfigError) as caught:
        FiniteLossHook().after_train_iter(at(10, 41, tmp_path), 0, batch, {"loss": torch.tensor(float("nan"))})
    assert caught.value.where == "step 42 (epoch 11)"
    assert "pairs 30.png, 29.png, " in caught.value.found
    assert "19.png and 8 more" in caught.value.found
    expected = f"the last good checkpoint is {tmp_path / 'epoch_10.pth'}" if kept else "no checkpoint was written"
    assert expected in caught.value.found


def test_weights_that_are_no_numbers_stop_before_the_checkpoint_of_their_epoch():
    runner = at(0, 3)
    FiniteLossHook().after_train_epoch(runner)
    runner.model.bias.data.fill_(float("inf"))
    with pytest.raises(ConfigError, match=r"^step 3 \(epoch 1\): found values in bias that are no finite numbers"):
        FiniteLossHook().after_train_epoch(runner)


def test_a_finite_loss_passes():
    FiniteLossHook().after_train_iter(at(0, 0), 0, {}, {"loss": torch.tensor(0.25)})


class Faulty(BridgeLoss):
    """The bridge loss, but for one step."""

    at: tuple[int, str] | None = None

    def forward(self, pairs):
        loss = super().forward(pairs)
        if Faulty.at == (pairs.step, "loss"):
            return loss * float("nan")
        if Faulty.at == (pairs.step, "gradient"):
            return loss + (pairs.sar.logits * 0).sum().sqrt()
        return loss


@pytest.fixture
def faulty(monkeypatch):
    monkeypatch.setitem(OBJECTIVES.module_dict, "Faulty", Faulty)
    monkeypatch.setattr(Faulty, "at", None)
    return Faulty


@pytest.mark.parametrize(
    ("fault", "message", "kept"),
    [
        # 3 steps an epoch: the last steps of epochs 3 and 2
        ((8, "loss"), r"^step 9 \(epoch 3\): found a loss of nan on the pairs (\d+\.png, ){4}\d+\.png; ", 2),
        ((5, "gradient"), r"^step 6 \(epoch 2\): found values in sar\.\S+ that are no finite numbers; ", 1),
    ],
)
def test_a_run_that_diverged_keeps_its_last_good_checkpoint_and_goes_on_from_it(
    finished, tiny, tmp_path, faulty, fault, message, kept
):
    faulty.at = fault
    work = tmp_path / "run"
    options = {**tiny, "model.loss.type": "Faulty"}
    common = {"data_root": finished.data_root, "work_dir": work, "options": options}
    with pytest.raises(ConfigError, match=message) as caught:
        pretrain(finished.config, **common)
    newest = WorkDir(work).checkpoints[0]
    assert newest.name == f"epoch_{kept}.pth"
    assert f"the last good checkpoint is {newest}; " in caught.value.line
    faulty.at = None
    result = pretrain(finished.config, **common, resume=True)
    # without its fault it is the bridge loss, so this is the run that nothing befell
    tensors, expected = (read_export(path)[0] for path in (result.sar_backbone, WorkDir(finished.work_dir).export))
    assert all(torch.equal(tensors[name], value) for name, value in expected.items())


def test_the_network_and_its_preprocessor_are_told_their_step():
    runner = at(0, 17)
    StepHook().before_train_iter(runner, 0)
    assert runner.model.step == runner.model.data_preprocessor.step == 17
