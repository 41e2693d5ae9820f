"""Objectives made of others: a weighted sum, and one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from osm.matching.objectives.base import OBJECTIVES, EncodedPairs, Objective, build_objective


class _Several(Objective):
    SUPPLIED = ("channels", "dimensions")

    def __init__(self, losses: Sequence[Mapping[str, Any]], channels: Sequence[int], dimensions: int) -> None:
        super().__init__()
        self.losses = nn.ModuleList([build_objective(loss, channels, dimensions) for loss in losses])
        parts = [part for part in self.losses if isinstance(part, Objective)]
        self.levels = tuple(sorted({level for part in parts for level in part.levels}))
        momenta = {part.key_momentum for part in parts} - {None}
        if len(momenta) > 1:
            raise ValueError("two momentum queues need the same momentum")
        self.key_momentum = next(iter(momenta), None)


@OBJECTIVES.register_module()
class Sum(_Several):
    """A weighted sum. Distances are measured in the space of its first part.

    Args:
        losses: Registry configs of the parts.
        weights: One a part; 1 each by default.
        channels: Channels of the backbone's maps; the network supplies them.
        dimensions: Length of the embeddings; likewise.
    """

    def __init__(
        self,
        losses: Sequence[Mapping[str, Any]],
        weights: Sequence[float] | None = None,
        channels: Sequence[int] = (),
        dimensions: int = 0,
    ) -> None:
        if not losses:
            raise ValueError("a sum needs at least one part")
        super().__init__(losses, channels, dimensions)
        self.weights = tuple(weights) if weights is not None else (1.0,) * len(losses)
        if len(self.weights) != len(self.losses):
            raise ValueError(f"{len(self.weights)} weights for {len(self.losses)} losses")
        first = self.losses[0]
        assert isinstance(first, Objective)
        self.space = first.space

    def forward(self, pairs: EncodedPairs) -> Tensor:
        """The weighted sum of the parts."""
        parts = [weight * part(pairs) for weight, part in zip(self.weights, self.losses, strict=True)]
        return torch.stack(parts).sum()


@OBJECTIVES.register_module()
class Warmup(_Several):
    """One objective for the first steps, then another, on the same embeddings.

    The bridge loss rests at 0.25, all distances 0.5, until embeddings say something; an objective without such
    a place of rest gets them there. Distances are measured in the space of ``then``.

    Args:
        first: Registry config of the objective to begin with.
        then: Registry config of the objective from then on.
        steps: Steps of the first.
        channels: Channels of the backbone's maps; the network supplies them.
        dimensions: Length of the embeddings; likewise.
    """

    def __init__(
        self,
        first: Mapping[str, Any],
        then: Mapping[str, Any],
        steps: int = 100,
        channels: Sequence[int] = (),
        dimensions: int = 0,
    ) -> None:
        if steps < 1:
            raise ValueError(f"steps is {steps}; it must be at least 1")
        super().__init__([first, then], channels, dimensions)
        self.steps = steps
        last = self.losses[1]
        assert isinstance(last, Objective)
        self.space = last.space

    def forward(self, pairs: EncodedPairs) -> Tensor:
        """The loss of whichever's turn it is."""
        now, other = (0, 1) if pairs.step < self.steps else (1, 0)
        loss: Tensor = self.losses[now](pairs)
        # parameters of the one that rests take part with nothing, which is what training on several GPUs asks for
        idle = [parameter.sum() for parameter in self.losses[other].parameters()]
        return loss + 0 * torch.stack(idle).sum() if idle else loss
