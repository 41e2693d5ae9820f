"""Objectives without negatives: partners alike, and the numbers of an embedding different from each other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from osm.matching.objectives.base import OBJECTIVES, EncodedPairs, Objective


@OBJECTIVES.register_module()
class VICReg(Objective):
    """Variance, invariance, covariance (Bardes et al., ICLR 2022), with SAR and optical as the two views.

    Args:
        invariance: Weight of the mean squared difference of partners.
        variance: Weight of the hinge that keeps the standard deviation of each number above 1.
        covariance: Weight of the squared covariances between different numbers.
    """

    def __init__(self, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0) -> None:
        super().__init__()
        for name, value in (("invariance", invariance), ("variance", variance), ("covariance", covariance)):
            if value < 0:
                raise ValueError(f"{name} is {value}; it must be at least 0")
        self.weights = invariance, variance, covariance

    def forward(self, pairs: EncodedPairs) -> Tensor:
        """The loss, 0 or more."""
        first, second = pairs.sar.logits, pairs.optical.logits
        invariance = functional.mse_loss(first, second)
        spread = (_hinge(first) + _hinge(second)) / 2
        shared = _covariance(first) + _covariance(second)
        return self.weights[0] * invariance + self.weights[1] * spread + self.weights[2] * shared


def _hinge(rows: Tensor) -> Tensor:
    # the small number keeps the gradient of the root finite where a whole column is constant
    return functional.relu(1 - (rows.var(dim=0) + 1e-4).sqrt()).mean()


def _covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(dim=0)
    matrix = centred.T @ centred / (len(rows) - 1)
    off = matrix - torch.diag(matrix.diagonal())
    return off.square().sum() / rows.shape[1]


@OBJECTIVES.register_module()
class BarlowTwins(Objective):
    """The correlation of the two views drawn to the identity (Zbontar et al., ICML 2021).

    Args:
        redundancy: Weight λ of the correlations between different numbers.
    """

    def __init__(self, redundancy: float = 0.005) -> None:
        super().__init__()
        if redundancy < 0:
            raise ValueError(f"redundancy is {redundancy}; it must be at least 0")
        self.redundancy = redundancy

    def forward(self, pairs: EncodedPairs) -> Tensor:
        """The loss, 0 or more."""
        first, second = (_standard(encoded.logits) for encoded in (pairs.sar, pairs.optical))
        correlation = first.T @ second / len(first)
        same = correlation.diagonal()
        off = correlation - torch.diag(same)
        return (same - 1).square().sum() + self.redundancy * off.square().sum()


def _standard(rows: Tensor) -> Tensor:
    return (rows - rows.mean(dim=0)) / (rows.var(dim=0, unbiased=False) + 1e-5).sqrt()
