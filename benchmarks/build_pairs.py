"""Seconds and peak memory of ``osm data build-pairs`` on one scene pair of the size of the paper's San Diego.

    python benchmarks/build_pairs.py [--columns 14624] [--rows 33820] [--overlap 0.2] [--no-screen] [--keep DIR]

A simulated coast is laid out over a SAR and an optical GeoTIFF, each of its copies turned and shifted by itself. The
optical scene is registered by an affine transform through tie points, cut, screened and written, by the command itself
in a process of its own, all cores at work; seconds, CPU seconds and largest resident memory are those of that process.

The last line is one JSON object: ``peak_rss_bytes`` (the target is 2 GB at full size), ``seconds``, ``cpu_seconds``,
``patches`` that were cut and ``pairs`` that were kept, ``megapixels_per_second`` of the SAR scene.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

TILE_PX = 1024
COMMAND = "from osm.cli.main import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=14_624)
    parser.add_argument("--rows", type=int, default=33_820)
    parser.add_argument("--overlap", type=float, default=0.2)
    parser.add_argument("--no-screen", action="store_true", help="cut and write alone")
    parser.add_argument("--keep", type=Path, help="write here, and leave it there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.keep) as name:
        folder = Path(name) if options.keep is None else options.keep
        write_scenes(folder, options.columns, options.rows)
        figures = build(folder, options)
    figures["megapixels_per_second"] = round(options.columns * options.rows / 1e6 / figures["seconds"], 2)
    print(f"{options.columns} x {options.rows} pixels, {len(os.sched_getaffinity(0))} cores")
    print(f"{'seconds':<24}{figures['seconds']:>14,.1f}")
    print(f"{'CPU seconds':<24}{figures['cpu_seconds']:>14,.1f}")
    print(f"{'peak memory, MB':<24}{figures['peak_rss_bytes'] / 1e6:>14,.0f}")
    print(f"{'patches → kept':<24}{figures['patches']:>6,} →{figures['pairs']:>6,}")
    print(json.dumps(figures))


def write_scenes(folder: Path, columns: int, rows: int) -> None:
    """Two GeoTIFFs and the tie points, tile by tile."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.windows import Window

    from osm.simulate.layouts import make_pair

    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    sides = [make_pair(0, number, TILE_PX) for number in range(2)]
    drawing = np.random.default_rng(0)
    profile: dict[str, Any] = {
        "driver": "GTiff", "width": columns, "height": rows, "dtype": "uint8", "tiled": True, "blockxsize": 256,
        "blockysize": 256, "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    with (
        rasterio.open(folder / "sar.tif", "w", count=1, **profile) as sar,
        rasterio.open(folder / "opt.tif", "w", count=3, **profile) as optical,
    ):
        for top in range(0, rows, TILE_PX):
            for left in range(0, columns, TILE_PX):
                height, width = min(TILE_PX, rows - top), min(TILE_PX, columns - left)
                shift, turns = drawing.integers(0, TILE_PX, 2), int(drawing.integers(4))
                dark, colour = sides[int(drawing.integers(len(sides)))]
                place = Window(left, top, width, height)
                for file, image in ((sar, dark[..., None]), (optical, colour)):
                    tile = np.rot90(np.roll(image, shift, axis=(0, 1)), turns)[:height, :width]
                    file.write(np.moveaxis(tile, -1, 0), window=place)
    turn = np.radians(0.2)
    points = drawing.uniform(0.03, 0.97, (40, 2)) * [columns, rows]
    middle = np.array([columns, rows]) / 2
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    there = (points - middle) @ matrix.T + middle + [3.3, -2.7]
    inside = ((there > 0) & (there < [columns, rows])).all(axis=1)
    lines = [",".join(f"{value:.3f}" for value in (*one, *two)) for one, two in zip(points, there, strict=True)]
    chosen = "\n".join(line for line, good in zip(lines, inside, strict=True) if good)
    (folder / "points.csv").write_text(f"sar_col,sar_row,opt_col,opt_row\n{chosen}\n", encoding="utf-8")


def build(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the command and measure its process."""
    out = folder / "pairs"
    arguments = ["data", "build-pairs", "--sar", str(folder / "sar.tif"), "--optical", str(folder / "opt.tif")]
    arguments += ["--out", str(out), "--tie-points", str(folder / "points.csv"), "--overlap", str(options.overlap)]
    arguments += [] if options.no_screen else ["--screen"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", COMMAND, *arguments], check=True)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads((out / "report.json").read_text())
    return {
        "peak_rss_bytes": after.ru_maxrss * 1024,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "patches": report["cut"],
        "pairs": report["pairs"],
    }


if __name__ == "__main__":
    main()
