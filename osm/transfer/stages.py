"""A backbone stage by stage: how much of each was filled, and what of it is frozen."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Stage:
    """One stage of a backbone: a child module and all below it.

    Attributes:
        name: Name of the module, e.g. ``layer1``.
        tensors: Parameters and statistics of batch norm; counters of batches are left aside.
        tensors_filled: How many of them a file filled.
        parameters: Values that can be trained.
        parameters_filled: How many of them a file filled.
        parameters_frozen: How many of them no gradient reaches.
        norms: Batch norm layers.
        norms_eval: How many of them use their running statistics in place of those of the batch.
    """

    name: str
    tensors: int
    tensors_filled: int
    parameters: int
    parameters_filled: int
    parameters_frozen: int
    norms: int
    norms_eval: int


def stages_of(backbone: nn.Module, filled: AbstractSet[str]) -> tuple[Stage, ...]:
    """The stages of a backbone as it is now, shallow to deep.

    Args:
        backbone: In the mode that it is trained in, if ``norms_eval`` is to say something of the training.
        filled: Keys of the tensors that a file filled.
    """
    from torch.nn.modules.batchnorm import _NormBase

    counts: dict[str, list[int]] = {}

    def add(name: str, place: int, amount: int) -> None:
        counts.setdefault(name.partition(".")[0], [0] * 7)[place] += amount

    for key in backbone.state_dict():
        if not key.endswith("num_batches_tracked"):
            add(key, 0, 1)
            add(key, 1, int(key in filled))
    for key, parameter in backbone.named_parameters():
        add(key, 2, parameter.numel())
        add(key, 3, parameter.numel() if key in filled else 0)
        add(key, 4, 0 if parameter.requires_grad else parameter.numel())
    for key, module in backbone.named_modules():
        if isinstance(module, _NormBase):
            add(key, 5, 1)
            add(key, 6, int(not module.training))
    return tuple(Stage(name, *values) for name, values in counts.items())
