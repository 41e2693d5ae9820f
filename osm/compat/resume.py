"""The checkpoint that an interrupted run goes on from: whole, and of this very network."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from osm.compat.checkpoints import load_from_local
from osm.errors import WeightsError

#: What mmengine's Runner puts into a checkpoint, and needs to go on from it.
_PARTS = ("meta", "state_dict", "message_hub", "optimizer", "param_schedulers")


def epoch_checkpoints(folder: Path, pattern: str = "epoch_*.pth") -> list[Path]:
    """The checkpoints that mmengine's Runner wrote into a folder, or further down by the pattern, the newest first."""
    found = [(path.stem.removeprefix("epoch_"), path) for path in folder.glob(pattern)]
    return [path for _, path in sorted(((int(epoch), path) for epoch, path in found if epoch.isdigit()))][::-1]


def newest_checkpoint(paths: Sequence[Path], network: nn.Module) -> Path | None:
    """The newest checkpoint of a run that can be read; None where there are none yet.

    A broken one is passed over, with a warning, for the one before it. ``trust_mmengine_checkpoints`` comes first.

    Args:
        paths: The checkpoints of the run, the newest first.
        network: What is to go on.

    Raises:
        WeightsError: All are broken, or the newest whole one is of another network.
    """
    broken: list[WeightsError] = []
    for path in paths:
        try:
            state = load_from_local(str(path), map_location="cpu", mmap=True)
        except WeightsError as error:
            broken.append(error)
            continue
        check_fit(path, state, network.state_dict())
        for torn in broken:
            print_log(f"{torn.where} is passed over for {path.name}: {torn.found}", "current", logging.WARNING)
        return path
    if broken:
        raise WeightsError(
            broken[0].where,
            found=f"{broken[0].found}, and no older checkpoint that is whole",
            expected="a checkpoint to go on from",
            mend="begin anew with --overwrite",
        )
    return None


def check_fit(path: Path, state: Any, wanted: Mapping[str, Tensor]) -> None:
    """Check that a checkpoint is one of a training of this network: names and shapes of all tensors.

    mmengine loads what fits and leaves the rest as it was.

    Args:
        path: The file, for the message.
        state: What it holds.
        wanted: State of the network.

    Raises:
        WeightsError: It is another network's, or no checkpoint of a training.
    """
    absent = [part for part in _PARTS if not isinstance(state, dict) or part not in state]
    if absent:
        raise _refused(path, f"a file without {' and '.join(absent)}", "a checkpoint of a training")
    here = state["state_dict"]
    for name in (*wanted, *(name for name in here if name not in wanted)):
        if name not in here:
            raise _refused(path, f"no {name}", f"one of shape {_shape(wanted[name])}, as this network has")
        if name not in wanted:
            raise _refused(path, f"{name}, of shape {_shape(here[name])}", "a network without it")
        if here[name].shape != wanted[name].shape:
            raise _refused(path, f"{name} of shape {_shape(here[name])}", f"{_shape(wanted[name])}")


def _refused(path: Path, found: str, expected: str) -> WeightsError:
    return WeightsError(
        path,
        found=found,
        expected=expected,
        mend="resume with the config that wrote it, take the file away, or begin anew with --overwrite",
    )


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a single number"
