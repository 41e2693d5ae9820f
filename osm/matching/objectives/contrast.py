"""Telling the partner of a patch from all others: InfoNCE, within the batch or against a queue."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from osm.matching.objectives.base import OBJECTIVES, EncodedPairs, Objective

#: A learned temperature stays above 0.01, as in CLIP (Radford et al., ICML 2021): below, the loss explodes.
_MAX_SCALE = 100.0


class _Tempered(Objective):
    log_scale: Tensor

    def __init__(self, temperature: float, learned: bool) -> None:
        super().__init__()
        if not 1 / _MAX_SCALE <= temperature <= 10:
            raise ValueError(f"temperature is {temperature}; it must lie between {1 / _MAX_SCALE} and 10")
        start = torch.tensor(-math.log(temperature))
        if learned:
            self.log_scale = nn.Parameter(start)
        else:
            self.register_buffer("log_scale", start)

    def scale(self) -> Tensor:
        """One over the temperature."""
        return self.log_scale.exp().clamp(max=_MAX_SCALE)


@OBJECTIVES.register_module()
class InfoNCE(_Tempered):
    """Symmetric InfoNCE over the batch (van den Oord et al., 2018; Radford et al., ICML 2021).

    The cross-entropy of picking the own partner among all optical patches of the batch, by cosine over
    temperature, and the same from optical to SAR; the mean of both.

    Args:
        temperature: At the start, or always.
        learned: Whether the temperature is trained too.
    """

    def __init__(self, temperature: float = 0.1, learned: bool = True) -> None:
        super().__init__(temperature, learned)

    def forward(self, pairs: EncodedPairs) -> Tensor:
        """The loss, log N where nothing is known."""
        likeness = self.scale() * pairs.sar.sphere @ pairs.optical.sphere.T
        own = torch.arange(len(likeness), device=likeness.device)
        return (functional.cross_entropy(likeness, own) + functional.cross_entropy(likeness.T, own)) / 2


@OBJECTIVES.register_module()
class MomentumQueue(_Tempered):
    """Contrast against a queue of keys from slowly moving branches (MoCo, He et al., CVPR 2020), across modalities.

    SAR patches look for their partner among optical keys, those of the batch and of the last ``size`` pairs, and
    optical patches among SAR keys. It costs one more pass of each branch, without gradients.

    Args:
        size: Keys of each modality that the queue holds.
        momentum: Part of a key branch's weights that a step leaves in place.
        temperature: At the start, or always.
        learned: Whether the temperature is trained too.
        dimensions: Length of an embedding; the network supplies it.
    """

    SUPPLIED = ("dimensions",)
    queues: Tensor
    written: Tensor

    def __init__(
        self,
        size: int = 4096,
        momentum: float = 0.99,
        temperature: float = 0.1,
        learned: bool = False,
        dimensions: int = 0,
    ) -> None:
        super().__init__(temperature, learned)
        if size < 1:
            raise ValueError(f"size is {size}; it must be at least 1")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum is {momentum}; it must lie in [0, 1)")
        self.key_momentum = momentum
        self.register_buffer("queues", torch.zeros(2, size, dimensions))
        #: Keys written so far: the next one goes to that place, counted round.
        self.register_buffer("written", torch.zeros((), dtype=torch.long))

    def forward(self, pairs: EncodedPairs) -> Tensor:
        """The loss, log(N + keys in the queue) where nothing is known."""
        if pairs.keys is None:
            raise ValueError("MomentumQueue needs keys; build it inside a BridgeNetwork")
        queries = pairs.optical.sphere, pairs.sar.sphere
        keys = tuple(key.sphere.detach() for key in pairs.keys)
        losses = []
        filled = min(int(self.written), self.queues.shape[1])
        for query, key, queue in zip(queries, keys, self.queues, strict=True):
            # a copy: the queue moves on below, and the backward pass needs what it held
            likeness = self.scale() * query @ torch.cat([key, queue[:filled].clone()]).T
            own = torch.arange(len(query), device=query.device)
            losses.append(functional.cross_entropy(likeness, own))
        if self.training:
            self._remember(keys)
        return (losses[0] + losses[1]) / 2

    @torch.no_grad()
    def _remember(self, keys: tuple[Tensor, ...]) -> None:
        size = self.queues.shape[1]
        count = min(len(keys[0]), size)
        places = (int(self.written) + torch.arange(count)) % size
        for queue, key in zip(self.queues, keys, strict=True):
            queue[places.to(queue.device)] = key[-count:]
        self.written += count
