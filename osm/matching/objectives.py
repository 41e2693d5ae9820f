"""What the two branches are trained for. Each objective is a module in a registry: one line of a config."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.registry import Registry
from torch import Tensor, nn

from osm.matching.distance import root, squared_distance

OBJECTIVES = Registry("objective", locations=["osm.matching.objectives"])


@dataclass(frozen=True, eq=False)
class Encoded:
    """What a branch makes of a batch of patches.

    Attributes:
        embedding: (N, d) in [0, 1].
        feature_map: The backbone's last map (N, C, H/32, W/32).
    """

    embedding: Tensor
    feature_map: Tensor

    def rows(self, order: Tensor) -> Encoded:
        """The same patches in another order (N,)."""
        order = order.to(self.embedding.device)
        return Encoded(self.embedding[order], self.feature_map[order])


@dataclass(frozen=True, eq=False)
class EncodedPairs:
    """A batch of N pairs, encoded, and for each SAR patch an optical patch of another place.

    Attributes:
        sar: The SAR patches.
        optical: The optical patches; row i matches row i of ``sar``.
        nonmatch: Optical patches; row i does not match row i of ``sar``.
    """

    sar: Encoded
    optical: Encoded
    nonmatch: Encoded


class Objective(nn.Module, ABC):
    """A loss over a batch of encoded pairs; it may own parameters, which are then trained too."""

    @abstractmethod
    def forward(self, pairs: EncodedPairs) -> Tensor:
        """The loss, a scalar."""


def build_objective(config: Mapping[str, Any]) -> Objective:
    """Build an objective from its registry config.

    Not by ``OBJECTIVES.build``: that looks below whatever scope mmdet or mmengine made the current one.
    """
    objective: Objective = OBJECTIVES.get(config["type"])(
        **{name: value for name, value in config.items() if name != "type"}
    )
    return objective


@OBJECTIVES.register_module()
class BridgeLoss(Objective):
    """The bridge network's contrastive loss, L = (L_P + α·L_N) / (1 + α) (Xu et al., AAAI 2019).

    L_P is the mean of h² over matching and L_N the mean of (h − 1)² over non-matching pairs.

    Args:
        alpha: Weight α of the non-matching pairs, at least 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        if alpha < 0:
            raise ValueError(f"alpha is {alpha}; it must be at least 0")
        self.alpha = alpha

    def forward(self, pairs: EncodedPairs) -> Tensor:
        """The loss in [0, 1]."""
        positive = squared_distance(pairs.sar.embedding, pairs.optical.embedding).mean()
        far = root(squared_distance(pairs.sar.embedding, pairs.nonmatch.embedding))
        negative = (far - 1).square().mean()
        return (positive + self.alpha * negative) / (1 + self.alpha)
