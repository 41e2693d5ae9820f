from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from osm.errors import ConfigError
from osm.matching.hooks import FiniteLossHook, StepHook


def at(epoch: int, step: int) -> SimpleNamespace:
    model = torch.nn.Linear(1, 1)
    model.data_preprocessor = torch.nn.Identity()
    return SimpleNamespace(epoch=epoch, iter=step, model=model)


@pytest.mark.parametrize(("epoch", "kept"), [(0, "no checkpoint was written"), (3, "checkpoints up to epoch 3")])
def test_a_loss_that_is_no_number_names_step_pairs_and_what_is_kept(epoch, kept):
    batch = {"index": torch.tensor([8, 3, 5, 1, 9])}
    with pytest.raises(ConfigError) as caught:
        FiniteLossHook().after_train_iter(at(epoch, 41), 0, batch, {"loss": torch.tensor(float("nan"))})
    assert caught.value.where == f"step 42 (epoch {epoch + 1})"
    assert "pairs 8, 3, 5, 1, " in caught.value.found
    assert kept in caught.value.found


def test_a_finite_loss_passes():
    FiniteLossHook().after_train_iter(at(0, 0), 0, {}, {"loss": torch.tensor(0.25)})


def test_the_network_and_its_preprocessor_are_told_their_step():
    runner = at(0, 17)
    StepHook().before_train_iter(runner, 0)
    assert runner.model.step == runner.model.data_preprocessor.step == 17
