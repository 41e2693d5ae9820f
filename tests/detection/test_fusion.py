"""Weighted boxes fusion: the numbers of the package itself, on whole predictions."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.data.boxes import iou_matrix
from osm.detection.fusion import FusionSettings, fuse_boxes, fuse_predictions
from osm.detection.predictions import Predictions, ScenePrediction, TilePrediction
from osm.errors import DataError, EnvironmentProblem

pytest.importorskip("ensemble_boxes", reason="the extra fusion is not installed")
PLAIN = FusionSettings()
SIZE = (400, 250)


def drawn(rng, count, size=SIZE):
    corners = rng.uniform(0, np.array(size) - 40, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(8, 40, (count, 2))], axis=1)
    return boxes.astype(np.float32), rng.uniform(0.05, 1, count).astype(np.float32)


def near(rng, boxes, size=SIZE):
    """The same ships as somebody else's detector boxes them."""
    moved = boxes + rng.normal(0, 1.5, boxes.shape)
    return moved.clip(0, np.tile(size, 2)).astype(np.float32), rng.uniform(0.05, 1, len(boxes)).astype(np.float32)


def without_overlap(boxes, scores, limit=0.5):
    """What is left where no two boxes overlap by more than the limit, as a detector's own suppression leaves them."""
    kept = []
    for index in np.argsort(-scores):
        if not kept or iou_matrix(boxes[[index]], boxes[kept]).max() <= limit:
            kept.append(index)
    return boxes[kept], scores[kept]


@pytest.mark.parametrize("chosen", [PLAIN, FusionSettings(iou=0.4, min_score=0.3)])
def test_they_are_the_boxes_of_the_package_called_directly(chosen):
    from ensemble_boxes import weighted_boxes_fusion

    rng = np.random.default_rng(3)
    first = drawn(rng, 30)
    second = near(rng, first[0][:20])
    boxes, scores = fuse_boxes([first[0], second[0]], [first[1], second[1]], SIZE, chosen)
    scale = np.array([400, 250, 400, 250])
    expected, sure, _ = weighted_boxes_fusion(
        [(one[0] / scale).tolist() for one in (first, second)],
        [one[1].tolist() for one in (first, second)],
        [[1] * 30, [1] * 20],
        iou_thr=chosen.iou,
        skip_box_thr=chosen.min_score,
    )
    np.testing.assert_allclose(boxes, expected * scale, atol=1e-3)
    np.testing.assert_allclose(scores, sure, atol=1e-6)
    assert len(boxes) < 50


def test_two_boxes_of_one_ship_become_their_mean_by_score_and_a_lone_one_loses_half():
    one = np.array([[10, 10, 50, 30], [200, 100, 240, 140]])
    other = np.array([[12, 10, 52, 30]])
    boxes, scores = fuse_boxes([one, other], [np.array([0.9, 0.5]), np.array([0.6])], SIZE, PLAIN)
    # (0.9 × 10 + 0.6 × 12) / 1.5 = 10.8
    np.testing.assert_allclose(boxes, [[10.8, 10, 50.8, 30], [200, 100, 240, 140]], atol=1e-4)
    np.testing.assert_allclose(scores, [0.75, 0.25], atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), count=st.integers(0, 25), width=st.integers(60, 5000), height=st.integers(60, 900)
)
def test_a_prediction_fused_with_itself_stays_where_it_is(seed, count, width, height):
    boxes, scores = without_overlap(*drawn(np.random.default_rng(seed), count, (width, height)))
    found, sure = fuse_boxes([boxes, boxes], [scores, scores], (width, height), PLAIN)
    order = np.argsort(-scores)
    np.testing.assert_allclose(sure, scores[order], rtol=1e-6)
    np.testing.assert_allclose(found[np.lexsort(found.T)], boxes[np.lexsort(boxes.T)], atol=2e-6 * max(width, height))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), factor=st.sampled_from([0.5, 2.0, 3.0]))
