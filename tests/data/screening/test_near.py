from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.data.neighbours import describe_whole
from osm.data.screening.near import near_duplicates


def test_a_brighter_noisier_copy_is_found_and_its_first_is_kept() -> None:
    from scipy.ndimage import gaussian_filter

    drawing = np.random.default_rng(0)
    land = np.stack([gaussian_filter(drawing.standard_normal((128, 128)), 3) for _ in range(4)])
    sar = np.clip(100 + 300 * land, 0, 255)
    sar = np.concatenate([sar, sar[1:2] * 0.8 + drawing.normal(0, 2, (1, 128, 128)), sar[1:2]])
    images = np.clip(sar, 0, 255).astype(np.uint8)
    vectors = describe_whole(images, np.stack([images] * 3, axis=3)).astype(np.float16)
    found = near_duplicates(vectors, 0.9)
    assert [(later, earlier) for later, earlier, _ in found] == [(4, 1), (5, 1)]
    assert all(value > 0.9 for _, _, value in found)


def test_what_has_no_texture_repeats_nothing() -> None:
    assert near_duplicates(np.zeros((5, 16), np.float16), 0.5) == []
    assert near_duplicates(np.zeros((0, 16), np.float16), 0.5) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=40))
def test_one_of_each_remains(places: list[int]) -> None:
    vectors = np.eye(5, 8, dtype=np.float16)[places] if places else np.zeros((0, 8), np.float16)
    dropped = {later: earlier for later, earlier, _ in near_duplicates(vectors, 0.9)}
    assert all(earlier not in dropped and earlier < later for later, earlier in dropped.items())
    assert len(places) - len(dropped) == len(set(places))
