"""The start of a backbone, and what ties a training to it: statistics, an anchor, a way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from osm.matching.dataset import PairDataset, collate_pairs
from osm.matching.network import BridgeNetwork

#: Enough patches for a mean and a variance of every channel; more would not move them.
STATISTICS_PATCHES = 512


@torch.no_grad()
def reestimate_batch_norm(backbone: nn.Module, batches: Iterable[Tensor]) -> int:
    """Estimate the running statistics of batch norm anew, as the plain mean over batches.

    Weights that were folded, interpolated or trained on another modality bring statistics that are not those of
    what they will be fed.

    Args:
        backbone: Changed in place: statistics alone; modes are restored.
        batches: Normalised patches (N, 3, H, W) on the backbone's device.

    Returns:
        How many patches were seen. With none, nothing is changed.
    """
    norms = [module for module in backbone.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [(module, module.training) for module in backbone.modules()]
    momenta = [norm.momentum for norm in norms]
    seen = 0
    try:
        backbone.eval()
        for number, images in enumerate(batches):
            if not number:
                for norm in norms:
                    norm.reset_running_stats()
                    norm.momentum = None  # torch's word for a cumulative mean
                    norm.train()
            backbone(images)
            seen += len(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in before:
            module.training = training
    return seen


def reestimate_branch(network: BridgeNetwork, branch: str, patches: PairDataset, *, batch_size: int) -> int:
    """Estimate the batch norm statistics of one backbone on patches of its own modality.

    Args:
        network: The network.
        branch: "sar" or "optical".
        patches: Pairs, of which at most ``STATISTICS_PATCHES`` are taken, evenly spaced.
        batch_size: Patches a pass, as in training: the variance within a batch depends on it.

    Returns:
        How many patches were seen.

    Raises:
        DataError: A patch cannot be read.
    """
    some = np.unique(np.linspace(0, len(patches) - 1, min(len(patches), STATISTICS_PATCHES)).round().astype(int))
    loader = DataLoader(Subset(patches, some.tolist()), batch_size=batch_size, collate_fn=collate_pairs)
    batches = (network.data_preprocessor(stored, False)[branch] for stored in loader)
    return reestimate_batch_norm(getattr(network, branch).backbone, batches)


def weights_of(backbone: nn.Module) -> dict[str, Tensor]:
    """A copy of a backbone's trainable values by name; statistics are not among them."""
    return {name: value.detach().clone() for name, value in backbone.named_parameters()}


@torch.no_grad()
def interpolate(backbone: nn.Module, start: Mapping[str, Tensor], share: float) -> None:
    """Set a backbone to ``start + share · (now − start)``, all but its batch norm statistics.

    Args:
        backbone: Changed in place.
        start: What ``weights_of`` gave before the training.
        share: In [0, 1]; 0 goes back to the start.
    """
    for name, value in backbone.named_parameters():
        begun = start[name].to(value.device)
        value.copy_(begun + share * (value - begun))


class AnchorHook(Hook):
    """Pulls both backbones towards their start at every step (L2-SP, Li et al., ICML 2018).

    Apart from the optimiser, as AdamW's weight decay is, so that it means the same with every optimiser.

    Args:
        network: At its start; a resumed run is built at the same start before its checkpoint is read.
        strength: A step moves a weight by ``lr · strength`` of its way back.
    """

    priority = "NORMAL"

    def __init__(self, network: BridgeNetwork, strength: float) -> None:
        self.strength = strength
        self.pairs = [
            (parameter, parameter.detach().clone())
            for branch in (network.sar, network.optical)
            for parameter in branch.backbone.parameters()
            if parameter.requires_grad
        ]

    def before_train(self, runner: Any) -> None:
        """Take the start to where the weights are now."""
        self.pairs = [(parameter, begun.to(parameter.device)) for parameter, begun in self.pairs]

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Remember the rates of this step: schedulers change them before ``after_train_iter``."""
        groups = runner.optim_wrapper.optimizer.param_groups
        self.rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}

    @torch.no_grad()
    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Move back by a little."""
        for parameter, begun in self.pairs:
            parameter.lerp_(begun, min(1.0, self.rates[id(parameter)] * self.strength))
