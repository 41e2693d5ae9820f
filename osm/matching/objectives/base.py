"""What an objective is, what it is given, and how a config names it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from mmengine.registry import Registry
from torch import Tensor, nn

from osm.matching.distance import embed

OBJECTIVES = Registry("objective", locations=["osm.matching.objectives"])


@dataclass(frozen=True, eq=False)
class Encoded:
    """What a branch makes of a batch of patches.

    Attributes:
        logits: (N, d) float32: the head's output, before it is taken to a space of distances. In training, of
            the batch over all processes.
        maps: The backbone's maps by index of ``osm.transfer.architectures``; of this process alone.
    """

    logits: Tensor
    maps: Mapping[int, Tensor]

    @cached_property
    def cube(self) -> Tensor:
        """Embeddings (N, d) in [0, 1]."""
        return embed(self.logits, "cube")

    @cached_property
    def sphere(self) -> Tensor:
        """Embeddings (N, d) of length 1."""
        return embed(self.logits, "sphere")

    def at(self, space: str) -> Tensor:
        """Embeddings (N, d) in a space of ``osm.matching.distance.SPACES``; computed once for whoever asks."""
        return self.cube if space == "cube" else self.sphere

    def rows(self, order: Tensor) -> Encoded:
        """The logits in another order (N,), without maps."""
        return Encoded(self.logits[order.to(self.logits.device)], {})


@dataclass(frozen=True, eq=False)
class EncodedPairs:
    """A batch of N pairs, encoded, and for each SAR patch an optical patch of another place.

    Attributes:
        sar: The SAR patches.
        optical: The optical patches; row i matches row i of ``sar``.
        nonmatch: Optical patches; row i does not match row i of ``sar``.
        order: (N,) a derangement, for whoever draws partners of their own.
        step: Steps taken so far; with ``seed`` the key of every draw.
        seed: Seed of the run.
        keys: Both encoded by slowly moving copies of the branches; only for objectives that ask for them.
    """

    sar: Encoded
    optical: Encoded
    nonmatch: Encoded
    order: Tensor
    step: int = 0
    seed: int = 0
    keys: tuple[Encoded, Encoded] | None = None


class Objective(nn.Module, ABC):
    """A loss over a batch of encoded pairs; it may own parameters, which are then trained too.

    Attributes:
        space: Where distances of a network trained for it are measured, of ``osm.matching.distance.SPACES``.
        levels: Indices of the backbone's maps that it reads, beside the last one.
        key_momentum: Momentum of the slowly moving copies of both branches; None if it needs none.
    """

    space: str = "sphere"
    levels: tuple[int, ...] = ()
    key_momentum: float | None = None
    #: Arguments that the network supplies and no config may set: "channels", "dimensions".
    SUPPLIED: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def forward(self, pairs: EncodedPairs) -> Tensor:
        """The loss, a scalar."""


def build_objective(config: Mapping[str, Any], channels: Sequence[int] = (), dimensions: int = 0) -> Objective:
    """Build an objective from its registry config.

    Not by ``OBJECTIVES.build``: that looks below whatever scope mmdet or mmengine made the current one.

    Args:
        config: ``type`` and its arguments; objectives inside it are configs too.
        channels: Channels of the backbone's maps by index, for objectives that read maps.
        dimensions: Length of the embeddings, for objectives that keep some.

    Raises:
        TypeError: An argument is unknown.
        ValueError: No such objective, or a value is out of range.
    """
    name = config.get("type")
    kind = OBJECTIVES.module_dict.get(name)
    if kind is None:
        known = ", ".join(sorted(OBJECTIVES.module_dict))
        raise ValueError(f"there is no objective {name!r}; known are {known}")
    arguments = {key: value for key, value in config.items() if key != "type"}
    known_here = {"channels": tuple(channels), "dimensions": dimensions}
    arguments |= {name: known_here[name] for name in kind.SUPPLIED}
    objective: Objective = kind(**arguments)
    return objective
