"""The distance between the embeddings of a SAR and an optical patch (Xu et al., AAAI 2019)."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_distance(sar: Tensor, optical: Tensor) -> Tensor:
    """h², row by row: the mean over k of (f_sar_k − f_optical_k)².

    Args:
        sar: Embeddings (N, d) in [0, 1].
        optical: Embeddings (N, d) in [0, 1].

    Returns:
        (N,) in [0, 1].
    """
    return (sar - optical).square().mean(dim=1)


def root(squared: Tensor) -> Tensor:
    """The square root with gradient 0 where its argument is 0.

    The derivative of sqrt at 0 is infinite, and infinity times the zero that follows it in the chain
    is NaN: one pair of equal embeddings would destroy the whole network. Away from 0 the gradient of h
    with respect to an embedding is at most 1/sqrt(d), so that nothing else needs guarding.
    """
    positive = squared > 0
    safe = torch.where(positive, squared, torch.ones_like(squared))
    return torch.where(positive, safe.sqrt(), torch.zeros_like(squared))


def distance(sar: Tensor, optical: Tensor) -> Tensor:
    """H = sqrt(mean_k (f_sar_k − f_optical_k)²), row by row, in [0, 1].

    Args:
        sar: Embeddings (N, d) in [0, 1].
        optical: Embeddings (N, d) in [0, 1].

    Returns:
        (N,).
    """
    return root(squared_distance(sar, optical))
