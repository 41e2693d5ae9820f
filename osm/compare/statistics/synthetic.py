"""Detections of two arms whose true difference is known: what the statistics are calibrated on.

Ships lie in scenes; some scenes, and some ships, are hard for every detector. A detector's quality in a scene is the
sum of what its arm is worth, of its seed, of what its arm is worth in this scene, and of chance:

    quality = effect of arm + seed + scene + (arm in scene) + (seed in scene)

all but the first drawn from normal distributions. The better the quality, the more ships are hit, the surer, and the
fewer false alarms there are. With infinitely many scenes and seeds the AP of an arm is an integral, which is done here
by quadrature; the difference of two such is what an interval has to cover.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osm.compare.statistics.ranking import Ranking

Floats = NDArray[np.float64]

_NODES = 40
_THRESHOLDS = np.linspace(-7, 9, 1200, dtype=np.float64)


@dataclass(frozen=True)
class World:
    """What detections are drawn from; everything but rates is in units of quality (log odds of a hit).

    Attributes:
        effect: What the second arm is worth more than the first.
        base: Log odds of a hit at quality 0.
        seed_sd: Spread of training runs of one arm.
        scene_sd: Spread of scenes, the same for both arms.
        arm_scene_sd: Spread of what an arm is worth from scene to scene, the same for all its seeds.
        seed_scene_sd: Spread of one detector from scene to scene.
        ship_sd: Spread of ships within a scene, the same for all detectors.
        ships_per_scene: Mean of a Poisson number.
        alarms_per_scene: Mean number of false alarms at quality 0.
    """

    effect: float = 0.0
    base: float = 1.2
    seed_sd: float = 0.15
    scene_sd: float = 0.5
    arm_scene_sd: float = 0.25
    seed_scene_sd: float = 0.2
    ship_sd: float = 0.8
    ships_per_scene: float = 3.0
    alarms_per_scene: float = 6.0

    def difference(self) -> float:
        """True AP (area under the curve) of the second arm minus that of the first."""
        return self.ap(self.effect) - self.ap(0.0)

    def ap(self, effect: float) -> float:
        """AP of an arm over infinitely many scenes, mean over infinitely many seeds."""
        from scipy.stats import norm

        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        weights = weights / weights.sum()
        scenes = self.scene_sd**2 + self.arm_scene_sd**2 + self.seed_scene_sd**2
        total = 0.0
        for seed, share in zip(nodes * self.seed_sd, weights, strict=True):
            quality = effect + seed + nodes * np.sqrt(scenes + self.ship_sd**2)
            above = norm.sf(_THRESHOLDS[:, None], loc=_surer(quality))
            hits = self.ships_per_scene * (above * self._odds(quality)) @ weights
            alarms = (self._alarms(effect + seed + nodes * np.sqrt(scenes)) @ weights) * norm.sf(_THRESHOLDS)
            # by falling threshold
            recall, precision = (hits / self.ships_per_scene)[::-1], (hits / np.maximum(hits + alarms, 1e-300))[::-1]
            envelope = np.maximum.accumulate(precision[::-1])[::-1]
            total += share * float(np.sum(np.diff(recall, prepend=0.0) * envelope))
        return total

    def draw(self, seeds: int, scenes: int, rng: np.random.Generator) -> tuple[list[Ranking], list[Ranking]]:
        """One experiment: the rankings of both arms, one a seed, over the same scenes."""
        truth = rng.poisson(self.ships_per_scene, scenes)
        while truth.sum() == 0:
            truth = rng.poisson(self.ships_per_scene, scenes)
        owner = np.repeat(np.arange(scenes), truth)
        ship = rng.normal(0, self.ship_sd, len(owner))
        scene = rng.normal(0, self.scene_sd, scenes)
        arms: list[list[Ranking]] = []
        for effect in (0.0, self.effect):
            here = scene + rng.normal(0, self.arm_scene_sd, scenes)
            arms.append([])
            for _ in range(seeds):
                quality = effect + rng.normal(0, self.seed_sd) + here + rng.normal(0, self.seed_scene_sd, scenes)
                arms[-1].append(self._detect(quality, owner, ship, truth, rng))
        return arms[0], arms[1]

    def _detect(
        self,
        quality: Floats,
        owner: NDArray[np.int64],
        ship: Floats,
        truth: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Ranking:
        each = quality[owner] + ship
        found = rng.random(len(owner)) < self._odds(each)
        alarms = np.repeat(np.arange(len(quality)), rng.poisson(self._alarms(quality)))
        scores = np.concatenate([rng.normal(_surer(each[found]), 1), rng.normal(0, 1, len(alarms))])
        order = np.argsort(-scores, kind="stable")
        scene = np.concatenate([owner[found], alarms])
        return Ranking(scores[order], scene[order], order < np.count_nonzero(found), truth)

    def _odds(self, quality: Floats) -> Floats:
        return np.asarray(1 / (1 + np.exp(-(self.base + quality))), dtype=np.float64)

    def _alarms(self, quality: Floats) -> Floats:
        return np.asarray(self.alarms_per_scene * np.exp(-0.5 * quality), dtype=np.float64)


def _surer(quality: Floats) -> Floats:
    return np.asarray(1.8 + 0.5 * quality, dtype=np.float64)
