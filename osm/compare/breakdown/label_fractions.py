"""Nested shares of the training scenes, and what a detector needs to reach an AP."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

#: Shares of the scenes that a curve of label efficiency is made of.
FRACTIONS = (0.01, 0.05, 0.10, 0.25, 1.0)


def nested_subsets(
    scene_ids: Sequence[str], fractions: Sequence[float] = FRACTIONS, *, seed: int = 0
) -> dict[float, tuple[str, ...]]:
    """Scenes of each share: the first of one random order, so that each share holds all smaller ones.

    The order depends on the ids and the seed, not on the order in which the ids are given. A share is rounded to whole
    scenes, half up, and holds one at least.

    Raises:
        ValueError: No scenes, one twice, or a share outside (0, 1].
    """
    if not scene_ids or len(set(scene_ids)) != len(scene_ids):
        raise ValueError("no scenes, or one twice")
    if not all(0 < fraction <= 1 for fraction in fractions):
        raise ValueError(f"fractions {fractions}, not all in (0, 1]")
    names = sorted(scene_ids)
    order = np.random.default_rng(seed).permutation(len(names))
    drawn = [names[index] for index in order]
    return {fraction: tuple(sorted(drawn[: max(1, math.floor(fraction * len(names) + 0.5))])) for fraction in fractions}


def epochs_to(epochs: Sequence[float], ap: Sequence[float], goal: float) -> float | None:
    """First epoch at which AP reaches ``goal``, read off the straight line between measured epochs; None if never.

    Epochs without a figure (nan) are passed over. A goal that the first measured epoch already meets is reached there:
    what went before is not known.

    Raises:
        ValueError: The two differ in length, or the epochs do not rise.
    """
    if len(epochs) != len(ap) or any(b <= a for a, b in itertools.pairwise(epochs)):
        raise ValueError("as many figures as epochs, and rising epochs")
    before: tuple[float, float] | None = None
    for epoch, value in zip(epochs, ap, strict=True):
        if math.isnan(value):
            continue
        if value >= goal:
            if before is None:
                return float(epoch)
            share = (goal - before[1]) / (value - before[1])
            return before[0] + share * (epoch - before[0])
        before = float(epoch), float(value)
    return None
