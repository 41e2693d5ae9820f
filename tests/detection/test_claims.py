"""Claims of many images at once are those of each image by itself, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.detection import claims
from osm.detection.claims import voc_verdicts
from osm.detection.evaluate import judge
from osm.detection.results import ImageResult


def draw(rng, images, most):
    results = []
    for number in range(images):
        ships, found = rng.integers(0, most, 2)
        # a coarse grid: equal overlaps, equal scores, boxes without extent and ignored ones on counted ones
        corner = rng.integers(0, 4, (ships + found, 2))
        boxes = np.hstack([corner, corner + rng.integers(0, 4, (ships + found, 2))]).astype(np.float32)
        scores = rng.integers(0, 4, found).astype(np.float32)
        results.append(ImageResult(f"i{number}", boxes[:ships], rng.random(ships) < 0.3, boxes[ships:], scores))
    return results


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 6), st.integers(1, 8), st.sampled_from([0.1, 0.5, 0.75]))
def test_many_images_are_judged_as_one_by_one(seed, images, most, iou):
    results = draw(np.random.default_rng(seed), images, most)
    expected = [verdict for result in results for verdict in judge(result, iou).tolist()]
    assert voc_verdicts(results, iou).tolist() == expected


@pytest.mark.parametrize("most", [1, 7, 50])
def test_portions_change_nothing(monkeypatch, most):
    results = draw(np.random.default_rng(1), 20, 6)
    whole = voc_verdicts(results)
    monkeypatch.setattr(claims, "MOST_PAIRS", most)
    assert voc_verdicts(results).tolist() == whole.tolist()
