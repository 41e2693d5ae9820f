"""Seconds to export and prove a backbone, and to load a detector from safetensors against torch.load.

    python benchmarks/load.py [--rounds 5] [--quick]

* export: ``osm export`` of a ResNet-50 to each framework in a process of its own, from the command to the proven
  file, imports included.
* load: a Faster R-CNN with ResNet-50 is filled, strictly, from the same tensors in two files: one read by our reader
  of safetensors, one by ``torch.load(weights_only=True)``. They take turns; the ratio is taken within each round, and
  of these the median counts. The files are in the page cache.

On a machine that does other work too, the wall clock counts that work as well: CPU time is shown beside it.

The last line is one JSON object: ``export_seconds`` (the slowest framework; the target is 10) and
``ratio_torch_load`` (seconds of torch.load to those of safetensors; 1 or more is not slower), with ``_cpu`` the same
by CPU time; ``ratio_checked`` is that of our own exports, of which every tensor is hashed too, as torch.load does not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TARGETS = ("mmdet", "torchvision", "timm", "ultralytics", "safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of loading, after one that is not")
    parser.add_argument("--quick", action="store_true", help="one round, one framework, ResNet-18: does it run at all?")
    options = parser.parse_args()
    rounds, depth = (1, 18) if options.quick else (options.rounds, 50)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = backbone_file(folder, f"resnet{depth}")
        exports = {to: export(source, to) for to in (TARGETS[:1] if options.quick else TARGETS)}
        loads = load_detector(folder, depth, rounds)
    print(f"{'export and proof':<34}{'s':>8}{'CPU s':>8}")
    for to, (wall, cpu) in exports.items():
        print(f"resnet{depth} to {to:<22}{wall:>8.1f}{cpu:>8.1f}")
    print(f"\n{f'faster-rcnn_r{depth} from':<34}{'ms':>8}{'CPU ms':>8}")
    for what, times in loads.items():
        wall, cpu = (1000 * statistics.median(values) for values in zip(*times, strict=True))
        print(f"{what:<34}{wall:>8.0f}{cpu:>8.0f}")
    figures = {
        "export_seconds": round(max(wall for wall, _ in exports.values()), 2),
        "export_seconds_cpu": round(max(cpu for _, cpu in exports.values()), 2),
    }
    for clock, suffix in ((0, ""), (1, "_cpu")):
        for name, what in (("ratio_torch_load", "safetensors"), ("ratio_checked", "safetensors, hashed")):
            pairs = zip(loads["torch.load"], loads[what], strict=True)
            figures[name + suffix] = round(statistics.median(theirs[clock] / ours[clock] for theirs, ours in pairs), 3)
    print(json.dumps(figures))


def backbone_file(folder: Path, architecture: str) -> Path:
    """Write a backbone as pretraining does."""
    from osm.transfer.architectures import build_backbone
    from osm.transfer.card import Card, InputContract
    from osm.transfer.export import export_backbone
    from osm.transfer.initialise import initialise

    backbone = build_backbone(architecture)
    initialise(backbone, 0)
    path = folder / "sar_backbone.safetensors"
    export_backbone(path, backbone, Card(architecture, InputContract.of(architecture)))
    return path


def export(source: Path, framework: str) -> tuple[float, float]:
    """Seconds of the command on the wall clock, and of its CPU time."""
    command = [sys.executable, "-c", "from osm.cli.main import main; main()", "export", str(source), "--to", framework]
    root = Path(__file__).resolve().parent.parent
    spent = cpu_of_children()
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(root)})
    return time.perf_counter() - begin, cpu_of_children() - spent


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def load_detector(folder: Path, depth: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds to fill a detector from either file, round by round: wall clock and CPU time."""
    import torch
    from mmdet.registry import MODELS
    from mmengine.config import ConfigDict
    from safetensors.torch import save_file

    from osm.compat.scope import mmdet_scope
    from osm.configs import config_path
    from osm.detection.engine import model_config
    from osm.detection.recipe import load_recipe
    from osm.transfer.card import Card, InputContract
    from osm.transfer.export import export_tensors, read_export, read_safetensors

    recipe = load_recipe(config_path(f"detect/faster-rcnn_r{depth}_air-sarship-1.0.py"))
    with mmdet_scope():
        detector: Any = MODELS.build(ConfigDict(model_config(recipe)))
    state = detector.state_dict()
    theirs, plain, carded = folder / "detector.pth", folder / "plain.safetensors", folder / "detector.safetensors"
    torch.save(dict(state), theirs)
    save_file({name: value.contiguous().clone() for name, value in state.items()}, plain)
    export_tensors(carded, state, Card(f"resnet{depth}", InputContract.of(f"resnet{depth}")))

    readers: dict[str, Callable[[], dict[str, Any]]] = {
        "torch.load": lambda: torch.load(theirs, map_location="cpu", weights_only=True),
        "safetensors": lambda: read_safetensors(plain)[0],
        "safetensors, hashed": lambda: read_export(carded)[0],
    }
    times: dict[str, list[tuple[float, float]]] = {what: [] for what in readers}
    for number in range(rounds + 1):
        for what, read in readers.items():
            begin, cpu = time.perf_counter(), time.process_time()
            detector.load_state_dict(read(), strict=True)
            spent = time.perf_counter() - begin, time.process_time() - cpu
            if number:
                times[what].append(spent)
    return times


if __name__ == "__main__":
    main()
