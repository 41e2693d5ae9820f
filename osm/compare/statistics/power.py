"""What a test set can tell at all, and what it would take to tell more."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from osm.compare.statistics.difference import CONFIDENCE, Difference
from osm.compare.statistics.spread import Spread

POWER = 0.8

#: Beyond this many scenes or seeds nobody goes.
MOST_SCENES, MOST_SEEDS = 1_000_000, 1_000


@dataclass(frozen=True)
class Needed:
    """What would settle a difference that stays as large as it is; None where that alone never does.

    Attributes:
        more_scenes: Test scenes beyond the present ones, with the present seeds.
        more_seeds: Seeds beyond the present ones, on the present scenes.
    """

    more_scenes: int | None
    more_seeds: int | None


def detectable(difference: Difference) -> float:
    """Smallest true difference that would be found in 80 % of such studies, as a fraction of AP."""
    return difference.half_width + _t(POWER, difference.spread.freedom) * difference.spread.se


def needed(difference: Difference) -> Needed:
    """How much more data would make the interval exclude zero, if difference and spread stay what they are.

    The larger study then has an even chance: a difference that is only just excluded is missed half of the time.
    """
    if difference.low > 0 or difference.high < 0:
        return Needed(0, 0)
    spread = difference.spread
    base = _half_width(spread)
    fit = difference.half_width / base if base > 0 else 1.0
    goal = abs(difference.estimate)

    def enough(seeds: int, scenes: int) -> bool:
        return fit * _half_width(spread.scaled(seeds, scenes)) < goal

    scenes = _least(lambda more: enough(spread.n_seeds, spread.n_scenes + more), MOST_SCENES)
    # one seed says nothing of how much another would differ
    seeds = (
        _least(lambda more: enough(spread.n_seeds + more, spread.n_scenes), MOST_SEEDS) if spread.n_seeds > 1 else None
    )
    return Needed(scenes, seeds)


def resolution_words(difference: Difference) -> str:
    """``10 scenes and 3 seeds cannot resolve less than ±4.2 points``."""
    spread = difference.spread
    seeds = f"{spread.n_seeds} seed{'s' * (spread.n_seeds != 1)}"
    scenes = f"{spread.n_scenes} scene{'s' * (spread.n_scenes != 1)}"
    return f"{scenes} and {seeds} cannot resolve less than ±{100 * detectable(difference):.1f} points"


def needed_words(difference: Difference, family: int = 1) -> str:
    """``settled``, or ``not settled; 8 more scenes or 2 more seeds would settle it``, or that nothing would.

    Args:
        difference: The difference.
        family: Number of comparisons that its p-value was corrected for. ``needed`` looks at the interval, which is
            not corrected: of one comparison among several, zero would leave the interval, and no more is said.
    """
    if difference.settled:
        return "settled"
    what = needed(difference)
    if what.more_scenes == 0:
        return "not settled after correction for the number of comparisons"
    ways = [
        f"{number:,} more {name}{'s' * (number != 1)}"
        for number, name in ((what.more_scenes, "scene"), (what.more_seeds, "seed"))
        if number is not None
    ]
    do = "settle it" if family < 2 else "take zero out of its interval"
    if not ways:
        return f"not settled; neither more scenes nor more seeds alone would {do}"
    return f"not settled; {' or '.join(ways)} would {do}, if it stays as large"


def _half_width(spread: Spread) -> float:
    return _t((1 + CONFIDENCE) / 2, spread.freedom) * spread.se


def _t(share: float, freedom: float) -> float:
    """Quantile of Student's t; that of the normal distribution for infinitely many degrees of freedom."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(share) if math.isinf(freedom) else stdtrit(freedom, share))


def _least(enough: Callable[[int], bool], most: int) -> int | None:
    """Smallest number from 1 to ``most`` that is enough, None where none is; more is never less."""
    if not enough(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
