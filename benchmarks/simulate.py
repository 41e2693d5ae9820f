"""How fast the simulation is on one core: pairs of 256 x 256 a second, and seconds for a scene of 3000 x 3000.

Both include the writing of the files. On a machine that does other work too, the wall clock counts that work
as well and the CPU time does not: medians of both are shown. Run: python benchmarks/simulate.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path


def main() -> None:
    """Measure, print a table, and one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=32, help="pairs in each of the three rounds")
    parser.add_argument("--scenes", type=int, default=3, help="scenes, each of another seed")
    parser.add_argument("--size", type=int, default=3000, help="side of a scene in pixels")
    options = parser.parse_args()

    # before numpy is imported: the figures are for one core
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    from osm.simulate import simulate_pairs, simulate_scenes

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        simulate_pairs(root / "warm-up", count=2)
        pairs, scenes = [], []
        for seed in range(3):
            with stopwatch(pairs):
                simulate_pairs(root / f"pairs{seed}", count=options.pairs, seed=seed)
        for seed in range(options.scenes):
            with stopwatch(scenes):
                simulate_scenes(
                    root / f"scene{seed}", count=1, seed=seed, width_px=options.size, height_px=options.size
                )

    wall, cpu = (options.pairs / statistics.median(times) for times in zip(*pairs, strict=True))
    scene_wall, scene_cpu = (statistics.median(times) for times in zip(*scenes, strict=True))
    print(f"{'what':<28}{'wall':>9}{'CPU':>9}{'target':>9}")
    print(f"{'pairs of 256 x 256, 1/s':<28}{wall:>9.1f}{cpu:>9.1f}{'>= 20':>9}")
    print(f"{f'scene of {options.size} x {options.size}, s':<28}{scene_wall:>9.2f}{scene_cpu:>9.2f}{'<= 5':>9}")
    size = options.size
    figures = {"pairs_per_s": round(wall, 1), f"scene_{size}_s": round(scene_wall, 2)}
    figures |= {"pairs_per_cpu_s": round(cpu, 1), f"scene_{size}_cpu_s": round(scene_cpu, 2)}
    print(json.dumps(figures))


@contextmanager
def stopwatch(times: list[tuple[float, float]]):
    """Append the seconds that the block took: on the wall clock, and of this process's CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    times.append((time.perf_counter() - wall, time.process_time() - cpu))


if __name__ == "__main__":
    main()