def test_the_size_of_the_image_decides_nothing_but_the_units(seed, factor):
    rng = np.random.default_rng(seed)
    first = drawn(rng, 12)
    second = near(rng, first[0])
    pairs = [first[0], second[0]], [first[1], second[1]]
    boxes, scores = fuse_boxes(*pairs, SIZE, PLAIN)
    wide, same = fuse_boxes(*pairs, (SIZE[0] * 2, SIZE[1] * 2), PLAIN)
    assert len(scores) == len(same)
    np.testing.assert_allclose(wide, boxes, atol=2e-3)
    stretched = np.array([factor, 1, factor, 1])
    large, _ = fuse_boxes([box * stretched for box in pairs[0]], pairs[1], (int(SIZE[0] * factor), SIZE[1]), PLAIN)
    np.testing.assert_allclose(large, boxes * stretched, atol=4e-3)


@pytest.mark.filterwarnings("error")
def test_what_lies_outside_or_carries_nothing_does_no_harm():
    odd = np.array([[-5, -5, 30, 30], [390, 240, 420, 260], [7, 7, 7, 90], [50, 50, 90, 90]])
    boxes, scores = fuse_boxes([odd, odd], [np.array([0.9, 0.8, 0.7, 0.0])] * 2, SIZE, PLAIN)
    np.testing.assert_allclose(boxes, [[0, 0, 30, 30], [390, 240, 400, 250]], atol=1e-3)
    np.testing.assert_allclose(scores, [0.9, 0.8])
    none = np.zeros((0, 4)), np.zeros(0)
    boxes, scores = fuse_boxes([none[0]] * 2, [none[1]] * 2, SIZE, PLAIN)
    assert (boxes.shape, boxes.dtype, scores.shape, scores.dtype) == ((0, 4), np.float32, (0,), np.float32)
    with pytest.raises(ValueError, match="a score of -1"):
        fuse_boxes([odd, odd], [np.array([0.9, 0.8, 0.7, -1.0])] * 2, SIZE, PLAIN)


def predictions(seed, names=("1", "2"), truth=3):
    rng = np.random.default_rng(seed)
    ships = drawn(np.random.default_rng(9), truth)[0]
    nothing = np.zeros(len(ships), dtype=bool)
    scenes = tuple(ScenePrediction(n, f"{n}.tiff", *SIZE, "none", ships, nothing, *near(rng, ships)) for n in names)
    tiles = tuple(TilePrediction(n, (100, 0, 228, 128), ships, nothing, *drawn(rng, 5, (128, 128))) for n in names)
    return Predictions(scenes, tiles)


def test_scenes_are_fused_with_scenes_and_tiles_with_tiles():
    first, second = predictions(1), predictions(2)
    turned = Predictions(second.scenes[::-1], second.tiles[::-1])
    fused = fuse_predictions([first, turned], PLAIN, "a + b")
    for k, scene in enumerate(fused.scenes):
        ours, theirs = first.scenes[k], second.scenes[k]
        boxes, scores = fuse_boxes([ours.boxes, theirs.boxes], [ours.scores, theirs.scores], SIZE, PLAIN)
        assert (scene.scene_id, scene.image_path, scene.width_px) == (ours.scene_id, ours.image_path, 400)
        np.testing.assert_array_equal(scene.boxes, boxes)
        np.testing.assert_array_equal(scene.scores, scores)
        np.testing.assert_array_equal(scene.truth, ours.truth)
    for k, tile in enumerate(fused.tiles):
        ours, theirs = first.tiles[k], second.tiles[k]
        boxes, _ = fuse_boxes([ours.boxes, theirs.boxes], [ours.scores, theirs.scores], (128, 128), PLAIN)
        np.testing.assert_array_equal(tile.boxes, boxes)
        assert tile.window == (100, 0, 228, 128)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (predictions(2, names=("1", "3")), "2 searched by one of them"),
        (predictions(2, names=("1",)), "2 and 1 scenes"),
        (predictions(2, truth=4), "other ships in 1"),
    ],
)
def test_detectors_that_searched_something_else_are_refused(other, said):
    with pytest.raises(DataError, match=f"a \\+ b: found {said}"):
        fuse_predictions([predictions(1), other], PLAIN, "a + b")


def test_the_error_names_the_extra_where_the_package_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "ensemble_boxes", None)
    with pytest.raises(EnvironmentProblem, match=r"ensemble_boxes: found not installed; .*'osm-ssd\[fusion\]'"):
        fuse_boxes([np.zeros((0, 4))] * 2, [np.zeros(0)] * 2, SIZE, PLAIN)
