"""Whether the intervals and p-values of a comparison are what they say, on experiments with a known difference.

    python benchmarks/calibration.py [--trials 1000] [--draws 400] [--seeds 3 5] [--scenes 10 30 116] [--power]

Each trial draws detections of two arms over the same scenes (``osm.compare.statistics.synthetic``), and asks for the
95 % interval and the p-value. ``covered`` is how often the interval holds the true difference, with a planted effect;
``rejected`` how often p ≤ 0.05 without one; ``found`` how often with the effect. Beside them, for the same trials, the
interval of plain percentiles and the permutation test that swaps scenes alone. With --power, as many trials again have
the smallest difference as their effect that ``power.detectable`` gives for the mean spread of those without one: how
often is it found? The last line is one JSON object: the worst of all rows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from osm.compare.statistics.chance import reach_of
from osm.compare.statistics.difference import CONFIDENCE, Difference, interval, permutation_p
from osm.compare.statistics.power import detectable
from osm.compare.statistics.resample import resampled_ap, scene_draws, scene_swaps, swapped_difference
from osm.compare.statistics.spread import Spread
from osm.compare.statistics.synthetic import World

EFFECT = 0.4
WORLDS = {
    "all vary": {},
    "seeds vary": {"seed_sd": 0.4, "arm_scene_sd": 0.05},
    "scenes vary": {"seed_sd": 0.03, "scene_sd": 0.8, "arm_scene_sd": 0.6, "seed_scene_sd": 0.05},
}


def trials(world: World, seeds: int, scenes: int, count: int, draws: int, seed: int) -> Iterator[dict[str, float]]:
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
        low, high, spread = interval(deltas, moved, scenes, rng)
        p = permutation_p(deltas, swapped.astype(float), scenes, rng)
        share = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws).T / seeds
        plain_low, plain_high = np.quantile((share * moved).sum(axis=0), [0.025, 0.975])
        swaps_alone = np.count_nonzero(np.abs(swapped.mean(axis=0)) >= abs(deltas.mean()))
        yield {
            "covered": low <= true <= high,
            "rejected": p <= 0.05,
            "plain covered": bool(plain_low <= true <= plain_high),
            "plain rejected": (1 + swaps_alone) / (1 + draws) <= 0.05,
            **{name: getattr(spread, name) for name in ("seeds", "scenes", "both")},
        }


def smallest(row: dict[str, float], seeds: int, scenes: int) -> float:
    """What such studies can detect, a fraction of AP, by their mean spread."""
    parts = {name: row[name] / 100 for name in ("seeds", "scenes", "both")}
    spread = Spread(**parts, n_seeds=seeds, n_scenes=scenes)
    half = reach_of(spread, CONFIDENCE)
    return detectable(Difference("", "", "", "ap50", "scene", (), 0.0, -half, half, 1.0, None, spread))


def effect_of(world: World, points: float) -> float | None:
    """The effect that makes this true difference, a fraction of AP; None if AP would have to be above 1."""
    from scipy.optimize import brentq

    if replace(world, effect=8.0).difference() < points:
        return None
    return float(brentq(lambda effect: replace(world, effect=effect).difference() - points, 0.0, 8.0, xtol=1e-6))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=400, help="resamples and swaps a trial")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--scenes", type=int, nargs="+", default=[10, 30, 116])
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=["all vary"])
    parser.add_argument("--power", action="store_true", help="also how often the smallest detectable effect is found")
    parser.add_argument("--quick", action="store_true", help="20 trials of the smallest: does it run at all?")
    options = parser.parse_args()
    if options.quick:
        options.trials, options.draws, options.seeds, options.scenes, options.power = 20, 100, [3], [10], True
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
        *(["smallest, pts", "found"] if options.power else []),
    )
    print("".join(f"{head:>15}" for head in heads), flush=True)
    coverage, rejected, power = [], [], []
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
                if options.power:
                    least = smallest(without, seeds, scenes)
                    effect = effect_of(World(**WORLDS[name]), least)
                    share = float("nan")
                    if effect is not None:
                        world = World(effect=effect, **WORLDS[name])
                        seed = seeds * 1000 + scenes + 1
                        again = trials(world, seeds, scenes, options.trials, options.draws, seed=seed)
                        share = 100 * float(np.mean([one["rejected"] for one in again]))
                        power.append(share)
                    values = (*values, 100 * least, share)
                print(f"{name:>15}{seeds:>15}{scenes:>15}" + "".join(f"{value:>15.1f}" for value in values), flush=True)
    worst = {"least_covered": min(coverage), "most_covered": max(coverage), "most_rejected": max(rejected)}
    print(json.dumps(worst | ({"least_found": min(power), "most_found": max(power)} if power else {})))


if __name__ == "__main__":
    main()
