"""Tiles a second of a detector in onnxruntime and in torch, on one thread of the CPU.

    python benchmarks/deploy.py --weights detector.safetensors [--onnx detector.onnx] [--tiles 8] [--rounds 3]

The ONNX file is exported, and with that proven, unless it is given. Both are given the same simulated tiles, one a
call, in float32; they take turns, and of the rounds, after one that is not timed, the median counts: of processor time,
since a busy machine changes the wall clock.

The last line is one JSON object: ``torch_s`` and ``onnx_s`` (processor seconds a tile), ``ratio`` (torch's to
onnxruntime's: above 1 onnxruntime is faster), ``worst_px`` and ``worst_score`` (largest differences of detections that
both have), ``unmatched`` (detections of a score of 0.05 or more that only one has) and ``detections`` (that both have).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

# before numpy and torch count the cores
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="detector.safetensors of osm finetune")
    parser.add_argument("--onnx", type=Path, help="its export, if there is one already")
    parser.add_argument("--tiles", type=int, default=8, help="tiles a round")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(options, Path(folder))))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    import torch

    from osm.cli.export import _tiles
    from osm.detection.onnx.exporting import export_onnx, rules_of
    from osm.detection.onnx.proof import compare_tile
    from osm.detection.search.onnx_runtime import OnnxRuntime
    from osm.detection.search.torch_runtime import TorchRuntime

    torch.set_num_threads(1)
    file = options.onnx or export_onnx(options.weights, folder / "detector.onnx", _tiles).path
    in_torch, in_onnx = TorchRuntime(options.weights, "cpu"), OnnxRuntime(file, threads=1)
    in_torch.precision = "float32"
    shown = _tiles(in_torch.tile_px, in_torch.radiometry)
    tiles = shown[np.arange(options.tiles) % len(shown)]
    times: dict[str, list[float]] = {"torch": [], "onnx": []}
    found: dict[str, list[Any]] = {}
    for number in range(options.rounds + 1):
        for name, runtime in (("torch", in_torch), ("onnx", in_onnx)):
            begin = time.process_time()
            found[name] = [one for i in range(len(tiles)) for one in runtime.predict(tiles[i : i + 1])]
            if number:
                times[name].append((time.process_time() - begin) / len(tiles))
    each = {name: float(np.median(spent)) for name, spent in times.items()}
    for name, spent in each.items():
        print(f"{name:<6}{spent:>8.3f} CPU s a tile of {in_torch.tile_px} px")
    rules = rules_of(in_torch.detector)
    differences = [compare_tile(*both, rules) for both in zip(found["torch"], found["onnx"], strict=True)]
    return {
        "torch_s": round(each["torch"], 4),
        "onnx_s": round(each["onnx"], 4),
        "ratio": round(each["torch"] / each["onnx"], 3),
        "worst_px": max(one.box_px for one in differences),
        "worst_score": max(one.score for one in differences),
        "unmatched": sum(one.ties + len(one.strays) for one in differences),
        "detections": sum(one.pairs for one in differences),
    }


if __name__ == "__main__":
    main()
