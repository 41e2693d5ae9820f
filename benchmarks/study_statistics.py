"""Time of all statistics of a study from cached predictions: 300 cells, 10,000 resamples, two processes.

    python benchmarks/study_statistics.py [--arms 10] [--seeds 15] [--scenes 116] [--metrics ap50 …] [--quick]

Two detectors × arms × seeds are drawn (``osm.compare.statistics.synthetic``), each detection as a box, and written as
``predictions.json``. Timed is what a report does: read every file, judge it per scene, resample, swap, correct. Each
arm is compared with the first. The last line is one JSON object; ``seconds`` is everything, ``cpu_seconds`` what the
processors spent on it, which tells more on a machine that is shared.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from osm.compare.statistics.holm import corrected
from osm.compare.statistics.power import resolution_words
from osm.compare.statistics.ranking import cell_rankings
from osm.compare.statistics.study import METRICS, Settings, differences
from osm.detection.predictions import Predictions, ScenePrediction, read_predictions

SIDE_PX = 20.0


def write_cells(root: Path, arms: int, seeds: int, scenes: int) -> dict[tuple[str, str, int], Path]:
    rng = np.random.default_rng(0)
    paths = {}
    ships = rng.poisson(2.2, scenes)
    for detector in ("one", "two"):
        for arm in range(arms):
            for seed in range(seeds):
                effect = 0.05 * arm + rng.normal(0, 0.15)
                found = []
                for number, count in enumerate(ships):
                    corner = np.arange(count)[:, None] * [2 * SIDE_PX, 0]
                    truth = np.hstack([corner, corner + SIDE_PX])
                    hit = truth[rng.random(count) < 1 / (1 + np.exp(-1.5 - effect))]
                    hit = hit + rng.normal(0, 1.2, hit.shape)
                    corner = rng.uniform(100, 400, (rng.poisson(10), 2))
                    boxes = np.vstack([hit, np.hstack([corner, corner + SIDE_PX])])
                    sure = np.concatenate([rng.normal(1.8, 1, len(hit)), rng.normal(0, 1, len(corner))])
                    scores = 1 / (1 + np.exp(-sure))
                    found.append(
                        ScenePrediction(
                            f"s{number:04d}",
                            "",
                            600,
                            600,
                            "max",
                            truth,
                            np.zeros(count, bool),
                            boxes,
                            scores,
                        )
                    )
                path = root / detector / f"arm{arm}" / f"seed{seed}" / "predictions.json"
                Predictions(tuple(found), ()).write(path)
                paths[detector, f"arm{arm}", seed] = path
    return paths


def cpu_s() -> float:
    """Processor time of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--scenes", type=int, default=116)
    parser.add_argument("--resamples", type=int, default=10_000, help="and half as many swaps, each with its mirror")
    parser.add_argument("--metrics", nargs="+", default=["ap50"], choices=METRICS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="12 cells and 500 resamples: does it run at all?")
    options = parser.parse_args()
    if options.quick:
        options.arms, options.seeds, options.resamples, options.scenes = 2, 3, 500, 20
    with tempfile.TemporaryDirectory() as name:
        paths = write_cells(Path(name), options.arms, options.seeds, options.scenes)
        began_s, began_cpu_s = time.perf_counter(), cpu_s()
        coco = any("coco" in metric for metric in options.metrics)
        cells = {key: cell_rankings(read_predictions(path), "scene", with_coco=coco) for key, path in paths.items()}
        judged_s = time.perf_counter() - began_s
    settings = Settings(options.resamples, options.resamples // 2, workers=options.workers)
    pairs = [(f"arm{arm}", "arm0") for arm in range(1, options.arms)]
    found = corrected(differences(cells, pairs, place="scene", metrics=options.metrics, settings=settings))
    seconds, cpu = time.perf_counter() - began_s, cpu_s() - began_cpu_s
    first = next(iter(cells.values()))
    print(
        f"{len(cells)} cells of {options.scenes} scenes and about {len(first.voc.scores)} detections, "
        f"{', '.join(options.metrics)}, {options.resamples:,} resamples, {options.workers} processes"
    )
    print(
        f"read and judged {judged_s:.1f} s, resampled and swapped {seconds - judged_s:.1f} s; {len(found)} differences"
    )
    print(resolution_words(found[0]))
    print(
        json.dumps(
            {
                "seconds": round(seconds, 2),
                "cpu_seconds": round(cpu, 2),
                "cells": len(cells),
                "seconds_judging": round(judged_s, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
