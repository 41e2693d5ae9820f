"""An export with a card as a real pretraining writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_backbone
from osm.transfer.initialise import initialise

FIGURES = {"accuracy": 0.824, "precision": 0.787, "recall": 0.89, "threshold": 0.38, "predicted_matches": 380}
RETRIEVAL = {"recall_at_1": 0.1, "recall_at_5": 0.2, "recall_at_10": 0.3, "median_rank": 9.0, "candidates": 336}


@pytest.fixture(scope="session")
def full_card() -> Card:
    return Card(
        "resnet18",
        InputContract.of("resnet18"),
        data={
            "root": "pairs|of <b>mine</b>",
            "pairs": 1104,
            "patch_px": [256, 256],
            "scenes": 69,
            "split": "scene",
            "train_pairs": 768,
            "test_pairs": 336,
            "simulated": False,
        },
        config={
            "model": {"architecture": "resnet18", "loss": {"type": "InfoNCE"}, "placebo": False},
            "train": {"epochs": 30, "batch_size": 32, "optimizer": {"type": "SGD", "lr": 0.005}, "seed": 0},
            "data": {"size_px": 128},
            "finish": {"interpolate": 1.0},
        },
        start={"source": "r18_partial.pth", "coverage": 0.8, "random": ["layer4.0.conv1.weight"]},
        metrics={**FIGURES, "auc": 0.882, "at_chosen_threshold": FIGURES, "retrieval": {"sar_to_optical": RETRIEVAL}},
        git_revision="abc",
    )


@pytest.fixture(scope="session")
def export_file(tmp_path_factory: pytest.TempPathFactory, full_card: Card) -> Path:
    backbone = build_backbone("resnet18")
    initialise(backbone, 1)
    path = tmp_path_factory.mktemp("exports") / "sar_backbone.safetensors"
    export_backbone(path, backbone, full_card)
    return path
