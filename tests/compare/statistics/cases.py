"""A difference as the statistics leave it, with figures of one's own."""

from __future__ import annotations

from osm.compare.statistics.difference import Difference
from osm.compare.statistics.spread import Spread


def difference(estimate=0.02, half=0.03, seeds=3, scenes=10, spread=None, p=0.2, **names):
    spread = spread or Spread(seeds=1e-5, scenes=1e-4, both=5e-6, n_seeds=seeds, n_scenes=scenes)
    names = {"detector": "d", "arm": "osm", "baseline": "scratch", "metric": "ap50", "place": "scene"} | names
    return Difference(
        **names, per_seed=((0, estimate),), estimate=estimate, low=estimate - half, high=estimate + half, p=p,
        p_holm=None, spread=spread,
    )  # fmt: skip
