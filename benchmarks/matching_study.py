"""Objectives and remedies × starts × seeds on real pairs: how well each matches, and what it is worth to a detector.

    python benchmarks/matching_study.py --pairs work_dirs/pairs --index ../shared/data/sentinel-pairs/index.json \
        --data-root ../shared/data/ssdd-train --weights ../shared/data/weights/resnet18_imagenet1k-v1_partial.pth

Each cell pretrains by ``configs/pretrain/study_resnet18.py`` with the settings of its recipe, on the pairs of one
Sentinel-2 tile, and is judged on those of another that no training scene touches: AUC and recall@1. Then the transfer
probe fine-tunes its SAR backbone on a tenth of SSDD's training list. Recipes are chosen by its AP50 on ``held-back``
training images; ``--score-on val`` gives the figures to report. A finished cell is never run again, so the command may
be interrupted and repeated, and taken up with more seeds. The table is printed and written to ``study.json``.

The last line is one JSON object: the AP50 gain of each recipe over its placebo and over its start, in points.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "pretrain" / "study_resnet18.py"

NCE: dict[str, Any] = {"_delete_": True, "type": "InfoNCE"}
DENSE: dict[str, Any] = {"type": "Dense", "loss": {"type": "InfoNCE"}, "levels": [1, 2]}
BOTH: dict[str, Any] = {"_delete_": True, "type": "Sum", "losses": [{"type": "InfoNCE"}, DENSE]}
#: All that the partial ImageNet weights fill whole.
STEM = ["conv1", "bn1", "layer1", "layer2", "layer3"]

#: Recipe → settings beside those that all share.
RECIPES: dict[str, dict[str, Any]] = {
    # as published, but for epochs and the size of the backbone
    "bridge": {
        "model.head_norm": False,
        "train.optimizer": {"_delete_": True, "type": "SGD", "lr": 0.005},
        "train.schedule": "constant",
        "train.warmup_epochs": 0.0,
    },
    "bridge+": {"model.loss.negatives": "all"},
    "bridge+ hard": {"model.loss.negatives": "hard"},
    "bridge+ placebo": {"model.loss.negatives": "all", "model.placebo": True},
    "infonce": {"model.loss": NCE},
    "vicreg": {"model.loss": {"_delete_": True, "type": "VICReg"}, "model.dimensions": 128},
    "barlow": {"model.loss": {"_delete_": True, "type": "BarlowTwins"}, "model.dimensions": 128},
    "queue": {"model.loss": {"_delete_": True, "type": "MomentumQueue", "size": 512}},
    "dense": {"model.loss": {"_delete_": True, **DENSE}},
    "infonce+dense": {"model.loss": BOTH},
    "infonce placebo": {"model.loss": NCE, "model.placebo": True},
    "infonce+dense placebo": {"model.loss": BOTH, "model.placebo": True},
    "teacher": {"model.loss": BOTH, "model.frozen": ["optical.backbone"], "start.reestimate_bn": True},
    "layer4": {
        "model.loss": BOTH,
        "model.frozen": [f"{branch}.backbone.{part}" for branch in ("sar", "optical") for part in STEM],
        "start.reestimate_bn": True,
    },
    "slow": {
        "model.loss": BOTH,
        "train.lr_mult": {f"{branch}.backbone": 0.05 for branch in ("sar", "optical")},
    },
    "anchor": {"model.loss": BOTH, "train.anchor": 30.0},
    "halfway": {"model.loss": BOTH, "finish.interpolate": 0.5},
    "tiles": {"model.loss": BOTH, "target.kind": "ssdd", "target.tiles": 16, "target.loss": DENSE},
}
STARTS = ("scratch", "imagenet")


def scenes_by_tile(index: Path, train: str, test: str) -> tuple[list[str], list[str]]:
    """Scenes that lie wholly on the test tile, and those that are left out since they touch both."""
    rows = json.loads(index.read_text())
    judged = [row["id"] for row in rows if row["tiles"] == [test]]
    unused = [row["id"] for row in rows if row["tiles"] not in ([train], [test])]
    return judged, unused


def run_cell(options: argparse.Namespace, recipe: str, start: str, seed: int) -> None:
    """Pretrain and probe, in a process of its own."""
    command = [sys.executable, __file__, *options.arguments, "--cell", recipe, start, str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    folder = options.out / recipe / start / f"seed{seed}"
    print(f"{'done' if done.returncode == 0 else 'FAILED'}: {folder}", file=sys.stderr, flush=True)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)


def cell(options: argparse.Namespace, recipe: str, start: str, seed: int) -> None:
    import torch

    from osm.configs import config_path
    from osm.detection.probe import probe
    from osm.detection.recipe import load_recipe
    from osm.files import write_json
    from osm.matching.pretrain import pretrain

    torch.set_num_threads(options.threads)
    folder = options.out / recipe / start / f"seed{seed}"
    result = folder / f"probe_{options.score_on}.json"
    if result.is_file():
        return
    # starts that are not trained at all stand beside the recipes
    weights, coverage = (None, 1.0) if start == "scratch" else (options.weights, 0.8)
    if recipe != "none":
        judged, unused = scenes_by_tile(options.index, options.train_tile, options.test_tile)
        settings = {
            "data.test_scenes": judged,
            "data.unused_scenes": unused,
            "train.seed": seed,
            "init_min_coverage": 0.8,
            **RECIPES[recipe],
        }
        pretrained = pretrain(
            CONFIG,
            data_root=options.pairs,
            work_dir=folder,
            init=weights,
            target_root=options.data_root if "target.kind" in settings else None,
            resume=True,
            options=settings,
        )
        weights, coverage = pretrained.sar_backbone, 1.0
    found = probe(
        weights,
        # another choice of labelled images for each seed, the same in every recipe
        load_recipe(config_path("probe/ssdd.py"), {"data.subset_seed": seed}),
        data_root=options.data_root,
        seeds=[seed],
        score_on=options.score_on,
        work_dir=folder / "probe",
        min_coverage=coverage,
        jobs=0,
    )
    write_json(result, {"ap50": found.mean, "seconds": found.seconds})


def table(options: argparse.Namespace, cells: list[tuple[str, str, int]]) -> dict[str, Any]:
    """Figures of every recipe × start, from what lies on disk."""
    rows = []
    for recipe, start in dict.fromkeys((recipe, start) for recipe, start, _ in cells):
        figures: dict[str, list[float]] = {"ap50": [], "auc": [], "recall1": [], "accuracy": []}
        seeds = []
        for seed in options.seeds:
            folder = options.out / recipe / start / f"seed{seed}"
            judged = folder / f"probe_{options.score_on}.json"
            if not judged.is_file():
                continue
            seeds.append(seed)
            figures["ap50"].append(100 * json.loads(judged.read_text())["ap50"])
            if (folder / "metrics.json").is_file():
                metrics = json.loads((folder / "metrics.json").read_text())
                figures["auc"].append(metrics["auc"])
                figures["accuracy"].append(metrics["at_chosen_threshold"]["accuracy"])
                figures["recall1"].append(100 * metrics["retrieval"]["sar_to_optical"]["recall_at_1"])
        if seeds:
            rows.append({"recipe": recipe, "start": start, "seeds": seeds, **figures})
    return {"score_on": options.score_on, "rows": rows}


def spread(values: list[float], digits: int) -> str:
    if not values:
        return "–"
    shown = f"{statistics.mean(values):.{digits}f}"
    return shown if len(values) == 1 else f"{shown} ± {statistics.stdev(values):.{digits}f}"


def placebo_of(recipe: str) -> str:
    """The recipe that shows the same patches and can match none; InfoNCE's where a recipe has none of its own."""
    own = f"{recipe} placebo"
    return own if own in RECIPES else "infonce placebo"


