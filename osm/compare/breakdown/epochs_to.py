"""What a detector needs to reach an AP."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence


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
