"""Whether the intervals and p-values of a comparison are what they say, on experiments with a known difference.

    python benchmarks/calibration.py [--trials 1000] [--draws 400] [--seeds 3 5] [--scenes 10 30 116] [--quick]

Each trial draws detections of two arms over the same scenes (``osm.compare.statistics.synthetic``), and asks for the
95 % interval and the p-value. ``covered`` is how often the interval holds the true difference, with a planted effect;
``rejected`` how often p ≤ 0.05 without one; ``found`` how often with the effect. Beside them, for the same trials, the
interval of plain percentiles and the permutation test that swaps scenes alone. The last line is one JSON object: the
worst of all rows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from osm.compare.statistics.difference import interval, permutation_p
from osm.compare.statistics.resample import resampled_ap, scene_draws, scene_swaps, swapped_difference
from osm.compare.statistics.synthetic import World

EFFECT = 0.4
WORLDS = {
    "all vary": {},
    "seeds vary": {"seed_sd": 0.4, "arm_scene_sd": 0.05},
    "scenes vary": {"seed_sd": 0.03, "scene_sd": 0.8, "arm_scene_sd": 0.6, "seed_scene_sd": 0.05},
}


def trials(world: World, seeds: int, scenes: int, count: int, draws: int, seed: int) -> Iterator[dict[str, bool]]:
    rng = np.random.default_rng(seed)
    true = world.difference()
    for _ in range(count):
        baseline, arm = world.draw(seeds, scenes, rng)
        drawn = scene_draws(scenes, draws, rng, baseline[0].truth_counts)
        drawn = np.hstack([np.ones((scenes, 1), dtype=np.float32), drawn])
        swaps = scene_swaps(scenes, draws, rng)
        both = list(zip(baseline, arm, strict=True))
        ap = np.array([resampled_ap(b, drawn)["area"] - resampled_ap(a, drawn)["area"] for a, b in both])
        swapped = np.array([swapped_difference(a, b, swaps)["area"] for a, b in both])
        deltas, moved = ap[:, 0].astype(float), ap[:, 1:].astype(float)
        low, high, _ = interval(deltas, moved, scenes, rng)
        p = permutation_p(deltas, swapped.astype(float), scenes, rng)
        share = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws).T / seeds
        plain_low, plain_high = np.quantile((share * moved).sum(axis=0), [0.025, 0.975])
        swaps_alone = np.count_nonzero(np.abs(swapped.mean(axis=0)) >= abs(deltas.mean()))
        yield {
            "covered": low <= true <= high,
            "rejected": p <= 0.05,
            "plain covered": bool(plain_low <= true <= plain_high),
            "plain rejected": (1 + swaps_alone) / (1 + draws) <= 0.05,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=400, help="resamples and swaps a trial")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--scenes", type=int, nargs="+", default=[10, 30, 116])
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=["all vary"])
    parser.add_argument("--quick", action="store_true", help="20 trials of the smallest: does it run at all?")
    options = parser.parse_args()
    if options.quick:
        options.trials, options.draws, options.seeds, options.scenes = 20, 100, [3], [10]
    print(f"{options.trials} trials of {options.draws} draws; percent")
    heads = (
        "world",
        "seeds",
        "scenes",
        "effect, pts",
        "covered",
        "rejected",
        "found",
        "plain covered",
        "plain rejected",
    )
    print("".join(f"{head:>15}" for head in heads), flush=True)
    coverage, rejected = [], []
    for name in options.worlds:
        for scenes in options.scenes:
            for seeds in options.seeds:
                row = {}
                for effect in (EFFECT, 0.0):
                    world = World(effect=effect, **WORLDS[name])
                    found = list(
                        trials(world, seeds, scenes, options.trials, options.draws, seed=seeds * 1000 + scenes)
                    )
                    row[effect] = {key: 100 * float(np.mean([one[key] for one in found])) for key in found[0]}
                with_effect, without = row[EFFECT], row[0.0]
                coverage += [with_effect["covered"], without["covered"]]
                rejected.append(without["rejected"])
                points = 100 * World(effect=EFFECT, **WORLDS[name]).difference()
                values = (
                    points,
                    with_effect["covered"],
                    without["rejected"],
                    with_effect["rejected"],
                    with_effect["plain covered"],
                    without["plain rejected"],
                )
                print(f"{name:>15}{seeds:>15}{scenes:>15}" + "".join(f"{value:>15.1f}" for value in values), flush=True)
    print(json.dumps({"least_covered": min(coverage), "most_covered": max(coverage), "most_rejected": max(rejected)}))


if __name__ == "__main__":
    main()