def paired(rows: list[dict[str, Any]], recipe: str, start: str, other: str) -> list[float]:
    """AP50 of a recipe minus that of another from the same start, in points, one a seed that both have."""
    known = {(row["recipe"], row["start"]): dict(zip(row["seeds"], row["ap50"], strict=True)) for row in rows}
    mine, theirs = known.get((recipe, start), {}), known.get((other, start), {})
    return [mine[seed] - theirs[seed] for seed in mine if seed in theirs]


def signed(values: list[float]) -> str:
    if not values:
        return "–"
    shown = f"{statistics.mean(values):+.1f}"
    return shown if len(values) == 1 else f"{shown} ± {statistics.stdev(values):.1f}"


def print_table(rows: list[dict[str, Any]], score_on: str) -> None:
    heads = ("recipe", "start", f"AP50, {score_on}", "each seed", "minus start", "minus placebo", "AUC")
    print(f"| {' | '.join((*heads, 'recall@1, %', 'accuracy'))} |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        recipe, start = row["recipe"], row["start"]
        others = ("", "") if recipe == "none" else ("none", "" if "placebo" in recipe else placebo_of(recipe))
        cells = [
            spread(row["ap50"], 1),
            ", ".join(f"{value:.1f}" for value in row["ap50"]),
            *(signed(paired(rows, recipe, start, other)) for other in others),
            spread(row["auc"], 3),
            spread(row["recall1"], 1),
            spread(row["accuracy"], 3),
        ]
        name = start if start == "scratch" else "imagenet (partial)"
        print(f"| {recipe} | {name} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True, help="what osm data build-pairs wrote")
    parser.add_argument("--index", type=Path, required=True, help="JSON list of scenes with id and tiles")
    parser.add_argument("--data-root", type=Path, required=True, help="SSDD with lists train and val")
    parser.add_argument("--weights", type=Path, required=True, help="ImageNet weights of ResNet-18, maybe partial")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/study"), help="folder of all cells")
    parser.add_argument("--train-tile", default="T11SLT")
    parser.add_argument("--test-tile", default="T11SMT")
    parser.add_argument("--recipes", nargs="*", default=["none", *RECIPES], help="none: the start itself")
    parser.add_argument("--starts", nargs="*", default=list(STARTS), choices=STARTS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--score-on", choices=("held-back", "val"), default="held-back")
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads a cell")
    parser.add_argument("--only-table", action="store_true", help="run nothing")
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        cell(options, options.cell[0], options.cell[1], int(options.cell[2]))
        return
    options.arguments = sys.argv[1:]
    cells = [(recipe, start, seed) for seed in options.seeds for recipe in options.recipes for start in options.starts]
    if not options.only_table:
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda which: run_cell(options, *which), cells))
    study = table(options, cells)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"study_{options.score_on}.json").write_text(json.dumps(study, indent=1))
    print_table(study["rows"], options.score_on)
    gains: dict[str, dict[str, float]] = {"gain_over_start": {}, "gain_over_placebo": {}}
    for row in study["rows"]:
        recipe, start = row["recipe"], row["start"]
        for name, other in (("gain_over_start", "none"), ("gain_over_placebo", placebo_of(recipe))):
            values = paired(study["rows"], recipe, start, other)
            if values and recipe != "none" and not ("placebo" in recipe and name == "gain_over_placebo"):
                gains[name][f"{recipe}/{start}"] = round(statistics.mean(values), 2)
    print(json.dumps(gains))


if __name__ == "__main__":
    main()
