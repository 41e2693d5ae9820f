"""What a test set can tell at all, and what it would take to tell more."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from osm.compare.statistics.chance import freedom_of, inside, quantile, reach_of
from osm.compare.statistics.difference import ALPHA, CONFIDENCE, Difference

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


@lru_cache(maxsize=4096)
def detectable(difference: Difference) -> float:
    """Smallest true difference that about 80 % of such studies would find, as a fraction of AP.

    Of one comparison, before any correction for several; the spread is taken for the true one, which three seeds know
    badly. How often it was found in experiments: docs/statistics.md.
    """
    from scipy.special import nctdtrinc

    spread = difference.spread
    if spread.se == 0:
        return 0.0
    fit = difference.half_width / reach_of(spread, CONFIDENCE)
    freedom = freedom_of(spread, CONFIDENCE)
    limit = float(quantile(freedom, (1 + CONFIDENCE) / 2))
    # how far a t that is not central has to be off to go beyond the limit in 80 %
    off = limit + float(quantile(freedom, POWER)) if math.isinf(freedom) else nctdtrinc(freedom, 1 - POWER, limit)
    return float(off) * spread.se * fit


@lru_cache(maxsize=4096)
def needed(difference: Difference) -> Needed:
    """How much more data would make the interval exclude zero, if difference and spread stay what they are.

    The larger study then has an even chance: a difference that is only just excluded is missed half of the time.
    """
    if difference.excludes_zero:
        return Needed(0, 0)
    spread, goal = difference.spread, abs(difference.estimate)
    if goal == 0 or spread.variance == 0:
        return Needed(None, None)
    # an interval need not be symmetric: what counts is how far it reaches beyond zero
    reached = difference.estimate - difference.low if difference.estimate > 0 else difference.high - difference.estimate
    fit = reached / reach_of(spread, CONFIDENCE)

    def enough(seeds: int, scenes: int) -> bool:
        return inside(spread.scaled(seeds, scenes), goal / fit) > CONFIDENCE

    scenes = _least(lambda more: enough(spread.n_seeds, spread.n_scenes + more), MOST_SCENES)
    # one seed says nothing of how much another would differ
    seeds = (
        _least(lambda more: enough(spread.n_seeds + more, spread.n_scenes), MOST_SEEDS) if spread.n_seeds > 1 else None
    )
    return Needed(scenes, seeds)


def resolution_words(difference: Difference) -> str:
    """``10 scenes and 3 seeds cannot resolve less than about ±4.2 points``."""
    spread = difference.spread
    seeds = f"{spread.n_seeds} seed{'s' * (spread.n_seeds != 1)}"
    scenes = f"{spread.n_scenes} scene{'s' * (spread.n_scenes != 1)}"
    return f"{scenes} and {seeds} cannot resolve less than about ±{100 * detectable(difference):.1f} points"


def needed_words(difference: Difference, family: int = 1) -> str:
    """``settled``, or ``not settled; 8 more scenes or 2 more seeds would settle it``, or that nothing would.

    Args:
        difference: The difference.
        family: Number of comparisons that its p-value was corrected for. ``needed`` looks at the interval, which is
            not corrected: of one comparison among several, zero would leave the interval, and no more is said.
    """
    if difference.settled:
        return "settled"
    if difference.excludes_zero:
        if difference.p <= ALPHA:
            return "not settled after correction for the number of comparisons"
        return "not settled: its interval excludes zero, its test does not agree"
    if difference.rejects:
        return "not settled: its test excludes chance, its interval holds zero"
    what = needed(difference)
    ways = [
        f"{number:,} more {name}{'s' * (number != 1)}"
        for number, name in ((what.more_scenes, "scene"), (what.more_seeds, "seed"))
        if number is not None
    ]
    do = "settle it" if family < 2 else "take zero out of its interval"
    if not ways:
        return f"not settled; neither more scenes nor more seeds alone would {do}"
    return f"not settled; {' or '.join(ways)} would {do}, if it stays as large"


def _least(enough: Callable[[int], bool], most: int) -> int | None:
    """Smallest number from 1 to ``most`` that is enough, None where none is; more is never less."""
    if not enough(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
