"""Scene pixels a second of ``osm detect`` against sahi with mmdet, and what memory does as scenes grow.

    python benchmarks/scene.py [--weights detector.safetensors] [--side 3000] [--large 30000] [--rounds 1]

* speed: one 8-bit scene of ``--side``² pixels on disk, one Faster R-CNN R18 (of ``--weights``, or untrained from a
  seed), the same windows of 256 px, overlapping by a quarter. sahi runs as its own ``AutoDetectionModel`` of type mmdet
  does, from a config and a checkpoint with the same tensors, without its further pass over the whole scene. Both read
  the file; they take turns a round, and of the ratios of the rounds the median counts.
* detections: the merge rules differ, so that they are compared before merging: every box of every window is matched to
  one of the other side, and the worst difference of a coordinate (in pixels, against ``--tolerance``) and of a score
  is told.
* memory: peak resident memory of a process that searches a scene of 3000² pixels, and of one that searches
  ``--large``². The large scene would take the network hours on a CPU, so that the runtime of these two is a stand-in
  that takes the brightest pixel of each window for a ship; reading, levels, merging and writing are the real ones.

The last line is one JSON object: ``ratio_sahi`` (pixels a second of osm to those of sahi; the target is 1.5 on a CPU, 3
on a GPU), ``ratio_sahi_cpu`` (the same by CPU time: on a machine that does other work too, the wall clock counts that
work as well), ``worst_px``, ``worst_score``, ``unmatched`` and ``ratio_memory`` (at most 1.2 is wanted).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

TILE_PX, OVERLAP_PX = 256, 64
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="detector.safetensors of an mmdet detector with tiles of 256 px")
    parser.add_argument("--side", type=int, default=3000, help="side of the scene of the speed, in pixels")
    parser.add_argument("--large", type=int, default=30_000, help="side of the large scene of the memory; 0 for none")
    parser.add_argument("--rounds", type=int, default=1, help="timed rounds, after a short one that is not")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="greatest difference of a coordinate or a score")
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        measure_peak(options.peak)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = compare(folder, options)
        if options.large:
            peaks = {side: peak_mb(folder, side) for side in (3000, options.large)}
            for side, peak in peaks.items():
                print(f"peak memory, {side:,}² pixels of uint16: {peak:,.0f} MB")
            figures["ratio_memory"] = round(peaks[options.large] / peaks[3000], 3)
    print(json.dumps(figures))


def compare(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    from osm.detection.search.search import search_scene

    weights = options.weights or untrained(folder)
    scene, small = folder / "scene.tif", folder / "small.tif"
    write_scene(scene, options.side)
    write_scene(small, 300)
    runtime = open_osm(weights)
    sahi = open_sahi(weights, folder)
    times: dict[str, list[Any]] = {"osm detect": [], "sahi": []}
    for number in range(options.rounds + 1):
        path = scene if number else small
        runtime.seen.clear()
        begin = clocks()
        search_scene(runtime, path)
        between = clocks()
        theirs = search_with_sahi(sahi, path)
        end = clocks()
        if number:
            times["osm detect"].append(between - begin)
            times["sahi"].append(end - between)
    pixels = options.side**2
    for what, spent in times.items():
        wall, cpu = np.median(spent, axis=0)
        print(f"{what:<12}{wall:>8.1f} s{cpu:>8.1f} CPU s{pixels / 1e6 / wall:>8.3f} Mpx/s")
    ours = in_windows(runtime.seen, options.side)
    found = differences(ours, theirs, options.tolerance)
    print(
        f"detections before merging: {found['ours']:,} of osm and {found['sahi']:,} of sahi in {len(ours):,} windows; "
        f"worst difference {found['worst_px']:.2g} px, score {found['worst_score']:.2g}; {found['unmatched']} unmatched"
    )
    wall, cpu = np.median(np.asarray(times["sahi"]) / np.asarray(times["osm detect"]), axis=0)
    return {
        "ratio_sahi": round(float(wall), 3),
        "ratio_sahi_cpu": round(float(cpu), 3),
        "worst_px": found["worst_px"],
        "worst_score": found["worst_score"],
        "unmatched": found["unmatched"],
    }


def clocks() -> Any:
    """Seconds of the wall clock, and of CPU time of this process."""
    return np.asarray([time.perf_counter(), time.process_time()])


def write_scene(path: Path, side: int) -> None:
    """Speckle with bright ships."""
    import rasterio

    rng = np.random.default_rng(0)
    image = rng.gamma(4.0, 7.0, (side, side))
    for _ in range(side * side // 40_000):
        x, y = rng.integers(0, side - 60, 2)
        width, height = rng.integers(6, 50, 2)
        image[y : y + height, x : x + width] += rng.gamma(8.0, 20.0, (height, width))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", driver="GTiff", width=side, height=side, count=1, dtype="uint8") as file:
            file.write(image.clip(0, 255).astype(np.uint8), 1)


def untrained(folder: Path) -> Path:
    """A detector from a seed, written as a fine-tuning does."""
    from osm.configs import config_path
    from osm.detection.engine import build_detector
    from osm.detection.recipe import load_recipe
    from osm.transfer.export import write_safetensors

    settings = {"data.tile_px": TILE_PX, "data.overlap_px": OVERLAP_PX, "data.radiometry": "none"}
    recipe = load_recipe(config_path("detect/faster-rcnn_r18_ssdd.py"), settings)
    model, _ = build_detector(recipe, seed=0, weights=None, min_coverage=1.0)
    path = folder / "detector.safetensors"
    write_safetensors(path, model.state_dict(), {"osm.recipe": json.dumps(recipe.settings(), default=str)})
    return path


def open_osm(weights: Path) -> Any:
    """Our runtime, which also keeps what it found."""
    from osm.detection.search.torch_runtime import TorchRuntime

    class Keeping(TorchRuntime):
        def predict(self, tiles: Any) -> Any:
            found = super().predict(tiles)
            self.seen.extend(found)
            return found

    runtime = Keeping(weights)
    runtime.seen = []
    if (runtime.tile_px, runtime.overlap_px) != (TILE_PX, OVERLAP_PX):
        raise SystemExit(f"weights with tiles of {TILE_PX} px and an overlap of {OVERLAP_PX} px are needed")
    return runtime


def open_sahi(weights: Path, folder: Path) -> Any:
    """sahi's own model of mmdet, of the same tensors."""
    import torch
    from mmengine.config import Config
    from sahi import AutoDetectionModel

    from osm.compat.operators import ensure_operators
    from osm.detection.engine import model_config
    from osm.detection.search.torch_runtime import load_detector

    ensure_operators()
    detector, recipe = load_detector(weights)
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "scale": (TILE_PX, TILE_PX), "keep_ratio": True},
        {"type": "PackDetInputs", "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")},
    ]
    data = {"dataset": {"type": "CocoDataset", "pipeline": pipeline}}
    values = {
        "model": model_config(recipe),
        "test_dataloader": data,
        "train_dataloader": data,
        "default_scope": "mmdet",
        "visualizer": {"type": "DetLocalVisualizer", "name": "theirs"},
    }
    Config(values).dump(folder / "theirs.py")
    torch.save({"state_dict": dict(detector.state_dict()), "meta": {"dataset_meta": {"classes": ("ship",)}}},
               folder / "theirs.pth")  # fmt: skip
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoDetectionModel.from_pretrained(
            "mmdet", str(folder / "theirs.pth"), config_path=str(folder / "theirs.py"), device=device,
            confidence_threshold=0.0,
        )  # fmt: skip


