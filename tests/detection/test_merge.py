"""Merging of tile detections: parity with plain NMS, and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from osm.data.boxes import intersection_matrix, iou_matrix
from osm.data.tiling import tile_grid
from osm.detection.merge import merge_tiles

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=40, deadline=None)


def random_boxes(rng, count, extent=100.0, largest=40.0):
    corners = rng.uniform(0, extent - 1, (count, 2))
    return np.minimum(np.concatenate([corners, corners + rng.uniform(1, largest, (count, 2))], axis=1), extent)


@quick
@given(seeds)
def test_one_tile_is_its_own_nms_moved_into_the_scene(seed):
    import torch
    from torchvision.ops import nms

    rng = np.random.default_rng(seed)
    boxes, scores = random_boxes(rng, 60), rng.random(60)
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.5).numpy()
    merged, sureness = merge_tiles(np.array([[300, 500, 400, 600]]), [boxes], [scores])
    np.testing.assert_allclose(merged, boxes[kept] + [300, 500, 300, 500], atol=1e-4)
    np.testing.assert_allclose(sureness, scores[kept], rtol=1e-6)


@quick
@given(seeds)
def test_a_ship_seen_whole_in_two_tiles_is_one_detection(seed):
    rng = np.random.default_rng(seed)
    windows = np.array([[0, 0, 100, 100], [60, 0, 160, 100]])
    ship = np.array([62, 20, 62, 20]) + random_boxes(rng, 1, extent=36, largest=30)[0]
    jitter = 0.02 * (ship[2:] - ship[:2]).min()
    seen = [ship - np.tile(w[:2], 2) + rng.uniform(-jitter, jitter, 4) for w in windows]
    scores = rng.random(2)
    merged, sureness = merge_tiles(windows, [s[None] for s in seen], [scores[:1], scores[1:]])
    assert len(merged) == 1
    assert sureness[0] == pytest.approx(scores.max())
    np.testing.assert_allclose(merged[0], ship, atol=jitter + 1e-4)


def test_the_stump_of_a_cut_ship_is_removed_only_across_tiles():
    windows = np.array([[0, 0, 100, 100], [60, 0, 160, 100]])
    whole = np.array([[70.0, 10, 130, 30]])  # as seen in the second tile; the first ends at 100
    stump = np.array([[70.0, 10, 100, 30]])
    assert iou_matrix(whole, stump)[0, 0] == pytest.approx(0.5)
    tiles = [stump - [0, 0, 5, 0], whole - [60, 0, 60, 0]]  # IoU 0.42
    merged, scores = merge_tiles(windows, tiles, [np.array([0.6]), np.array([0.9])])
    np.testing.assert_allclose(merged, whole)
    np.testing.assert_allclose(scores, [0.9], rtol=1e-6)
    # the same two boxes in one tile are two ships
    both = [np.concatenate([stump - [0, 0, 5, 0], whole]), np.empty((0, 4))]
    assert len(merge_tiles(np.array([[0, 0, 160, 100], [60, 0, 160, 100]]), both, [np.array([0.6, 0.9]), []])[0]) == 2
    # and with the rule off they are two wherever they come from
    assert len(merge_tiles(windows, tiles, [np.array([0.6]), np.array([0.9])], overlap_smaller=1.1)[0]) == 2


@quick
@given(seeds)
@example(1048576)
def test_what_is_kept_lies_in_the_scene_is_sorted_and_does_not_overlap(seed):
    rng = np.random.default_rng(seed)
    windows = np.array([[x, y, x + 100, y + 100] for x in (0, 60, 120) for y in (0, 80)])
    boxes = [random_boxes(rng, 20, extent=140) - 20 for _ in windows]  # beyond the tile on every side
    scores = [rng.random(20) for _ in windows]
    merged, sureness = merge_tiles(windows, boxes, scores)
    assert (merged[:, :2] >= 0).all()
    assert (merged[:, 2] <= 220).all()
    assert (merged[:, 3] <= 180).all()
    assert ((merged[:, 2:] - merged[:, :2]) > 0).all()
    assert (np.diff(sureness) <= 0).all()
    overlap = iou_matrix(merged, merged) - np.eye(len(merged))
    assert overlap.max(initial=0) < 0.5 + 1e-6
    # every box that went is explained by a kept one that is at least as sure
    everything = np.concatenate([np.clip(b + np.tile(w[:2], 2), np.tile(w[:2], 2), np.tile(w[2:], 2))
                                 for b, w in zip(boxes, windows, strict=True)])  # fmt: skip
    size = (everything[:, 2:] - everything[:, :2]).prod(axis=1)
    kept_size = (merged[:, 2:] - merged[:, :2]).prod(axis=1)
    share = intersection_matrix(everything, merged) / np.maximum(np.minimum(size[:, None], kept_size), 1e-9)
    explained = (iou_matrix(everything, merged) >= 0.5 - 1e-5) | (share >= 0.7 - 1e-5)
    explained &= sureness >= np.concatenate(scores)[:, None] - 1e-6
    assert (explained.any(axis=1) | (size <= 1e-3)).all()


def test_equal_scores_keep_the_order_given():
    windows = np.array([[0, 0, 100, 100], [0, 0, 100, 100]])
    first, second = np.array([[10.0, 10, 30, 30]]), np.array([[11.0, 10, 31, 30]])
    merged, _ = merge_tiles(windows, [first, second], [np.array([0.5]), np.array([0.5])])
    np.testing.assert_array_equal(merged, first)


def test_nothing_found_is_an_empty_result_of_the_right_shape():
    for windows, boxes in ((np.empty((0, 4)), []), (np.array([[0, 0, 9, 9]]), [np.empty((0, 4))])):
        merged, sureness = merge_tiles(windows, boxes, [np.empty(0) for _ in boxes])
        assert merged.shape == (0, 4)
        assert sureness.shape == (0,)
        assert merged.dtype == sureness.dtype == np.float32


def test_sets_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="1 windows, 2 sets of boxes"):
        merge_tiles(np.array([[0, 0, 9, 9]]), [np.empty((0, 4))] * 2, [np.empty(0)])
    with pytest.raises(ValueError, match="1 boxes, 2 scores in the tile"):
        merge_tiles(np.array([[0, 0, 9, 9]]), [np.array([[0, 0, 1, 1]])], [np.array([0.5, 0.5])])


def visible(ships, window, least=0.1):
    """What an exact detector sees in a window: every ship that shows, clipped."""
    x1, y1, x2, y2 = window
    shown = np.clip(ships, [x1, y1, x1, y1], [x2, y2, x2, y2])
    size = (shown[:, 2:] - shown[:, :2]).clip(0).prod(axis=1)
    seen = size >= least * (ships[:, 2:] - ships[:, :2]).prod(axis=1)
    return shown[seen & (size > 0)] - np.array([x1, y1, x1, y1]), seen & (size > 0)


def apart(boxes, shared=0.45):
    """The boxes that share less than so much of themselves with any one before them."""
    kept = []
    for box in boxes:
        other = np.array(kept).reshape(-1, 4)
        inter = intersection_matrix(box[None], other)[0]
        sizes = (other[:, 2:] - other[:, :2]).prod(axis=1)
        if (inter < shared * np.minimum(sizes, (box[2:] - box[:2]).prod())).all():
            kept.append(box)
    return np.array(kept).reshape(-1, 4)


def by_place(boxes):
    return boxes[np.lexsort(boxes.T)]


@settings(max_examples=150, deadline=None)
@given(seeds, st.integers(100, 330), st.integers(100, 330), st.booleans())
def test_no_ship_is_cut_or_doubled_at_a_seam(seed, width, height, stumps_first):
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, [width - 5, height - 5], (30, 2)).astype(float)
    ships = np.concatenate([corners, corners + rng.integers(4, 41, (30, 2))], axis=1)
    ships = apart(np.minimum(ships, [width, height, width, height]))
    windows = tile_grid(width, height, 100, 40)
    boxes, scores = [], []
    for window in windows:
        local, seen = visible(ships, window)
        whole = (local[:, 2:] - local[:, :2] == (ships[seen][:, 2:] - ships[seen][:, :2])).all(axis=1)
        boxes.append(local)
        scores.append(rng.uniform(0.05, 0.5, len(local)) + 0.5 * (whole ^ stumps_first))
    merged, _ = merge_tiles(windows, boxes, scores)
    at_once, _ = merge_tiles(np.array([[0, 0, width, height]]), [ships], [rng.random(len(ships))])
    np.testing.assert_array_equal(by_place(merged), by_place(at_once))


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_ships_longer_than_the_overlap_are_put_together(seed):
    rng = np.random.default_rng(seed)
    # ships in lanes, so that no two meet; up to three tiles long
    ships = np.array([[a, 20 + 30 * i, a + rng.integers(10, 200), 20 + 30 * i + rng.integers(8, 20)]
                      for i, a in enumerate(rng.integers(0, 100, 9))], dtype=float)  # fmt: skip
    if rng.random() < 0.5:
        ships = ships[:, [1, 0, 3, 2]]
    windows = tile_grid(300, 300, 100, 30)
    boxes = [visible(ships, window, 0.0)[0] for window in windows]
    merged, _ = merge_tiles(windows, boxes, [rng.uniform(0.1, 1, len(local)) for local in boxes])
    np.testing.assert_array_equal(by_place(merged), by_place(ships))


def test_a_surer_stump_gives_way_to_the_whole_ship_and_leaves_its_score():
    windows = np.array([[0, 0, 100, 100], [60, 0, 160, 100]])
    whole, stump = np.array([[70.0, 10, 130, 30]]), np.array([[70.0, 12, 99, 29]])
    merged, scores = merge_tiles(windows, [stump, whole - [60, 0, 60, 0]], [np.array([0.9]), np.array([0.4])])
    np.testing.assert_allclose(merged, whole)
    np.testing.assert_allclose(scores, [0.9], rtol=1e-6)


def test_at_the_edge_of_the_scene_nothing_is_a_stump():
    # the ship ends with the scene; what reaches farther in the other tile is another ship
    windows = np.array([[0, 0, 100, 100], [0, 60, 100, 160]])
    boxes = [np.array([[80.0, 70, 100, 90]]), np.array([[78.0, 8, 99, 32]])]
    merged, _ = merge_tiles(windows, boxes, [np.array([0.9]), np.array([0.4])])
    np.testing.assert_array_equal(merged, boxes[0])


def test_many_detections_cost_what_overlaps_and_no_more():
    rng = np.random.default_rng(0)
    windows = tile_grid(12_000, 12_000, 512, 64)
    boxes = [random_boxes(rng, 40, extent=512.0) for _ in windows]
    merged, _ = merge_tiles(windows, boxes, [rng.random(40) for _ in windows])
    assert 20_000 < len(merged) < 40 * len(windows)
