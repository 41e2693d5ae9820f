"""COCO's rule for all images at once, against pycocotools on data made to be awkward."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.detection.coco import COCO_IOUS, judge_coco
from osm.detection.evaluate import coco_points, curve_of
from osm.detection.results import FALSE_ALARM, HIT, NOT_COUNTED, ImageResult


def image(name, truth, boxes, scores, ignore=None):
    truth = np.asarray(truth, dtype=np.float32).reshape(-1, 4)
    ignore = np.zeros(len(truth), dtype=bool) if ignore is None else np.asarray(ignore, dtype=bool)
    return ImageResult(
        name, truth, ignore, np.asarray(boxes, dtype=np.float32).reshape(-1, 4), np.asarray(scores, dtype=np.float32)
    )


def awkward(rng, images):
    """Boxes on a coarse grid (overlaps of exactly a threshold), few different scores, empty images, ignored boxes."""
    results = []
    for index in range(images):
        kind = rng.integers(0, 6)
        corners = rng.integers(0, 8, (0 if kind == 0 else rng.integers(0, 7), 2)) * 5.0
        truth = np.hstack([corners, corners + rng.integers(1, 5, corners.shape) * 5.0])
        stray = rng.integers(0, 8, (rng.integers(0, 5), 2)) * 5.0
        stray = np.hstack([stray, stray + rng.integers(1, 5, stray.shape) * 5.0])
        near = truth[rng.integers(0, len(truth), rng.integers(0, 9))] if len(truth) else truth
        if rng.random() < 0.5:
            near = near + rng.normal(0, 1.5, near.shape)
        boxes = np.empty((0, 4)) if kind == 1 else np.vstack([near, stray])
        results.append(
            image(f"{index:03d}", truth, boxes, rng.integers(1, 5, len(boxes)) / 4, rng.random(len(truth)) < 0.25)
        )
    return results


def pycocotools_ap(results, most, area):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truths, found = [], []
    for index, result in enumerate(results, start=1):
        for (x1, y1, x2, y2), ignore in zip(result.truth.astype(float), result.ignore, strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            truths.append({"id": len(truths) + 1, "image_id": index, "category_id": 1, "bbox": box})
            truths[-1] |= {"area": box[2] * box[3], "iscrowd": int(ignore)}
        for (x1, y1, x2, y2), score in zip(result.boxes.astype(float), result.scores, strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            found.append({"image_id": index, "category_id": 1, "bbox": box, "score": float(score)})
    if not found:
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": index} for index in range(1, len(results) + 1)],
            "categories": [{"id": 1, "name": "ship"}],
            "annotations": truths,
        }
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(found), "bbox")
        run.params.maxDets, run.params.areaRng, run.params.areaRngLbl = [most], [list(area)], ["one"]
        run.evaluate()
        run.accumulate()
    return run.eval["precision"][:, :, 0, 0, 0].mean(axis=1)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.sampled_from([1, 3, 100]),
    st.sampled_from([(0.0, 1e10), (0.0, 150.0), (100.0, 300.0)]),
)
def test_the_same_figures_as_pycocotools_to_the_last_bit_but_a_few(seed, images, most, area):
    results = awkward(np.random.default_rng(seed), images)
    theirs = pycocotools_ap(results, most, area)
    judged = judge_coco(results, max_detections=most, area_px2=area)
    count = int(judged.truth_counts.sum())
    if theirs is None:
        assert judged.verdict.shape == (10, 0)
    elif count == 0:
        assert (theirs == -1).all()
    else:
        ours = [coco_points(*curve_of(verdict, count)) for verdict in judged.verdict]
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_detections_come_back_by_falling_score_with_their_places():
    results = [
        image("a", [[0, 0, 10, 10]], [[50, 50, 60, 60], [0, 0, 10, 9]], [0.2, 0.8]),
        image("b", [[0, 0, 10, 10], [20, 0, 30, 10]], [[20, 0, 30, 10]], [0.5], ignore=[False, True]),
    ]
    judged = judge_coco(results)
    assert judged.image.tolist() == [0, 1, 0]
    assert judged.detection.tolist() == [1, 0, 0]
    np.testing.assert_allclose(judged.scores, [0.8, 0.5, 0.2], rtol=1e-6)
    assert judged.verdict[0].tolist() == [HIT, NOT_COUNTED, FALSE_ALARM]
    # an overlap of 0.9 fails at 0.95 only
    assert (judged.verdict[:, 0] == HIT).tolist() == [True] * 9 + [False]
    assert judged.truth_counts.tolist() == [1, 1]


def test_a_ship_outside_the_range_of_areas_is_neither_truth_nor_a_false_alarm():
    small, large = [0, 0, 5, 5], [50, 50, 90, 90]
    result = image("a", [small, large], [small, large, [200, 0, 205, 5], [200, 200, 240, 240]], [0.9, 0.8, 0.7, 0.6])
    judged = judge_coco([result], np.array([0.5]), area_px2=(0.0, 100.0))
    assert judged.verdict[0].tolist() == [HIT, NOT_COUNTED, FALSE_ALARM, NOT_COUNTED]
    assert judged.truth_counts.tolist() == [1]


def test_no_images_at_all():
    judged = judge_coco([])
    assert judged.verdict.shape == (len(COCO_IOUS), 0)
    assert judged.truth_counts.shape == (0,)


@pytest.mark.parametrize("seed", range(3))
def test_more_thresholds_do_not_change_what_one_says(seed):
    results = awkward(np.random.default_rng(seed), 10)
    whole = judge_coco(results)
    for level, iou in enumerate(COCO_IOUS):
        np.testing.assert_array_equal(judge_coco(results, np.array([iou])).verdict[0], whole.verdict[level])
