"""Train each objective for a few steps, as one process or as one of several; what ``test_gather`` compares.

Not a test by itself: ``python several_processes.py CONFIG PAIRS OUT``, with RANK and WORLD_SIZE in the environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NCE = {"type": "InfoNCE", "temperature": 0.5, "learned": True}
CASES = {
    "bridge": {"type": "Sum", "losses": [{"type": "BridgeLoss", "negatives": kind} for kind in ("one", "all")]},
    "infonce": NCE,
    "dense": {"type": "Dense", "loss": NCE, "cells": 2, "dimensions": 16},
    "queue": {"type": "MomentumQueue", "size": 16, "momentum": 0.9, "temperature": 0.5, "learned": True},
}
#: Pairs of a step, over all processes.
TOGETHER = 6
STEPS_PER_EPOCH, EPOCHS = 2, 3
COMMON = {
    "data.size_px": 64,
    "data.workers": 0,
    "train.epochs": EPOCHS,
    "train.warmup_epochs": 1.0,
    "train.schedule": "cosine",
    "train.precision": "float32",
    "train.optimizer": {"_delete_": True, "type": "SGD", "lr": 0.01, "momentum": 0.9},
    "train.checkpoint_every_epochs": EPOCHS,
    "model.dimensions": 16,
    "model.head_norm": True,
}
#: The paper's constants, in float32 as they stand.
PAPER = {"train.optimizer.lr": 0.005, "train.optimizer.momentum": 0.0, "model.head_norm": False}
FAITHFUL = "bridge-float32"


@contextmanager
def double_precision() -> Iterator[None]:
    """Compute in float64 whatever is meant for float32, so that rounding cannot hide, or feign, a difference."""
    import torch

    single, default = torch.Tensor.float, torch.get_default_dtype()
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.Tensor.float = single
        torch.set_default_dtype(default)


def main(config: Path, pairs: Path, out: Path, processes: int) -> None:
    from osm.matching.pretrain import pretrain

    common = {
        "config": config,
        "data_root": pairs,
        "launcher": "pytorch" if processes > 1 else "none",
    }
    options = {**COMMON, "train.batch_size": TOGETHER // processes}
    with double_precision():
        for name, loss in CASES.items():
            pretrain(work_dir=out / name, options={**options, "model.loss": {"_delete_": True, **loss}}, **common)
    pretrain(work_dir=out / FAITHFUL, options={**options, **PAPER}, **common)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(os.environ["WORLD_SIZE"]))
