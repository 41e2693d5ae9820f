"""How far apart two arms are, how sure that is, and how likely it is by chance alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osm.compare.statistics.spread import Spread, deviations, spread_of

Floats = NDArray[np.float64]

#: Of intervals, and of what is called settled.
CONFIDENCE = 0.95
#: What p is held against; a little above 0.05, since p is a quotient.
ALPHA = 0.05 + 1e-12


@dataclass(frozen=True)
class Difference:
    """Arm minus baseline in one figure of one detector, paired by seed and by scene. Fractions of AP.

    Attributes:
        detector: Name of the detector.
        arm: Name of the arm.
        baseline: Name of the arm that it is compared with.
        metric: Name of the figure, e.g. ``ap50``.
        place: ``tile`` or ``scene``.
        per_seed: Seed and difference of each pair of cells.
        estimate: Mean over seeds.
        low: Lower end of the 95 % confidence interval.
        high: Upper end.
        p: Two-sided, of the paired permutation test.
        p_holm: The same after Holm's correction; None before it.
        spread: What the difference varies by.
    """

    detector: str
    arm: str
    baseline: str
    metric: str
    place: str
    per_seed: tuple[tuple[int, float], ...]
    estimate: float
    low: float
    high: float
    p: float
    p_holm: float | None
    spread: Spread

    @property
    def half_width(self) -> float:
        """Half of the interval."""
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside of the interval, which is not corrected for several comparisons."""
        return self.low > 0 or self.high < 0

    @property
    def rejects(self) -> bool:
        """Whether the corrected p-value (or, before correction, the plain one) is at most 0.05."""
        return (self.p if self.p_holm is None else self.p_holm) <= ALPHA

    @property
    def settled(self) -> bool:
        """Whether test and interval agree that it is not zero."""
        return self.rejects and self.excludes_zero


def interval(deltas: Floats, draws: Floats, scenes: int, rng: np.random.Generator) -> tuple[float, float, Spread]:
    """95 % confidence interval by the paired hierarchical bootstrap: seeds, then scenes.

    The scenes of a draw are the same for all seeds and both arms, as they are in the data. Ends are quantiles of
    ``deviations`` about the estimate.

    Args:
        deltas: (S,) difference of each seed.
        draws: (S, B) the same in B resamples of the scenes.
        scenes: N.
        rng: Decides what is drawn.
    """
    spread = spread_of(deltas, draws, scenes)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(deviations(deltas, draws, spread, rng), [tail, 1 - tail])
    estimate = float(deltas.mean())
    return estimate + float(low), estimate + float(high), spread


def permutation_p(deltas: Floats, swapped: Floats, scenes: int, rng: np.random.Generator) -> float:
    """Two-sided p-value of the paired permutation test.

    Under the null hypothesis the names of the arms mean nothing in any scene, so they change places scene by scene,
    in all seeds at once: what one seed and another share in a scene stays shared. That alone would speak of the
    trained detectors at hand and call chance between runs an effect (in 27 % of the worst null experiments, see
    docs/statistics.md). Swapping whole seeds is exact for runs to come, but n of them give no p
    below 2^(1−n), 0.25 for three. The part of the seeds is therefore added as in ``interval``.

    Args:
        deltas: (S,) difference of each seed.
        swapped: (S, B) the same when the arms change places in some scenes.
        scenes: N.
        rng: Decides what is drawn.
    """
    spread = spread_of(deltas, swapped, scenes, small=False)
    off = np.abs(deviations(deltas, swapped, spread, rng))
    # differences of equal size that rounding has parted count as equal
    reached = np.count_nonzero(off >= abs(float(deltas.mean())) - 1e-7)
    return float((1 + reached) / (1 + len(off)))
