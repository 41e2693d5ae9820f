from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.data.boxes import area, as_boxes, clip_to_window, intersection_matrix, iou_matrix, overlapping_pairs


def test_known_answers() -> None:
    boxes = as_boxes([[0, 0, 10, 10], [5, 5, 15, 15], [20, 20, 30, 25]])
    np.testing.assert_array_equal(area(boxes), [100, 100, 50])
    np.testing.assert_array_equal(intersection_matrix(boxes, boxes[:2]), [[100, 25], [25, 100], [0, 0]])
    np.testing.assert_allclose(iou_matrix(boxes[:1], boxes), [[1, 25 / 175, 0]])


def test_boxes_that_touch_share_nothing_for_edges_are_continuous() -> None:
    assert intersection_matrix([[0, 0, 5, 5]], [[5, 0, 9, 5]])[0, 0] == 0


def test_no_boxes() -> None:
    assert as_boxes([]).shape == (0, 4)
    assert iou_matrix([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert clip_to_window(as_boxes([]), (0, 0, 5, 5)).shape == (0, 4)


def test_degenerate_boxes_have_no_area_and_no_overlap() -> None:
    flat = [[5, 5, 5, 9], [9, 9, 2, 2]]
    np.testing.assert_array_equal(area(flat), [0, 0])
    np.testing.assert_array_equal(iou_matrix(flat, flat), np.zeros((2, 2)))


def test_iou_agrees_with_torchvision() -> None:
    import torch
    from torchvision.ops import box_iou

    corners = np.random.default_rng(0).uniform(0, 100, (40, 2, 2)).astype(np.float32)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    theirs = box_iou(torch.from_numpy(boxes), torch.from_numpy(boxes[:9])).numpy()
    np.testing.assert_allclose(iou_matrix(boxes, boxes[:9]), theirs, atol=1e-5)


def test_clipping_moves_into_the_window() -> None:
    clipped = clip_to_window([[90, 40, 130, 70], [0, 0, 5, 5]], (100, 50, 120, 60))
    np.testing.assert_array_equal(clipped[0], [0, 0, 20, 10])
    assert area(clipped)[1] == 0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(*[st.integers(-50, 150)] * 4), min_size=1, max_size=5), st.tuples(*[st.integers(0, 60)] * 4))
def test_what_is_clipped_has_the_area_of_the_intersection(raw: list[tuple[int, ...]], frame: tuple[int, ...]) -> None:
    boxes = np.asarray([[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in raw], dtype=np.float32)
    window = (frame[0], frame[1], frame[0] + frame[2] + 1, frame[1] + frame[3] + 1)
    np.testing.assert_array_equal(area(clip_to_window(boxes, window)), intersection_matrix(boxes, [window])[:, 0])


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 60), largest=st.sampled_from([3.0, 30.0, 900.0]))
@settings(max_examples=60, deadline=None)
def test_pairs_are_those_of_the_full_matrix(seed, count, largest):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-200, 200, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(-0.1, 1, (count, 2)) ** 3 * largest], axis=1)
    first, second, shared = overlapping_pairs(boxes)
    full = np.triu(intersection_matrix(boxes, boxes), 1)
    assert len(first) == len(set(zip(first.tolist(), second.tolist(), strict=True)))
    found = np.zeros_like(full)
    found[first, second] = shared
    np.testing.assert_allclose(found, full, atol=1e-9)
