"""Studies whose files were made without training anything, and a page as a parser sees it."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from osm.compare.report import schema
from osm.compare.study import ArmInfo, CellResult, SkippedCell, Study
from osm.detection.evaluate import average_precision
from osm.detection.predictions import Predictions, ScenePrediction, TilePrediction
from osm.files import write_json

ARMS = (
    ArmInfo("scratch", "scratch", "scratch", None, "drawn by the scheme that every arm shares"),
    ArmInfo("imagenet", "imagenet (partial)", "imagenet", "weights/resnet18.pth", "without layer4's 3×3 convolutions"),
    ArmInfo("osm", "osm", "osm", "work_dirs/bnn/sar_backbone.safetensors", ""),
)
CONFIG = "model = dict(type='FasterRCNN')\nseed = {seed}\ninit = '{arm}'\n"


def a_scene(root, scene_id, ships, size=(260, 220), seed=0):
    """A 16-bit picture of speckle with bright ships; their boxes."""
    import tifffile

    rng = np.random.default_rng(seed)
    width, height = size
    corners = np.stack([rng.uniform(5, width - 45, ships), rng.uniform(5, height - 35, ships)], axis=1)
    boxes = np.concatenate([corners, corners + rng.uniform([12, 8], [38, 26], (ships, 2))], axis=1)
    image = rng.rayleigh(900, (height, width))
    for x1, y1, x2, y2 in boxes.astype(int):
        image[y1:y2, x1:x2] += rng.rayleigh(9000, (y2 - y1, x2 - x1))
    path = root / f"{scene_id}.tiff"
    tifffile.imwrite(path, np.clip(image, 0, 65535).astype(np.uint16))
    return path, boxes.astype(np.float32)


def detections(rng, truth, size, skill):
    """Most ships, a little shifted and surer the better the skill; false alarms, fewer the better."""
    seen = truth[rng.random(len(truth)) < 0.55 + 0.4 * skill]
    seen = seen + rng.normal(0, 1.2, seen.shape)
    stray = rng.integers(0, 1 + round(6 * (1 - skill)))
    corners = np.stack([rng.uniform(0, size[0] - 40, stray), rng.uniform(0, size[1] - 30, stray)], axis=1)
    boxes = np.concatenate([seen, np.concatenate([corners, corners + rng.uniform(8, 30, (stray, 2))], axis=1)])
    scores = np.concatenate([rng.beta(4 + 3 * skill, 2, len(seen)), rng.beta(2, 4 + 2 * skill, stray)])
    return np.clip(boxes, 0, np.tile(size, 2)), scores


def a_cell(root, detector, arm, seed, scenes, size, skill, steps=60):
    """Every file of a cell, and its result."""
    folder = root / "cells" / detector / arm / f"seed{seed}"
    folder.mkdir(parents=True)
    rng = np.random.default_rng([seed, round(1000 * skill), len(detector)])
    predicted, tiles = [], []
    for scene_id, (path, truth) in scenes.items():
        boxes, scores = detections(rng, truth, size, skill)
        ignore = np.zeros(len(truth), dtype=bool)
        predicted.append(
            ScenePrediction(scene_id, str(path), *size, "percentile:0.5,99.5", truth, ignore, boxes, scores)
        )
        boxes, scores = detections(rng, truth, size, min(1, skill + 0.1))
        tiles.append(TilePrediction(scene_id, (0, 0, *size), truth, ignore, boxes, scores))
    predictions = Predictions(tuple(predicted), tuple(tiles))
    predictions.write(folder / "predictions.json")
    loss = 2.5 * np.exp(-np.linspace(0, 2 + skill, steps)) + 0.3 + rng.gamma(2, 0.06, steps)
    write_json(
        folder / "training.json",
        [{"step": 10 * k, "epoch": k / 10, "loss": float(value), "lr": 0.01} for k, value in enumerate(loss)],
    )
    random = {"scratch": 62, "imagenet": 8, "osm": 0}.get(arm, 0)
    names = [f"layer{1 + k // 16}.{k // 8 % 2}.conv{1 + k % 2}.weight" for k in range(62)]
    certificate = {
        "format": 1,
        "coverage": 1 - random / 62,
        "architecture": "resnet18",
        "source": None if arm == "scratch" else f"weights/{arm}.pth",
        "filled": [{"target": name, "source": name, "shape": [64]} for name in names[: 62 - random]],
        "random": names[62 - random :],
        "unused": ["fc.weight", "fc.bias"] if arm == "imagenet" else [],
        "backbone_sha256": {name: f"{seed}-{name}" for name in names},
    }
    write_json(folder / "certificate.json", certificate)
    (folder / "config.py").write_text(CONFIG.format(seed=seed, arm=arm))
    return CellResult(
        detector,
        arm,
        seed,
        average_precision(predictions.tile_results()).figures(),
        average_precision(predictions.scene_results()).figures(),
        seconds=90.0,
        coverage=None if arm == "scratch" else certificate["coverage"],
        folder=folder,
    )


def a_study(
    root, detectors=("faster-rcnn_r18", "yolov3_d53"), seeds=(0, 1, 2), arms=ARMS, size=(260, 220), counts=None
):
    root.mkdir(parents=True, exist_ok=True)
    counts = counts or (9, 2, 6, 0, 4)
    scenes = {str(k + 1): a_scene(root, str(k + 1), ships, size, seed=k) for k, ships in enumerate(counts)}
    skills = {"scratch": 0.3, "imagenet": 0.6, "osm": 0.75}
    cells = tuple(
        a_cell(root, detector, arm.name, seed, scenes, size, skills.get(arm.name, 0.5) + 0.05 * seed)
        for detector in detectors
        for arm in arms
        for seed in seeds
        if (detector, arm.name) != ("yolov3_d53", "imagenet")
    )
    skipped = (SkippedCell("yolov3_d53", "imagenet", "the weights are of resnet18, the backbone is darknet53"),)
    return Study(
        title="Simulated port scenes: does matching help?",
        data={"kind": "air-sarship-1.0", "root": "data/scenes", "scenes": {"train": 8, "test": len(counts)}},
        arms=arms,
        detectors=detectors,
        seeds=tuple(seeds),
        cells=cells,
        skipped=skipped if "yolov3_d53" in detectors else (),
        settings={"epochs": 12, "tile": {"size_px": 512, "overlap_px": 200}, "lr": 0.01, "milestones": [8, 11]},
        versions={"osm-ssd": "0.1.0", "torch": "2.15.0"},
        baseline="scratch",
        caveats=("simulated data: these figures say nothing about real SAR",),
    )


def bare_study(cells, arms=ARMS, seeds=(0, 1, 2), **changes):
    """Cells without files: {(arm, seed): ap50 per scene}."""
    made = []
    for (arm, seed), value in cells.items():
        figures = {"ap50": value, "ap50_voc07": value, "ap50_coco": value, "ap_coco": value / 2}
        figures |= {"truth_count": 10, "detection_count": 12}
        tile = {name: figure for name, figure in figures.items() if name != "ap50"} | {"ap50": value + 0.1}
        made.append(CellResult("faster-rcnn_r18", arm, seed, tile, figures, 60.0, None, folder=Path("nowhere")))
    study = Study("t", {}, arms, ("faster-rcnn_r18",), seeds, tuple(made), (), {}, {}, "scratch", ())
    return dataclasses.replace(study, **changes)


class Page(HTMLParser):
    """Elements, their attributes and the text between them."""

    VOID = ("meta", "link", "br", "img", "hr", "input")

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text, self.scripts = [], [], "", []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.scripts.append((self.elements[-1][1], data))
        elif self.open[-1:] != ["style"]:
            self.text += data


def report_of(folder):
    """``report.json``, which is held to the published schema wherever a test reads it."""
    import json

    import jsonschema

    def not_json(text):
        raise AssertionError(f"{text} is no JSON")

    content = json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=not_json)
    jsonschema.Draft202012Validator(schema()).validate(content)
    return content


def page_of(folder):
    return Page((folder / "index.html").read_text(encoding="utf-8"))
