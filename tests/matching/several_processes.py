"""Train each objective for a few steps, as one process or as one of several; what ``test_gather`` compares.

Not a test by itself: ``python several_processes.py CONFIG PAIRS SCENES OUT``, with RANK and WORLD_SIZE set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NCE = {"type": "InfoNCE", "temperature": 0.5, "learned": True}
DENSE = {"type": "Dense", "loss": NCE, "cells": 2, "dimensions": 16}
BRIDGE = {"type": "BridgeLoss"}
#: Every draw of an augmentation, and windows that are reduced.
VARIED = {
    "data.size_px": 32,
    "augment.turn": True,
    "augment.crop_px": 48,
    "augment.speckle_looks": 2.0,
    "augment.sar_gain_db": 3.0,
    "augment.sar_gamma": 0.3,
    "augment.sar_floor": 8.0,
    "augment.brightness": 0.3,
    "augment.contrast": 0.3,
    "augment.saturation": 0.3,
    "augment.grey": 0.3,
}
#: Name → settings; ``model.loss`` is an objective's whole config.
CASES: dict[str, dict[str, Any]] = {
    "bridge": {"model.loss": {"type": "Sum", "losses": [{**BRIDGE, "negatives": kind} for kind in ("one", "all")]}},
    "infonce": {"model.loss": NCE, **VARIED},
    "dense": {"model.loss": DENSE},
    "queue": {
        "model.loss": {"type": "MomentumQueue", "size": 16, "momentum": 0.9, "temperature": 0.5, "learned": True}
    },
    "placebo": {"model.loss": {"type": "Sum", "losses": [BRIDGE, DENSE]}, "model.placebo": True, **VARIED},
    "target": {
        "model.loss": BRIDGE,
        "model.negatives": "reference",
        "target.kind": "air-sarship-1.0",
        "target.radiometry": "max",
        **VARIED,
    },
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
#: The same, augmented and without partners.
VARIED_FLOAT32 = "varied-float32"
#: Tiles of the detectors' domain of a step, over all processes, in the case that has some.
TILES = 4


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


def main(config: Path, pairs: Path, scenes: Path, out: Path, processes: int) -> None:
    from osm.matching.pretrain import pretrain

    share = {"train.batch_size": TOGETHER // processes}

    def run(name: str, options: dict[str, Any]) -> None:
        targeted = "target.kind" in options
        pretrain(
            config,
            data_root=pairs,
            work_dir=out / name,
            target_root=scenes if targeted else None,
            launcher="pytorch" if processes > 1 else "none",
            options={**COMMON, **share, **options, **({"target.tiles": TILES // processes} if targeted else {})},
        )

    with double_precision():
        for name, case in CASES.items():
            run(name, {**case, "model.loss": {"_delete_": True, **case["model.loss"]}})
    run(FAITHFUL, PAPER)
    run(VARIED_FLOAT32, {**PAPER, **VARIED, "model.placebo": True})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]), processes=int(os.environ["WORLD_SIZE"]))
