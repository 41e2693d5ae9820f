"""Pairs a second of the training step, against a bare loop of the same backbones and the reference's step.

    python benchmarks/matching_step.py [--architecture resnet50] [--pairs 8] [--rounds 5] [--device cpu]

Three steps over the same batch of stored uint8 pairs, taken in turn (A B C A B C …), so that whatever else the
machine does falls on all of them; ratios are taken within a round, and their median counts. Each has a process of its
own, since what ``osm pretrain`` asks of the allocator holds for a whole process and would speed up the others too.

* project: the step as ``osm pretrain`` takes it, from uint8 patches to changed weights, with its setting
  ``train.keep_memory`` (off with --no-keep-memory).
* bare: forward and backward of the two backbones alone, at the same precision and memory layout: no head, no
  loss over distances, no optimiser, input normalised beforehand. Nothing that trains both can be faster.
* reference: what the published method pays: float32, N matching pairs and N non-matching pairs in passes of
  their own, one plain SGD step over both branches.

The last line is one JSON object: ``ratio_bare`` (project to bare) and ``ratio_reference`` (project to reference)
in pairs a second; on a CPU also the same by CPU time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from osm.compat import amp  # noqa: F401  (registers the optimiser wrapper)
from osm.compat.allocator import memory_kept
from osm.compat.device import PRECISIONS, precision_on
from osm.matching.network import BridgeNetwork
from osm.matching.preprocess import PairPreprocessor
from osm.matching.runner import optimizer_config
from osm.transfer.architectures import ARCHITECTURES, build_backbone, out_channels

SGD = {"type": "SGD", "lr": 0.005}
STEPS = ("project", "bare", "reference")
Step = Callable[[], object]
WALL, CPU = 0, 1


def stored_batch(pairs: int, size_px: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    shape = (pairs, size_px, size_px)
    return {
        "sar": torch.randint(256, shape, dtype=torch.uint8, generator=draw),
        "optical": torch.randint(256, (*shape, 3), dtype=torch.uint8, generator=draw),
        "index": torch.arange(pairs),
    }


def project_step(architecture: str, batch: dict[str, torch.Tensor], device: torch.device, precision: str) -> Step:
    known = ARCHITECTURES[architecture]
    preprocessor = PairPreprocessor(known.mean, known.std, size_px=batch["sar"].shape[-1])
    network = BridgeNetwork(architecture, data_preprocessor=preprocessor)
    network.start()
    network.to(device)
    network.train()
    wrapper = build_optim_wrapper(
        network, {"type": "AutocastOptimWrapper", "dtype": precision, "optimizer": optimizer_config(SGD)}
    )

    def step() -> object:
        network.step += 1
        return network.train_step(batch, wrapper)

    return step


def bare_step(architecture: str, batch: dict[str, torch.Tensor], device: torch.device, precision: str) -> Step:
    backbones = [build_backbone(architecture).to(device, memory_format=torch.channels_last) for _ in range(2)]
    inputs = [images.to(device).contiguous(memory_format=torch.channels_last) for images in normalised(batch)]
    for backbone in backbones:
        backbone.train()  # mmdet's returns nothing

    def step() -> object:
        total = torch.zeros((), device=device)
        for backbone, images in zip(backbones, inputs, strict=True):
            backbone.zero_grad(set_to_none=True)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
                feature_map = backbone(images)[-1]
            total = total + feature_map.float().mean()
        total.backward()
        return total

    return step


def reference_step(architecture: str, batch: dict[str, torch.Tensor], device: torch.device) -> Step:
    branches = [
        nn.ModuleList([build_backbone(architecture), reference_head(out_channels(architecture)[-1])]).to(device)
        for _ in range(2)
    ]
    for branch in branches:
        branch[0].train()
    sar, optical = (images.to(device) for images in normalised(batch))
    elsewhere = optical.roll(1, dims=0).contiguous()
    optimizer = torch.optim.SGD([p for branch in branches for p in branch.parameters()], lr=0.005, foreach=False)

    def embed(branch: nn.ModuleList, images: torch.Tensor) -> torch.Tensor:
        return branch[1](branch[0](images)[-1])

    def step() -> object:
        optimizer.zero_grad()
        near = (embed(branches[0], sar) - embed(branches[1], optical)).square().mean(dim=1)
        far = (embed(branches[0], sar) - embed(branches[1], elsewhere)).square().mean(dim=1)
        loss = (near.mean() + (far.clamp_min(1e-12).sqrt() - 1).square().mean()) / 2
        loss.backward()
        optimizer.step()
        return loss

    return step


def reference_head(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 128, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(2048, 128),
        nn.Linear(128, 20),
        nn.Sigmoid(),
    )


def normalised(batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    sar = batch["sar"].unsqueeze(1).expand(-1, 3, -1, -1).float()
    optical = batch["optical"].permute(0, 3, 1, 2).float()
    return (sar / 128 - 1).contiguous(), (optical / 128 - 1).contiguous()


def measure(arguments: list[str], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each step, round by round: on the wall clock, and of its process's CPU time."""
    command = [sys.executable, __file__, *arguments, "--serve"]
    processes = {
        name: subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in STEPS
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in STEPS}
    try:
        for number in range(rounds + 2):
            for name, process in processes.items():
                print("step", file=process.stdin, flush=True)
                wall, cpu = map(float, process.stdout.readline().split())
                if number > 1:  # the first rounds allocate and choose kernels
                    seconds[name].append((wall, cpu))
    finally:
        for process in processes.values():
            process.stdin.close()
            process.wait()
    return seconds


