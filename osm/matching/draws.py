"""Random draws as pure functions of (seed, step): a resumed run draws what an uninterrupted one would."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def generator(*key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that depends on ``key`` alone, e.g. (seed, step, rank).

    Args:
        key: Non-negative integers; different keys give independent streams, but a zero at the end may count for
            nothing.
        device: Where it draws; the same key gives other numbers on another kind of device.
    """
    word = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
    return torch.Generator(device).manual_seed(word >> 1)


def derangement(count: int, draw: torch.Generator) -> Tensor:
    """A uniformly drawn permutation that leaves nothing in its place.

    Args:
        count: Number of items, at least 2.
        draw: Source of randomness.

    Returns:
        (count,) int64 with ``result[i] != i``.

    Raises:
        ValueError: One item, or none, has no derangement.
    """
    if count < 2:
        raise ValueError(f"{count} items have no derangement; at least 2 are needed")
    places = torch.arange(count)
    while True:  # a permutation is a derangement with probability 1/e: 2.7 draws on average
        order = torch.randperm(count, generator=draw)
        if not bool((order == places).any()):
            return order


def partners(count: int, draw: torch.Generator) -> Tensor:
    """For each of ``count`` items another one, uniform over all others and independent.

    Args:
        count: Number of items, at least 2.
        draw: Source of randomness.

    Returns:
        (count,) int64 with ``result[i] != i``.

    Raises:
        ValueError: There are fewer than 2 items.
    """
    if count < 2:
        raise ValueError(f"{count} items have no partners; at least 2 are needed")
    other = torch.randint(count - 1, (count,), generator=draw)
    return other + (other >= torch.arange(count))
