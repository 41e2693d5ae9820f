"""How far two patches are from each other: embeddings live in a cube or on a sphere, and distances in [0, 1].

The bridge network compares numbers between 0 and 1 (Xu et al., AAAI 2019), contrastive objectives compare
directions. In both spaces the distance here is the Euclidean one divided by the largest that the space allows,
so that thresholds, figures and nearest neighbours mean the same whatever a network was trained for.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: Space → what it is. Cube: a sigmoid takes logits to [0, 1]^d. Sphere: logits divided by their length.
SPACES = ("cube", "sphere")


def embed(logits: Tensor, space: str) -> Tensor:
    """Take what a head puts out to the space in which distances are measured.

    Args:
        logits: (N, d), any real numbers.
        space: One of ``SPACES``.

    Returns:
        (N, d).
    """
    return torch.sigmoid(logits) if space == "cube" else functional.normalize(logits, dim=1)


def squared_distance(sar: Tensor, optical: Tensor, space: str = "cube") -> Tensor:
    """h², row by row. In the cube the mean over k of (f_sar_k − f_optical_k)², on the sphere (1 − cosine)/2.

    Args:
        sar: Embeddings (N, d).
        optical: Embeddings (N, d).
        space: One of ``SPACES``.

    Returns:
        (N,) in [0, 1].
    """
    return (sar - optical).square().sum(dim=1) / squared_diameter(sar.shape[1], space)


def squared_distances(sar: Tensor, optical: Tensor, space: str = "cube") -> Tensor:
    """h² of every SAR from every optical patch.

    Args:
        sar: Embeddings (N, d).
        optical: Embeddings (M, d).
        space: One of ``SPACES``.

    Returns:
        (N, M) in [0, 1]; by the sum of squares of differences, since |a|² + |b|² − 2ab cancels badly near 0.
    """
    difference = sar[:, None] - optical[None]
    return difference.square().sum(dim=2) / squared_diameter(sar.shape[1], space)


def squared_diameter(dimensions: int, space: str) -> float:
    """Square of the largest Euclidean distance in a space: d in the cube, 4 on the sphere."""
    return float(dimensions) if space == "cube" else 4.0


def root(squared: Tensor) -> Tensor:
    """The square root with gradient 0 where its argument is 0.

    The derivative of sqrt at 0 is infinite, and infinity times the zero that follows it in the chain
    is NaN: one pair of equal embeddings would destroy the whole network. Away from 0 the gradient of h
    with respect to an embedding is at most 1/sqrt(d), so that nothing else needs guarding.
    """
    positive = squared > 0
    safe = torch.where(positive, squared, torch.ones_like(squared))
    return torch.where(positive, safe.sqrt(), torch.zeros_like(squared))


def distance(sar: Tensor, optical: Tensor, space: str = "cube") -> Tensor:
    """H = sqrt(mean_k (f_sar_k − f_optical_k)²) in the cube, sqrt((1 − cosine)/2) on the sphere, row by row.

    Args:
        sar: Embeddings (N, d).
        optical: Embeddings (N, d).
        space: One of ``SPACES``.

    Returns:
        (N,) in [0, 1].
    """
    return root(squared_distance(sar, optical, space))