def serve(options: argparse.Namespace) -> None:
    """Take a step for each line of input, and print what it took."""
    device = torch.device(options.device)
    torch.backends.cudnn.benchmark = True
    batch = stored_batch(options.pairs, options.size)
    if options.serve == "reference":
        step = reference_step(options.architecture, batch, device)
    else:
        make = {"project": project_step, "bare": bare_step}[options.serve]
        step = make(options.architecture, batch, device, options.precision)
    with memory_kept(options.serve == "project" and options.keep_memory):
        for _ in sys.stdin:
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=sorted(ARCHITECTURES), default="resnet50")
    parser.add_argument("--pairs", type=int, default=8, help="pairs a step")
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds, after one that is not")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="of project and bare")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, help="CPU threads; by default as torch chooses")
    parser.add_argument("--no-keep-memory", dest="keep_memory", action="store_false", help="of project")
    parser.add_argument("--serve", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.precision = precision_on(options.precision, options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.serve:
        serve(options)
        return
    seconds = measure(sys.argv[1:], options.rounds)
    print(
        f"{options.architecture}, {options.pairs} pairs of {options.size} px a step, {options.precision}, "
        f"{options.device}, {torch.get_num_threads()} threads, medians of {options.rounds}"
    )
    print(f"{'step':<12}{'pairs/s':>9}{'s/step':>9}{'from':>9}{'to':>9}{'CPU s':>9}")
    for name, values in seconds.items():
        wall, cpu = ([value[clock] for value in values] for clock in (WALL, CPU))
        median = statistics.median(wall)
        cells = (options.pairs / median, median, min(wall), max(wall), statistics.median(cpu))
        print(f"{name:<12}" + "".join(f"{cell:>9.2f}" for cell in cells))
    figures = {f"ratio_{other}": ratio(seconds, other, WALL) for other in ("bare", "reference")}
    if options.device == "cpu":
        # the same by CPU time: what a machine that does other work too leaves trustworthy
        figures |= {f"ratio_{other}_cpu": ratio(seconds, other, CPU) for other in ("bare", "reference")}
    print(json.dumps(figures))


def ratio(seconds: dict[str, list[tuple[float, float]]], other: str, clock: int) -> float:
    """Seconds of another step to those of the project's, each round by itself, and of that the median."""
    pairs = zip(seconds["project"], seconds[other], strict=True)
    return round(statistics.median(b[clock] / a[clock] for a, b in pairs), 3)


if __name__ == "__main__":
    main()
