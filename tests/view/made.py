"""Scenes with known pixels and boxes, as a search, a comparison or a truth leaves them."""

from __future__ import annotations

import json

import numpy as np

from osm.detection.predictions import Predictions, ScenePrediction
from osm.files import write_json

#: Ships of every made scene.
SHIPS = np.array([[20, 30, 52, 44], [120, 60, 132, 96], [200, 150, 260, 170]], dtype=np.float32)
#: What arm A found: the first two ships, and nothing where it also says something.
FOUND_A = np.array([[21, 30, 52, 45], [120, 61, 133, 96], [300, 20, 330, 40]], dtype=np.float32)
SCORES_A = np.array([0.9, 0.6, 0.4], dtype=np.float32)
#: And arm B: the last two ships, less surely, and the same false alarm.
FOUND_B = np.array([[119, 60, 132, 95], [201, 150, 259, 171], [301, 21, 330, 41]], dtype=np.float32)
SCORES_B = np.array([0.8, 0.35, 0.7], dtype=np.float32)


def picture(width=400, height=300, seed=0):
    """Speckle in 8 bits."""
    return np.clip(np.random.default_rng(seed).rayleigh(40, (height, width)), 0, 255).astype(np.uint8)


def write_picture(path, image):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def coco(path, boxes, scores=None, size=(400, 300), radiometry="none"):
    """The JSON of one scene; truth where there are no scores."""
    listed = []
    for number, (x1, y1, x2, y2) in enumerate(np.asarray(boxes, dtype=float)):
        entry = {"id": number + 1, "image_id": 1, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        listed.append(entry if scores is None else entry | {"score": float(scores[number])})
    image = {"id": 1, "file_name": str(path), "width": size[0], "height": size[1]}
    return {"info": {"radiometry": radiometry}, "images": [image], "annotations": listed, "categories": []}


def a_search(folder, scenes, boxes=FOUND_A, scores=SCORES_A):
    """The output of a search: one JSON a scene."""
    folder.mkdir(parents=True, exist_ok=True)
    for scene_id, path in scenes.items():
        (folder / f"{scene_id}.coco.json").write_text(json.dumps(coco(path, boxes, scores)))
    return folder


def predictions(scenes, boxes, scores, size=(400, 300)):
    """What a cell leaves."""
    ignore = np.zeros(len(SHIPS), dtype=bool)
    return Predictions(
        tuple(
            ScenePrediction(name, str(path), *size, "none", SHIPS, ignore, boxes, scores)
            for name, path in scenes.items()
        ),
        (),
    )


def a_comparison(folder, scenes):
    """Two arms, one detector, two seeds; with a plan."""
    for arm, boxes, scores in (("scratch", FOUND_A, SCORES_A), ("osm", FOUND_B, SCORES_B)):
        for seed in (2, 10):
            cell = folder / "cells" / "faster-rcnn_r18" / arm / f"seed{seed}"
            cell.mkdir(parents=True)
            predictions(scenes, boxes, scores).write(cell / "predictions.json")
    arms = [{"name": "scratch", "label": "scratch"}, {"name": "osm", "label": "osm (partial)"}]
    plan = {"title": "A <b>title</b>", "arms": arms, "detectors": ["faster-rcnn_r18"], "pixel_m": {"one": 2.5}}
    write_json(folder / "plan.json", plan)
    return folder
