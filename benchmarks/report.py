"""Time and size of the report of a large study from cached predictions: 300 cells, as `osm report` renders them.

    python benchmarks/report.py [--detectors 10] [--seeds 5] [--scenes 116] [--pictures] [--keep FOLDER] [--quick]

Detectors × six arms × seeds are written as `osm compare` leaves them: plan, predictions per tile and scene, training
log, certificate and config; images, and with them pictures of scenes, with --pictures only (speckle, which no codec
likes). Timed is everything from reading the folder to the
finished page: once with nothing kept, and once again. The last line is one JSON object; `cpu_seconds` tells more than
`seconds` on a machine that is shared.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from osm.compare.report import write_report
from osm.compare.run import load_study
from osm.compare.study import ArmInfo
from osm.detection.evaluate import average_precision
from osm.detection.predictions import Predictions, ScenePrediction, TilePrediction
from osm.files import digests, write_json, write_sealed, write_text

SIDE_PX = 20.0
KINDS = {
    "scratch": "scratch",
    "imagenet": "imagenet",
    "osd": "osm",
    "osm": "osm",
    "osm-best": "osm",
    "osm-shuffled": "osm",
}
EFFECTS = {"scratch": 0.0, "imagenet": 0.3, "osd": 0.3, "osm": 0.4, "osm-best": 0.5, "osm-shuffled": 0.1}


def write_pictures(folder: Path, ships: np.ndarray) -> None:
    """An image of speckle with bright ships for every scene."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for number, count in enumerate(ships):
        image = rng.gamma(1, 30, (600, 600))
        for ship in range(count):
            left = int(2 * SIDE_PX * ship)
            image[: int(SIDE_PX), left : left + int(SIDE_PX)] += 150
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / f"s{number:04d}.png")


def write_study(root: Path, detectors: int, seeds: int, scenes: int, *, pictures: bool = False) -> None:
    """The folder of a comparison whose detections are drawn."""
    names = [f"detector{number}" for number in range(detectors)]
    rng = np.random.default_rng(0)
    ships = rng.poisson(2.2, scenes)
    if pictures:
        write_pictures(root / "images", ships)
    for detector in names:
        for arm in KINDS:
            for seed in range(seeds):
                quality = 1.5 + EFFECTS[arm] + rng.normal(0, 0.15)
                folder = root / "cells" / detector / arm / f"seed{seed}"
                write_cell(folder, (detector, arm, seed), ships, quality, rng, root / "images")
    arms = [ArmInfo(name, name, kind, f"{name}.pth" if kind != "scratch" else None, "") for name, kind in KINDS.items()]
    plan = {
        "format": 1,
        "title": "Drawn detections",
        "data": {"kind": "ssdd", "simulated": True},
        "arms": [dataclasses.asdict(arm) for arm in arms],
        "detectors": names,
        "seeds": list(range(seeds)),
        "skipped": [],
        "settings": {"epochs": 12},
        "versions": {},
        "baseline": "scratch",
        "caveats": [],
        "groups": {f"s{number:04d}": "inshore" if number % 5 == 0 else "offshore" for number in range(scenes)},
    }
    write_json(root / "plan.json", plan)


def write_cell(
    folder: Path, key: tuple[str, str, int], ships: np.ndarray, quality: float, rng: np.random.Generator, images: Path
) -> None:
    """Every file of a cell."""
    whole, tiles = [], []
    for number, count in enumerate(ships):
        corner = np.arange(count)[:, None] * [2 * SIDE_PX, 0]
        truth = np.hstack([corner, corner + SIDE_PX])
        hit = truth[rng.random(count) < 1 / (1 + np.exp(-quality))]
        hit = hit + rng.normal(0, 1.2, hit.shape)
        corner = rng.uniform(100, 400, (rng.poisson(10), 2))
        boxes = np.vstack([hit, np.hstack([corner, corner + SIDE_PX])])
        scores = 1 / (1 + np.exp(-np.concatenate([rng.normal(1.8, 1, len(hit)), rng.normal(0, 1, len(corner))])))
        name, ignore = f"s{number:04d}", np.zeros(count, bool)
        whole.append(ScenePrediction(name, str(images / f"{name}.png"), 600, 600, "max", truth, ignore, boxes, scores))
        tiles.append(TilePrediction(name, (0, 0, 600, 600), truth, ignore, boxes, scores))
    predictions = Predictions(tuple(whole), tuple(tiles))
    predictions.write(folder / "predictions.json")
    loss = 2 * np.exp(-np.linspace(0, 3, 500)) + rng.gamma(2, 0.05, 500)
    write_json(folder / "training.json", [{"step": 10 * k, "loss": float(value)} for k, value in enumerate(loss)])
    tensors = [f"layer{1 + k // 16}.conv{k}.weight" for k in range(62)]
    random = tensors if key[1] == "scratch" else tensors[-8:]
    certificate = {"format": 1, "coverage": 1 - len(random) / 62, "source": None, "filled": tensors[: 62 - len(random)]}
    certificate |= {"random": random, "unused": [], "backbone_sha256": {name: f"{key[2]}-{name}" for name in tensors}}
    write_json(folder / "certificate.json", certificate)
    write_text(folder / "config.py", "\n".join(f"setting{k} = {k}" for k in range(300)) + f"\ninit = {key[1]!r}\n")
    figures = {
        place: average_precision(results).figures()
        for place, results in (("tile", predictions.tile_results()), ("scene", predictions.scene_results()))
    }
    files = digests(folder, ("predictions.json", "certificate.json", "training.json", "config.py"))
    cell = {"detector": key[0], "arm": key[1], "seed": key[2], "seconds": 60.0, "coverage": None, "files": files}
    write_sealed(folder / "cell.json", cell | figures)


def cpu_s() -> float:
    """Processor time of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(folder: Path) -> tuple[float, float, int]:
    """Seconds, processor seconds and bytes of the page."""
    began_s, began_cpu_s = time.perf_counter(), cpu_s()
    page = write_report(load_study(folder), folder / "report", cache=folder / "cache", workers=2)
    return time.perf_counter() - began_s, cpu_s() - began_cpu_s, page.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detectors", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scenes", type=int, default=116)
    parser.add_argument("--pictures", action="store_true", help="images of the scenes, for the size of the page")
    parser.add_argument("--keep", type=Path, help="write the study here, and leave it")
    parser.add_argument("--quick", action="store_true", help="12 cells: does it run at all?")
    options = parser.parse_args()
    if options.quick:
        options.detectors, options.seeds, options.scenes = 1, 2, 20
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        write_study(folder, options.detectors, options.seeds, options.scenes, pictures=options.pictures)
        first, again = timed(folder), timed(folder)
    cells = options.detectors * len(KINDS) * options.seeds
    pictures = "with" if options.pictures else "without"
    print(f"{cells} cells of {options.scenes} scenes: page of {first[2] / 1e6:.2f} MB {pictures} pictures")
    for words, (seconds, cpu, _) in (("nothing kept", first), ("again", again)):
        print(f"{words:>12}: {seconds:6.1f} s, {cpu:6.1f} s of processor time")
    found = {
        "cells": cells,
        "seconds": round(first[0], 2),
        "cpu_seconds": round(first[1], 2),
        "seconds_again": round(again[0], 2),
        "cpu_seconds_again": round(again[1], 2),
        "page_bytes": first[2],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
