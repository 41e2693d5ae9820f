"""Joining the processes that torchrun or Slurm started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from mmengine.dist import barrier, init_dist, is_distributed, is_main_process

from osm.errors import ConfigError

#: Launcher → the environment variable by which it tells a process its number.
LAUNCHERS = {"none": None, "pytorch": "RANK", "slurm": "SLURM_PROCID"}

#: How long processes wait for each other. torch's 10 or 30 minutes are less than the main process takes to read or
#: judge a million pairs, while the others wait; one that dies is noticed by the launcher, which ends the others.
PATIENCE = timedelta(days=1)


def is_first(launcher: str) -> bool:
    """Whether this is the first of the processes that were started, before they have joined.

    Args:
        launcher: A key of ``LAUNCHERS``; of another one, ``join_processes`` complains.
    """
    variable = LAUNCHERS.get(launcher)
    return variable is None or os.environ.get(variable, "0") == "0"


def join_processes(launcher: str) -> None:
    """Form one group of all processes that were started; nothing for the launcher "none".

    Args:
        launcher: A key of ``LAUNCHERS``.

    Raises:
        ConfigError: There is no such launcher, or it did not start this process.
    """
    if launcher not in LAUNCHERS:
        raise ConfigError(
            "--launcher", found=repr(launcher), expected=f"one of {', '.join(LAUNCHERS)}", mend="correct it"
        )
    variable = LAUNCHERS[launcher]
    if variable is None or is_distributed():
        return
    if variable not in os.environ:
        raise ConfigError(
            f"--launcher {launcher}",
            found=f"no {variable} in the environment",
            expected=f"a process that {'torchrun' if launcher == 'pytorch' else 'srun'} started",
            mend="start the command with it, or leave --launcher out",
        )
    if torch.cuda.is_available():
        init_dist(launcher, backend="nccl", timeout=PATIENCE.total_seconds())
    elif launcher == "pytorch":
        # mmengine's own way picks a CUDA device first, whatever the backend
        torch.distributed.init_process_group("gloo", timeout=PATIENCE)
    else:
        raise ConfigError(
            "--launcher slurm", found="no CUDA device", expected="one a process", mend="use torchrun on CPUs"
        )


@contextmanager
def main_process_first() -> Iterator[None]:
    """Let the main process do something, and all others after it: they find what it left in a cache."""
    if not is_main_process():
        barrier()
    try:
        yield
    finally:
        # also after an error, which the others will meet for themselves
        if is_main_process():
            barrier()
