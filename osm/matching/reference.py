"""The reference: settings of the seed papers, their Table II, and where a run departs from them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from osm.compat.device import pick_device, precision_on
from osm.matching.settings import AugmentSettings, Settings
from osm.transfer.architectures import IMAGENET_MEAN, IMAGENET_STD, architecture

#: Xu et al. (AAAI 2019), their code of 2021, and Huang et al., QXS-SAROPT §III-A.
REFERENCE: dict[str, Any] = {
    "model.loss": {"type": "BridgeLoss", "alpha": 1.0, "negatives": "one"},
    "model.negatives": "reference",
    "model.dimensions": 20,
    "model.threshold": 0.38,
    "model.head_norm": False,
    "model.placebo": False,
    "model.frozen": [],
    "data.train_fraction": 0.7,
    "data.size_px": 256,
    "input.mean": IMAGENET_MEAN,
    "input.std": IMAGENET_STD,
    "train.epochs": 200,
    "train.batch_size": 32,
    "train.optimizer": {"type": "SGD", "lr": 0.005, "momentum": 0.0, "weight_decay": 0.0},
    "train.schedule": "constant",
    "train.warmup_epochs": 0.0,
    "train.lr_mult": {},
    "train.anchor": 0.0,
    "train.precision": "float32",
    "target.kind": "",
    "start.reestimate_bn": False,
    "finish.interpolate": 1.0,
    "finish.reestimate_bn": False,
    # no augmentation of any kind, which is what the defaults say
    **{f"augment.{name}": value for name, value in asdict(AugmentSettings()).items()},
}

#: Table II of Huang et al.: the test part of QXS-SAROPT, threshold 0.38.
TABLE_II: dict[str, dict[str, float]] = {
    "resnet50": {"accuracy": 0.829, "precision": 0.748, "recall": 0.993},
    "darknet53": {"accuracy": 0.828, "precision": 0.746, "recall": 0.995},
}
TABLE_II_SOURCE = "Huang et al., The QXS-SAROPT dataset, Table II (20,000 pairs, random 70/30 split)"


def departures(settings: Settings, split_kind: str, coverage: float = 1.0) -> list[dict[str, Any]]:
    """Each setting in which a run differs from the reference.

    Args:
        settings: The run's settings.
        split_kind: The split that was made.
        coverage: Part of a backbone's tensors that came from a checkpoint; the reference starts from one of ImageNet.

    Returns:
        ``setting``, ``reference`` and ``here`` for each, in the order of ``REFERENCE``.
    """
    here = settings.flat()
    wanted = {**REFERENCE, "data.split": "paper", "init coverage": 1.0}
    here |= {"data.split": split_kind, "init coverage": round(coverage, 3)}
    known = architecture(settings.model["architecture"])
    here |= {"input.mean": known.mean, "input.std": known.std}
    here["train.precision"] = precision_on(settings.train.precision, pick_device("auto"))
    found = []
    for name, value in wanted.items():
        actual = here.get(name)
        if isinstance(value, dict) and isinstance(actual, dict) and value.get("type") == actual.get("type"):
            # a keyword that is left out has its default, which for these is the reference's value
            actual = {**value, **actual}
        if actual != value:
            found.append({"setting": name, "reference": value, "here": actual})
    return found
