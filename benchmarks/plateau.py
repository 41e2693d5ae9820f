"""What ends the plateau of the bridge loss: heads, negatives and optimisers on the same pairs, epoch by epoch.

    python benchmarks/plateau.py --pairs work_dirs/pairs --index ../shared/data/sentinel-pairs/index.json \
        --weights ../shared/data/weights/resnet18_imagenet1k-v1_partial.pth

The published bridge loss drives every distance to 0.5 and rests there, at 0.25. ResNet-18 branches are trained on the
pairs of one Sentinel-2 tile, reduced to ``--size`` pixels, and judged on those of another: AUC and recall@1. One
seed: the order of size counts, not the last digit. Without ``--weights`` the start is random.

The last line is one JSON object: AUC on the other tile by variant.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matching_study import scenes_by_tile
from torch import Tensor, nn

from osm.data.pairs import read_pairs
from osm.matching.evaluate import Embeddings
from osm.matching.metrics import auc
from osm.matching.network import BridgeNetwork
from osm.matching.preprocess import PairPreprocessor
from osm.matching.retrieval import ranks, retrieval
from osm.transfer.architectures import ARCHITECTURES

BRIDGE, ALL, NCE = {"type": "BridgeLoss"}, {"type": "BridgeLoss", "negatives": "all"}, {"type": "InfoNCE"}
WARM = {"type": "Warmup", "first": NCE, "then": BRIDGE, "steps": 48}


def sgd(momentum: float = 0.0) -> Callable[[list[nn.Parameter]], torch.optim.Optimizer]:
    return lambda parameters: torch.optim.SGD(parameters, lr=0.005, momentum=momentum)


def adamw(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=3e-4, weight_decay=0.01)


BATCH = 32

#: Name → objective, whether the heads end with batch norm, optimiser.
VARIANTS = {
    "as published (SGD)": (BRIDGE, False, sgd()),
    "momentum 0.9": (BRIDGE, False, sgd(0.9)),
    "all negatives": (ALL, False, sgd()),
    "AdamW": (BRIDGE, False, adamw),
    "normed heads": (BRIDGE, True, sgd()),
    "normed heads, momentum 0.9": (BRIDGE, True, sgd(0.9)),
    "normed heads, all negatives, momentum 0.9": (ALL, True, sgd(0.9)),
    "normed heads, AdamW": (BRIDGE, True, adamw),
    "normed heads, all negatives, AdamW": (ALL, True, adamw),
    "48 steps of InfoNCE first, AdamW": (WARM, False, adamw),
    "InfoNCE, AdamW": (NCE, False, adamw),
    "InfoNCE, normed heads, AdamW": (NCE, True, adamw),
}


def load(root: Path, size_px: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """All pairs, normalised and reduced, and the scene of each."""
    folder = read_pairs(root)
    if folder.scenes is None:
        raise SystemExit(f"{root} names no scenes (manifest.csv), so that no tile can be held back")
    known = ARCHITECTURES["resnet18"]
    prepare = PairPreprocessor(known.mean, known.std, size_px=size_px)
    parts = []
    for start in range(0, len(folder), 64):
        chosen = list(range(start, min(start + 64, len(folder))))
        stored = {"sar": folder.sar_patches(chosen), "optical": folder.optical_patches(chosen)}
        parts.append(prepare({name: torch.from_numpy(patches) for name, patches in stored.items()}))
    sar, optical = (torch.cat([part[name] for part in parts]) for name in ("sar", "optical"))
    return sar, optical, np.asarray(folder.scenes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--train-tile", default="T11SLT")
    parser.add_argument("--test-tile", default="T11SMT")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    options = parser.parse_args()
    sar, optical, scenes = load(options.pairs, options.size)
    judged, unused = scenes_by_tile(options.index, options.train_tile, options.test_tile)
    test = np.flatnonzero(np.isin(scenes, judged))
    train = np.flatnonzero(~np.isin(scenes, judged + unused))
    if len(train) < BATCH or len(test) < 2:
        found = f"{len(train)} pairs of {options.train_tile} and {len(test)} of {options.test_tile}"
        raise SystemExit(f"{found} are too few")
    print(f"{len(train)} training and {len(test)} test pairs of {options.size} px, {options.epochs} epochs")
    print(f"{'variant':<44}{'loss':>7}{'match':>7}{'other':>7}{'AUC':>7}{'recall@1':>10}")
    found = {}
    for name in options.variants:
        loss, normed, optimizer = VARIANTS[name]
        network = BridgeNetwork("resnet18", loss=loss, head_norm=normed)
        network.start(options.weights, 0.8)
        last = fit(network, optimizer(list(network.parameters())), sar[train], optical[train], options.epochs)
        found[name], recall = judge(network, sar[test], optical[test])
        print(
            f"{name:<44}" + "".join(f"{value:>7.3f}" for value in (*last, found[name])) + f"{recall:>10.3f}", flush=True
        )
    print(json.dumps({f"auc {name}": round(value, 3) for name, value in found.items()}))


def fit(
    network: BridgeNetwork, optimizer: torch.optim.Optimizer, sar: Tensor, optical: Tensor, epochs: int
) -> list[float]:
    """Train; the last epoch's mean loss and mean distances of matches and non-matches."""
    network.train()
    seen: list[list[float]] = []
    for epoch in range(epochs):
        order = torch.randperm(len(sar), generator=torch.Generator().manual_seed(epoch))
        seen = []
        for start in range(0, len(order) - BATCH + 1, BATCH):
            batch = order[start : start + BATCH]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                result = network(sar[batch], optical[batch], mode="loss")
            network.step += 1
            optimizer.zero_grad()
            result["loss"].backward()
            optimizer.step()
            seen.append([float(result[name].detach()) for name in ("loss", "distance_match", "distance_nonmatch")])
    return [float(value) for value in np.mean(seen, axis=0)]


def judge(network: BridgeNetwork, sar: Tensor, optical: Tensor) -> tuple[float, float]:
    """AUC against three non-matches a patch, and recall@1 from SAR to optical."""
    network.eval()
    with torch.no_grad():
        rows = [network(a, b, mode="tensor") for a, b in zip(sar.split(64), optical.split(64), strict=True)]
    first, second = (torch.cat([row[branch] for row in rows]).numpy() for branch in (0, 1))
    embeddings = Embeddings(first, second, network.space)
    # a whole turn would take matches for non-matches
    shifts = [shift for shift in (1, 37, 91, 150) if shift % len(first)][-3:]
    others = [embeddings.distances(np.roll(np.arange(len(first)), shift)) for shift in shifts]
    found = retrieval(ranks(first, second)[0])
    return auc(embeddings.distances(), np.concatenate(others)), found.recall_at_1


if __name__ == "__main__":
    main()
