"""Pairs a second of whole epochs of ``osm pretrain``, from the disk on, against a bare loop of the same backbones.

    python benchmarks/matching_epoch.py [--architecture resnet18] [--pairs 96] [--batch 8] [--rounds 3] [--workers 2]

Simulated pairs of 256 px are written in the layout of QXS-SAROPT, and packed by ``osm data pack``. Then four processes
take an epoch each in turn, so that whatever else the machine does falls on all of them:

* packed: an epoch of ``osm pretrain`` from the packed store.
* png: the same from the PNG files.
* resident: the same from the packed store with ``data.resident="on"``: pairs are read once and live on the device.
* bare: as many steps of forward and backward of the two backbones alone, over one batch that is in memory and
  normalised (``matching_step.py``).

An epoch lasts from before its first batch is asked for to after its last step: loading, decoding, normalising, log and
optimiser are in it; checkpoints and the evaluation at the end of a run are not. Augmentation is off, as in the config.
The first epoch of each is not counted. ``waiting`` is the part of an epoch in which steps wait for their batch, as the
run's own log has it (``data_share``).

The last line is one JSON object: ``ratio_bare`` (packed to bare, in pairs a second), ``ratio_bare_png``,
``ratio_bare_resident``, and the waiting of each; ``_cpu`` names the ratios by CPU time of the training process, which
leaves out what workers read.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from matching_step import bare_step, stored_batch
from mmengine.hooks import Hook

from osm.compat.device import pick_device, precision_on

CONFIGS = Path(__file__).resolve().parent.parent / "configs" / "pretrain"
ARMS = ("packed", "png", "resident", "bare")
SIZE_PX = 256
#: Pairs that are not trained on: the evaluation needs some.
HELD_BACK = 4


class Turns(Hook):
    """Lets a training take an epoch for each line of input, and prints what it took."""

    priority = "HIGHEST"

    def __init__(self, out: Any) -> None:
        self.out = out

    def before_train_epoch(self, runner: Any) -> None:
        """Wait for a line; without one the run ends here."""
        if not sys.stdin.readline():
            self.out.close()
            os._exit(0)  # what follows a training is not measured
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def after_train_epoch(self, runner: Any) -> None:
        """Tell the seconds, and the part of them that was waited."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        print(wall, cpu, runner.message_hub.get_scalar("train/data_share").current(), file=self.out, flush=True)


def serve(options: argparse.Namespace) -> None:
    """Take an epoch for each line of input."""
    # the log of a run would be taken for figures
    out, sys.stdout = sys.stdout, sys.stderr
    if options.serve == "bare":
        serve_bare(options, out)
        return
    from osm.matching import pretrain as module

    build = module.build_runner

    def build_runner(*arguments: Any, **keywords: Any) -> Any:
        runner = build(*arguments, **keywords)
        runner.register_hook(Turns(out))
        return runner

    module.build_runner = build_runner
    epochs = 10_000  # input ends before
    with tempfile.TemporaryDirectory(dir=options.folder) as work:
        module.pretrain(
            CONFIGS / f"bnn_{options.architecture}.py",
            data_root=options.folder / ("png" if options.serve == "png" else "packed"),
            work_dir=Path(work) / "run",
            options={
                "data.split": "paper",
                "data.train_fraction": options.pairs / (options.pairs + HELD_BACK),
                "data.size_px": SIZE_PX,
                "data.workers": options.workers,
                "data.resident": "on" if options.serve == "resident" else "off",
                "train.batch_size": options.batch,
                "train.epochs": epochs,
                "train.checkpoint_every_epochs": epochs,
                "train.precision": "auto",
            },
        )


def serve_bare(options: argparse.Namespace, out: Any) -> None:
    """Likewise of the bare loop."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = device.type == "cuda"
    step = bare_step(
        options.architecture, stored_batch(options.batch, SIZE_PX), device, precision_on("auto", device.type)
    )
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(options.pairs // options.batch):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        print(time.perf_counter() - wall, time.process_time() - cpu, 0.0, file=out, flush=True)


def write_pairs(folder: Path, count: int) -> None:
    from osm.data.pack import pack_pairs
    from osm.simulate import simulate_pairs

    simulate_pairs(folder / "png", count=count, size_px=SIZE_PX)
    pack_pairs(folder / "png", folder / "packed")


def measure(arguments: list[str], rounds: int) -> dict[str, list[tuple[float, ...]]]:
    """Of each epoch and arm: seconds on the wall clock, seconds of CPU time, and the part that was waited."""
    command = [sys.executable, __file__, *arguments, "--serve"]
    processes = {
        name: subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ARMS
    }
    epochs: dict[str, list[tuple[float, ...]]] = {name: [] for name in ARMS}
    try:
        for number in range(rounds + 1):
            for name, process in processes.items():
                print("epoch", file=process.stdin, flush=True)
                line = process.stdout.readline()
                if not line:
                    raise SystemExit(f"{name} ended with exit code {process.wait()}")
                if number:
                    epochs[name].append(tuple(map(float, line.split())))
    finally:
        for process in processes.values():
            process.stdin.close()
            process.wait()
    return epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=("resnet18", "resnet50", "darknet53"), default="resnet18")
    parser.add_argument("--pairs", type=int, default=96, help="pairs an epoch")
    parser.add_argument("--batch", type=int, default=8, help="pairs a step")
    parser.add_argument("--rounds", type=int, default=3, help="timed epochs of each, after one that is not")
    parser.add_argument("--workers", type=int, default=2, help="processes that read, of packed and of png each")
    parser.add_argument("--threads", type=int, help="CPU threads; by default as torch chooses")
    parser.add_argument("--folder", type=Path, help="where the pairs go for a while; by default the temporary folder")
    parser.add_argument("--serve", choices=ARMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.serve:
        serve(options)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_pairs(folder, options.pairs + HELD_BACK)
        epochs = measure([*sys.argv[1:], "--folder", str(folder)], options.rounds)
    steps = options.pairs // options.batch
    device = pick_device("auto")
    print(
        f"{options.architecture}, {steps} steps of {options.batch} pairs of {SIZE_PX} px an epoch, "
        f"{precision_on('auto', device)}, {device}, {torch.get_num_threads()} threads, {options.workers} "
        f"workers, medians of {options.rounds}"
    )
    print(f"{'epoch':<12}{'pairs/s':>9}{'seconds':>9}{'CPU s':>9}{'waiting':>9}")
    for name, values in epochs.items():
        wall, cpu, waited = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{name:<12}{steps * options.batch / wall:>9.2f}{wall:>9.2f}{cpu:>9.2f}{waited:>9.2%}")
    figures = {}
    for name, key in (("packed", "ratio_bare"), ("png", "ratio_bare_png"), ("resident", "ratio_bare_resident")):
        for clock, suffix in ((0, ""), (1, "_cpu")):
            rounds = zip(epochs[name], epochs["bare"], strict=True)
            figures[key + suffix] = round(statistics.median(bare[clock] / ours[clock] for ours, bare in rounds), 3)
        figures[f"waiting_{name}"] = round(statistics.median(values[2] for values in epochs[name]), 4)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
