"""The loss of the bridge network, with three ways to choose non-matches."""

from __future__ import annotations

import torch
from torch import Tensor

from osm.matching.distance import root, squared_distance, squared_distances
from osm.matching.objectives.base import OBJECTIVES, EncodedPairs, Objective

#: One: the partner that the network drew. All: every other patch of the batch. Hard: of these the nearest.
NEGATIVES = ("one", "all", "hard")


@OBJECTIVES.register_module()
class BridgeLoss(Objective):
    """The bridge network's contrastive loss, L = (L_P + α·L_N) / (1 + α) (Xu et al., AAAI 2019).

    L_P is the mean of h² over matching and L_N the mean of (h − 1)² over non-matching pairs.

    Args:
        alpha: Weight α of the non-matching pairs, at least 0.
        negatives: One of ``NEGATIVES``; the paper's is "one". "hard" takes for every SAR patch the nearest
            optical patch that does not match, and for every optical patch the nearest such SAR patch.
    """

    space = "cube"

    def __init__(self, alpha: float = 1.0, negatives: str = "one") -> None:
        super().__init__()
        if alpha < 0:
            raise ValueError(f"alpha is {alpha}; it must be at least 0")
        if negatives not in NEGATIVES:
            raise ValueError(f"negatives is {negatives!r}; it must be one of {', '.join(NEGATIVES)}")
        self.alpha = alpha
        self.negatives = negatives

    def forward(self, pairs: EncodedPairs) -> Tensor:
        """The loss in [0, 1]."""
        sar, optical = pairs.sar.cube, pairs.optical.cube
        positive = squared_distance(sar, optical).mean()
        if self.negatives == "one":
            far = root(squared_distance(sar, pairs.nonmatch.cube))
        else:
            among = squared_distances(sar, optical)
            match = torch.eye(len(sar), dtype=torch.bool, device=sar.device)
            if self.negatives == "all":
                far = root(among[~match])
            else:
                apart = among.masked_fill(match, float("inf"))
                far = root(torch.cat([apart.amin(dim=1), apart.amin(dim=0)]))
        negative = (far - 1).square().mean()
        return (positive + self.alpha * negative) / (1 + self.alpha)
