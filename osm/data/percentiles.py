"""Percentiles between neighbours in rank: one arithmetic for images that are held and for those that are streamed.

The rule is numpy's ``linear`` (method 7 of Hyndman and Fan, The American Statistician 50, 1996), in double precision
whatever the type of the values, so that both ways agree to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Rank:
    """Where a percentile lies among sorted values.

    Attributes:
        below: Rank of the value at or below it, from 0.
        above: Rank of the next one; the same at the end.
        part: How far it lies between them, in [0, 1).
    """

    below: int
    above: int
    part: float

    @classmethod
    def of(cls, percent: float, count: int) -> Rank:
        """The place of a percentile, 0 to 100, among ``count`` values."""
        place = (count - 1) * (percent / 100)
        below = int(np.floor(place))
        return cls(below, min(below + 1, count - 1), place - below)

    def between(self, below: float, above: float) -> float:
        """The percentile, from the values of both ranks."""
        step = above - below
        # from the nearer end, as numpy does: the result never leaves the interval, and grows with ``part``
        return above - step * (1 - self.part) if self.part >= 0.5 else below + step * self.part


def percentiles(values: npt.NDArray[Any], percents: tuple[float, ...]) -> list[float]:
    """Percentiles of values that are held, ``(N,)`` with N > 0 and no NaN."""
    ranks = [Rank.of(percent, len(values)) for percent in percents]
    ordered = np.partition(values, sorted({end for rank in ranks for end in (rank.below, rank.above)}))
    return [rank.between(float(ordered[rank.below]), float(ordered[rank.above])) for rank in ranks]
