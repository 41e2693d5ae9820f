"""What a difference between two arms varies by: its seeds, its scenes, and both together.

Every seed of both arms is scored on the same scenes, so seeds and scenes are crossed, as readers and cases are in
studies of radiologists, and the variance is taken apart as there: Obuchowski and Rockette, Communications in
Statistics 24(2), 1995; Hillis, Statistics in Medicine 26(3), 2007. The spread between seeds already holds what scenes
and seeds do together; resampling scenes shows that part a second time (and resampling both a third time: Owen, Annals
of Applied Statistics 1(2), 2007), so it is taken out of the part of the scenes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Variances of a mean difference over S seeds and N scenes, in squared fractions of AP.

    Attributes:
        seeds: Of the difference between seeds, divided by S; holds ``both``. 0 for one seed: it cannot be known.
        scenes: Of the scenes, beyond ``both``. 0 for one scene.
        both: Of what single detectors do in single scenes.
        n_seeds: S.
        n_scenes: N.
    """

    seeds: float
    scenes: float
    both: float
    n_seeds: int
    n_scenes: int

    @property
    def variance(self) -> float:
        """Of the mean difference."""
        return self.seeds + self.scenes

    @property
    def se(self) -> float:
        """Standard error of the mean difference."""
        return float(np.sqrt(self.variance))

    def scaled(self, seeds: int, scenes: int) -> Spread:
        """The same detectors with another number of seeds and scenes."""
        both = min(self.both, self.seeds) if self.n_seeds > 1 else self.both
        alone = max(self.seeds - both, 0.0)
        per_both = both * self.n_seeds * self.n_scenes / (seeds * scenes)
        return Spread(
            seeds=alone * self.n_seeds / seeds + (per_both if self.n_seeds > 1 else 0.0),
            scenes=self.scenes * self.n_scenes / scenes,
            both=per_both,
            n_seeds=seeds,
            n_scenes=scenes,
        )


def spread_of(deltas: Floats, draws: Floats, scenes: int, *, small: bool = True) -> Spread:
    """Take the variance apart.

    Args:
        deltas: (S,) difference of each seed.
        draws: (S, B) the same under B resamples (or swaps) of the scenes, which all seeds share.
        scenes: N.
        small: Whether the draws vary by (N−1)/N too little, as those of a bootstrap do.
    """
    count = len(deltas)
    moved = draws - draws.mean(axis=1, keepdims=True)
    factor = (scenes / (scenes - 1) if small else 1.0) if scenes > 1 else 0.0
    total = float(moved.mean(axis=0).var()) * factor
    both = float(moved.var(axis=0, ddof=1).mean()) / count * factor if count > 1 else 0.0
    return Spread(
        seeds=float(deltas.var(ddof=1)) / count if count > 1 else 0.0,
        scenes=max(total - both, 0.0),
        both=both,
        n_seeds=count,
        n_scenes=scenes,
    )


def deviations(deltas: Floats, draws: Floats, spread: Spread, rng: np.random.Generator) -> Floats:
    """Draws (B,) of what the mean difference could be off by.

    Seeds are resampled with replacement, and scenes are moved as in ``draws``, both about their own mean and scaled to
    their variance in ``spread``. Few seeds or scenes know their variance badly: each part is multiplied by
    sqrt(f/χ²(f)) with its f = S − 1 or N − 1 degrees of freedom, which makes a t of what would be normal. The sum of
    two such t's is what Behrens and Fisher compared two means of unequal variance with; it errs, if at all, on the
    wide side (Robinson, Annals of Statistics 4(5), 1976).
    """
    count, size = draws.shape
    moved = draws.mean(axis=0)
    moved = moved - moved.mean()
    width = float(moved.std())
    off = np.zeros(size) if width == 0 else moved * (np.sqrt(spread.scenes) / width)
    off = off * _unsure(spread.n_scenes, size, rng)
    if count > 1:
        share = rng.multinomial(count, np.full(count, 1 / count), size=size) / count - 1 / count
        off = off + share @ deltas * np.sqrt(count / (count - 1)) * _unsure(count, size, rng)
    return np.asarray(off, dtype=np.float64)


def _unsure(number: int, size: int, rng: np.random.Generator) -> Floats:
    if number < 2:
        return np.ones(size)
    return np.asarray(np.sqrt((number - 1) / rng.chisquare(number - 1, size)), dtype=np.float64)
