"""Time and figures of the AP evaluator against pycocotools and faster-coco-eval, on random detections.

    python benchmarks/evaluate.py [--scenes 1000] [--detections 100] [--truth 10] [--rounds 3] [--quick]

Each way is given the same arrays of boxes and ends at AP and AP50. pycocotools is run as it is delivered (four ranges
of area, three limits of detections) and, "same work", for the one range and the one limit that the figures need; ours
is timed for COCO's figures alone and with VOC's beside them. ``ratio_pycocotools`` is the time of all our figures to
that of pycocotools as delivered, ``ratio_pycocotools_same_work`` to that of the same work; ``largest_difference`` is
that of AP and AP50 over all scenes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from osm.detection.coco import COCO_IOUS, judge_coco
from osm.detection.evaluate import ImageResult, average_precision, coco_points, curve_of, in_order

LIMIT = 100  # pycocotools' own


def random_scenes(scenes: int, detections: int, truth: int, seed: int = 0) -> list[ImageResult]:
    """Scenes of 800 px; half of the detections lie about a ship, a tenth of the ships are to be ignored."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(scenes):
        count = int(rng.integers(0, 2 * truth + 1))
        corner = rng.uniform(0, 760, (count, 2))
        ships = np.hstack([corner, corner + rng.uniform(8, 60, (count, 2))])
        about = detections // 2 if count else 0
        near = ships[rng.integers(0, max(count, 1), about)] if count else np.empty((0, 4))
        near = near + rng.normal(0, 3, near.shape)
        corner = rng.uniform(0, 760, (detections - about, 2))
        far = np.hstack([corner, corner + rng.uniform(8, 60, corner.shape)])
        boxes = np.concatenate([near, far])
        sure = np.concatenate([rng.normal(1, 1, about), rng.normal(-1, 1, detections - about)])
        scores = 1 / (1 + np.exp(-sure))
        made.append(
            ImageResult(
                f"{number:05d}",
                ships.astype(np.float32),
                rng.random(count) < 0.1,
                boxes.astype(np.float32),
                scores.round(3).astype(np.float32),
            )
        )
    return made


def as_coco(results: Sequence[ImageResult]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    truths: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for index, result in enumerate(results, start=1):
        boxes = result.truth.astype(np.float64)
        for (x, y, w, h), ignore in zip(
            np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist(), result.ignore, strict=True
        ):
            entry = {"id": len(truths) + 1, "image_id": index, "category_id": 1, "bbox": [x, y, w, h], "area": w * h}
            truths.append(entry | {"iscrowd": int(ignore)})
        boxes = result.boxes.astype(np.float64)
        for box, score in zip(
            np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist(), result.scores.tolist(), strict=True
        ):
            found.append({"image_id": index, "category_id": 1, "bbox": box, "score": score})
    content = {
        "info": {},
        "images": [{"id": index, "width": 800, "height": 800} for index in range(1, len(results) + 1)],
        "categories": [{"id": 1, "name": "ship"}],
        "annotations": truths,
    }
    return content, found


def by_tool(results: Sequence[ImageResult], coco: Any, evaluator: Any, *, whole: bool) -> tuple[float, float]:
    content, found = as_coco(results)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco()
        truth.dataset = content
        truth.createIndex()
        run = evaluator(truth, truth.loadRes(found), "bbox")
        if not whole:
            run.params.maxDets, run.params.areaRng, run.params.areaRngLbl = [LIMIT], [[0.0, 1e10]], ["all"]
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, 0, 0, -1].mean(axis=1)
    return float(precision.mean()), float(precision[0])


def ours_coco(results: Sequence[ImageResult]) -> tuple[float, float]:
    judged = judge_coco(in_order(results), COCO_IOUS, max_detections=LIMIT)
    points = [coco_points(*curve_of(verdict, int(judged.truth_counts.sum()))) for verdict in judged.verdict]
    return float(np.mean(points)), points[0]


def ours_all(results: Sequence[ImageResult]) -> tuple[float, float]:
    found = average_precision(results, max_detections=LIMIT)
    return found.ap_coco, found.ap50_coco


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--detections", type=int, default=100, help="a scene")
    parser.add_argument("--truth", type=int, default=10, help="ships a scene, on average")
    parser.add_argument("--rounds", type=int, default=3, help="all ways in turn, so many times; medians are shown")
    parser.add_argument("--quick", action="store_true", help="one round of 50 scenes: does it run at all?")
    options = parser.parse_args()
    if options.quick:
        options.scenes, options.rounds = 50, 1
    import faster_coco_eval
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    results = random_scenes(options.scenes, options.detections, options.truth)
    ways: dict[str, Callable[[Sequence[ImageResult]], tuple[float, float]]] = {
        "pycocotools": lambda all_of: by_tool(all_of, COCO, COCOeval, whole=True),
        "pycocotools, same work": lambda all_of: by_tool(all_of, COCO, COCOeval, whole=False),
        "faster-coco-eval": lambda all_of: by_tool(
            all_of, faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster, whole=True
        ),
        "faster-coco-eval, same work": lambda all_of: by_tool(
            all_of, faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster, whole=False
        ),
        "ours, COCO": ours_coco,
        "ours, COCO and VOC": ours_all,
    }
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    figures = {}
    for _ in range(options.rounds):
        for name, way in ways.items():
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            figures[name] = way(results)
            wall[name].append(time.perf_counter() - began_s)
            cpu[name].append(time.process_time() - began_cpu_s)
    print(f"{options.scenes} scenes x {options.detections} detections, medians of {options.rounds} rounds")
    print(f"{'':<29}{'s':>9}{'CPU s':>9}{'AP':>12}{'AP50':>12}")
    for name, (ap, ap50) in figures.items():
        seconds = statistics.median(wall[name]), statistics.median(cpu[name])
        print(f"{name:<29}{seconds[0]:>9.3f}{seconds[1]:>9.3f}{ap:>12.8f}{ap50:>12.8f}")

    def ratio(one: str, other: str) -> float:
        return round(statistics.median(a / b for a, b in zip(wall[one], wall[other], strict=True)), 4)

    truth = figures["pycocotools"]
    largest = max(abs(a - b) for name in figures for a, b in zip(figures[name], truth, strict=True) if "ours" in name)
    print(
        json.dumps(
            {
                "ratio_pycocotools": ratio("ours, COCO and VOC", "pycocotools"),
                "ratio_pycocotools_same_work": ratio("ours, COCO and VOC", "pycocotools, same work"),
                "ratio_pycocotools_coco_only": ratio("ours, COCO", "pycocotools"),
                "ratio_faster_coco_eval": ratio("ours, COCO and VOC", "faster-coco-eval"),
                "largest_difference": largest,
            }
        )
    )


if __name__ == "__main__":
    main()
