"""What chance makes of a mean difference whose variances are estimates: the sum of two of Student's t's.

It is the distribution that ``spread.deviations`` draws from, in closed form: seeds and scenes each have a t of their
own degrees of freedom, so that more of either never make it wider (sums of symmetric unimodal variables keep the order
of how peaked they are: Birnbaum, Annals of Mathematical Statistics 19(1), 1948).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from osm.compare.statistics.spread import Spread

Floats = NDArray[np.float64]

#: Points of the quadrature, on half of the line.
_NODES = 512


def inside(spread: Spread, reach: float) -> float:
    """Probability that a mean difference of nothing is off by ``reach`` (a fraction of AP) at most."""
    from scipy.special import stdtr

    parts = sorted((width, free) for free, width in _parts(spread) if width > 0)
    if not parts:
        return 1.0
    (width, free), others = parts[-1], parts[:-1]
    if not others:
        return float(2 * stdtr(free, reach / width) - 1)
    # over the narrower part, in which the other is smooth; its halves are alike
    (narrow, other), (tails, weights) = others[0], _quadrature()
    moved = narrow * quantile(other, tails)
    return float(2 * weights @ (stdtr(free, (reach - moved) / width) - stdtr(free, (-reach - moved) / width)))


def reach_of(spread: Spread, share: float) -> float:
    """Half of the interval about zero that holds this share; 0 where nothing varies."""
    from scipy.optimize import brentq

    high = sum(width * float(quantile(free, (1 + share) / 2)) for free, width in _parts(spread) if width > 0)
    if high == 0:
        return 0.0
    while inside(spread, high) < share:
        high *= 2
    return float(brentq(lambda reach: inside(spread, reach) - share, 0.0, high, xtol=1e-12, rtol=1e-9))


def freedom_of(spread: Spread, share: float) -> float:
    """Degrees of freedom of the one t with this variance whose interval is as wide; infinite where nothing varies."""
    from scipy.optimize import brentq

    wanted = reach_of(spread, share) / spread.se if spread.se else 0.0
    least = min((free for free, width in _parts(spread) if width > 0), default=math.inf)
    tail = (1 + share) / 2
    if math.isinf(least) or wanted <= quantile(1e6, tail):
        return math.inf
    return float(brentq(lambda free: float(quantile(free, tail)) - wanted, min(least, 0.5), 1e6, rtol=1e-9))


def _parts(spread: Spread) -> list[tuple[float, float]]:
    """Degrees of freedom and width of the seeds and of the scenes, those that are known."""
    both = ((spread.n_seeds - 1, spread.seeds), (spread.n_scenes - 1, spread.scenes))
    return [(float(free), math.sqrt(variance)) for free, variance in both if free > 0]


def quantile(freedom: float, share: float | Floats) -> Floats:
    """Of Student's t; with infinitely many degrees of freedom that of the normal distribution."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(freedom, share), dtype=np.float64)


@lru_cache(maxsize=1)
def _quadrature() -> tuple[Floats, Floats]:
    """Nodes and weights on (0, ½), dense towards 0, where tails are heavy (tanh-sinh: Takahasi and Mori, 1974)."""
    steps = np.linspace(-3.6, 3.6, _NODES)
    inner = np.pi * np.sinh(steps)
    nodes = 0.5 / (1 + np.exp(-inner))
    weights = np.pi * np.cosh(steps) * nodes / (1 + np.exp(inner)) * (steps[1] - steps[0])
    return nodes, weights