def search_with_sahi(model: Any, path: Path) -> list[dict[str, Any]]:
    """What sahi's model gave for each window, in the order of its windows."""
    from sahi.predict import get_sliced_prediction

    kept: list[dict[str, Any]] = []
    inner = type(model).perform_inference

    def perform(image: Any) -> None:
        inner(model, image)
        kept.extend(
            {"boxes": np.asarray(one["bboxes"]).reshape(-1, 4).copy(), "scores": np.asarray(one["scores"])}
            for one in model._original_predictions
        )

    model.perform_inference = perform
    get_sliced_prediction(
        str(path), model, TILE_PX, TILE_PX, OVERLAP_PX / TILE_PX, OVERLAP_PX / TILE_PX, perform_standard_pred=False,
        postprocess_type="NMS", postprocess_match_metric="IOU", verbose=0, confidence_threshold=0.3,
    )  # fmt: skip
    return kept


def in_windows(seen: list[Any], side: int) -> list[dict[str, Any]]:
    from osm.data.tiling import tile_grid

    assert len(seen) == len(tile_grid(side, side, TILE_PX, OVERLAP_PX))
    return [{"boxes": boxes, "scores": scores} for boxes, scores in seen]


def differences(ours: list[Any], theirs: list[Any], tolerance: float) -> dict[str, Any]:
    """Match the boxes of each window, the surest first, each to the nearest of the other side."""
    assert len(ours) == len(theirs), (len(ours), len(theirs))
    worst_px, worst_score, unmatched = 0.0, 0.0, 0
    for one, other in zip(ours, theirs, strict=True):
        unmatched += abs(len(one["scores"]) - len(other["scores"]))
        free = np.ones(len(other["scores"]), dtype=bool)
        for box, score in zip(one["boxes"], one["scores"], strict=True):
            if not free.any():
                break
            apart = np.abs(other["boxes"] - box).max(axis=1)
            apart = np.where(free, np.maximum(apart, np.abs(other["scores"] - score)), np.inf)
            nearest = int(apart.argmin())
            if apart[nearest] > max(1.0, tolerance):
                # suppression of near ties may keep another box: not a difference of a coordinate
                unmatched += 1
                continue
            free[nearest] = False
            worst_px = max(worst_px, float(np.abs(other["boxes"][nearest] - box).max()))
            worst_score = max(worst_score, float(abs(other["scores"][nearest] - score)))
    return {
        "ours": sum(len(one["scores"]) for one in ours),
        "sahi": sum(len(one["scores"]) for one in theirs),
        "worst_px": worst_px,
        "worst_score": worst_score,
        "unmatched": unmatched,
    }


