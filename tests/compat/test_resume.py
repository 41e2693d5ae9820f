"""Which checkpoint a run goes on from; what is none of its own is refused."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from osm.compat.resume import check_fit, epoch_checkpoints, newest_checkpoint
from osm.errors import WeightsError

WANTED = {"a": torch.zeros(2, 3), "b": torch.zeros(())}
PARTS = {"meta": {}, "message_hub": {}, "optimizer": {}, "param_schedulers": []}


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({**PARTS, "state_dict": {"a": torch.zeros(2, 3)}}, r"found no b; expected one of shape a single number"),
        ({**PARTS, "state_dict": {**WANTED, "c": torch.zeros(4)}}, r"found c, of shape 4; expected a network without"),
        ({"a": torch.zeros(2, 3)}, r"a file without meta and state_dict and"),
        (torch.zeros(2), r"a file without meta"),
    ],
)
def test_what_is_no_checkpoint_of_this_network_is_named(held, message):
    check_fit(Path("x.pth"), {**PARTS, "state_dict": dict(WANTED)}, WANTED)
    with pytest.raises(WeightsError, match=message):
        check_fit(Path("x.pth"), held, WANTED)


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    assert newest_checkpoint(epoch_checkpoints(tmp_path), torch.nn.Linear(1, 1)) is None
    assert not caplog.records


def test_the_newest_comes_first_by_number_and_what_is_half_written_not_at_all(tmp_path):
    for name in ("epoch_2.pth", "epoch_10.pth", ".epoch_11.pth", "epoch_best.pth"):
        (tmp_path / name).touch()
    assert [path.name for path in epoch_checkpoints(tmp_path)] == ["epoch_10.pth", "epoch_2.pth"]
