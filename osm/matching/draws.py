"""Random draws as pure functions of (seed, step, place in the batch over all processes).

A resumed run draws what an uninterrupted one would, and several processes draw together what one would.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    return _seeded(_words(key, 1)[0], device)


def _words(key: tuple[int, ...], count: int) -> list[int]:
    words: list[int] = np.random.SeedSequence(key).generate_state(count, np.uint64).tolist()
    return words


def _seeded(word: int, device: torch.device | str) -> torch.Generator:
    return torch.Generator(device).manual_seed(word >> 1)


@dataclass(frozen=True)
class RowDraws:
    """What is drawn for the rows of a batch of which this process holds every ``world``-th.

    Row i of process r is row ``i · world + r`` of the whole batch (``osm.matching.gather``). What it gets depends on
    the key and on that place: not on how many processes share the batch.

    Attributes:
        key: As for ``generator``.
        rank: Number of this process.
        world: Number of processes.
    """

    key: tuple[int, ...]
    rank: int = 0
    world: int = 1

    def uniform(self, values: int, count: int) -> Tensor:
        """Uniform numbers in [0, 1): (values, count) float64 on the CPU, for ``count`` rows of this process."""
        # a few numbers a row: drawing those of the other processes too costs nothing that could be measured
        whole = torch.rand(values, count * self.world, generator=generator(*self.key), dtype=torch.float64)
        return whole[:, self.rank :: self.world]

    def generators(self, count: int, device: torch.device | str) -> list[torch.Generator]:
        """One generator for each of ``count`` rows of this process, for draws of many numbers a row."""
        own = _words(self.key, count * self.world)[self.rank :: self.world]
        return [_seeded(word, device) for word in own]


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