class Brightest:
    """A stand-in for a network: the brightest pixel of a window is a ship."""

    tile_px, overlap_px, radiometry, batch_size = 512, 128, "percentile:0.5,99.5", 8
    merge_iou, merge_smaller = 0.5, 0.7

    def predict(self, tiles: Any) -> list[Any]:  # noqa: D102
        found = []
        for tile in tiles:
            y, x = divmod(int(tile.argmax()), self.tile_px)
            found.append((np.asarray([[x, y, x + 9, y + 7]], np.float32), np.asarray([0.9], np.float32)))
        return found


def peak_mb(folder: Path, side: int) -> float:
    """Peak resident memory of a process that searches a scene of this size."""
    import rasterio

    path = folder / f"peak_{side}.tif"
    facts = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint16"}
    rng = np.random.default_rng(0)
    block = rng.gamma(2.0, 300.0, (512, 512)).astype(np.uint16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(
            path, "w", **facts, tiled=True, blockxsize=512, blockysize=512, compress="deflate", zlevel=1,
            sparse_ok=True, crs="EPSG:32633", transform=rasterio.Affine(10, 0, 500000, 0, -10, 5800000),
        ) as file:  # fmt: skip
            # every third block holds pixels, the others are absent from the file and read as no data
            for row in range(0, side, 512):
                for column in range(0, side, 512):
                    if (row // 512 + column // 512) % 3 == 0:
                        height, width = min(512, side - row), min(512, side - column)
                        window = rasterio.windows.Window(column, row, width, height)
                        file.write(block[:height, :width], 1, window=window)
    command = [sys.executable, str(Path(__file__).resolve()), "--peak", str(path)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return float(done.stdout.split()[-1])


def measure_peak(path: Path) -> None:
    from osm.detection.search import batch
    from osm.detection.search.inputs import SceneFile
    from osm.detection.search.order import Order

    batch.open_runtime = lambda weights, device: Brightest()  # type: ignore[assignment]
    outcomes = batch.run_batch(
        Order(path, "0" * 64, formats=("geojson", "coco", "csv", "png", "html")),
        [SceneFile(path.stem, path)],
        path.parent / f"{path.stem}_out",
    )
    assert outcomes[0].state == "searched", outcomes[0].error
    # not ru_maxrss, which a process takes over from the one that started it
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


if __name__ == "__main__":
    main()
