"""Backbones whose every tensor matters: random weights, and batch norm that is not at 0 and 1."""

from functools import cache

import pytest
import torch

from osm.transfer.adapters.verify import every_map
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_tensors
from osm.transfer.initialise import initialise


@cache
def _tensors(architecture):
    module = every_map(architecture)
    initialise(module, 1)
    draw = torch.Generator().manual_seed(2)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1, generator=draw)
            layer.running_var.uniform_(0.5, 2, generator=draw)
            layer.weight.data.uniform_(0.5, 1.2, generator=draw)
            layer.bias.data.normal_(0, 0.1, generator=draw)
            layer.num_batches_tracked += 7
    return module.state_dict()


@pytest.fixture
def tensors():
    """Architecture → state dict under our keys; do not change it."""
    return _tensors


@pytest.fixture
def filled():
    """Architecture → our backbone with those tensors, in evaluation mode."""

    def fill(architecture):
        module = every_map(architecture)
        module.load_state_dict(_tensors(architecture))
        module.eval()
        return module

    return fill


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Architecture → a file of ours with those tensors and a card."""
    folder = tmp_path_factory.mktemp("exported")

    def path(architecture):
        file = folder / f"{architecture}.safetensors"
        if not file.exists():
            card = Card(architecture, InputContract.of(architecture), metrics={"auc": 0.7})
            export_tensors(file, _tensors(architecture), card)
        return file

    return path
