from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.data.patch_blocks import patch_blocks
from osm.data.patches import REASONS, CutRule, missing_pixels, sticking_out
from osm.data.screening.scores import judge, measure
from osm.errors import ConfigError

DRAWING = np.random.default_rng(0)


def _scene(height_px: int, width_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sar = DRAWING.integers(1, 255, (height_px, width_px), dtype=np.uint8)
    optical = DRAWING.integers(1, 255, (height_px, width_px, 3), dtype=np.uint8)
    return sar, optical, np.zeros((height_px, width_px), dtype=bool)


def cut(sar, optical, missing, rule):
    """The patches that are kept, and how many are dropped by reason, as ``osm.data.cutting`` decides it."""
    height_px, width_px = sar.shape
    dropped = dict.fromkeys(REASONS, 0) | {"border": sticking_out(width_px, height_px, rule)}
    kept = []
    places = [place for block in patch_blocks(0, (0, 0, width_px, height_px), rule) for place in block.places]
    for row, column in places:
        part = (slice(row, row + rule.size_px), slice(column, column + rule.size_px))
        scores = measure(sar[part], optical[part], missing[part], texture=False)
        reason = judge(scores, None, max_missing=rule.max_missing, keep_constant=rule.keep_constant)
        if reason:
            dropped[reason] += 1
        else:
            kept.append((row, column))
    return kept, dropped


def test_known_answer() -> None:
    kept, dropped = cut(*_scene(20, 35), CutRule(size_px=10))
    assert kept == [(0, 0), (0, 10), (0, 20), (10, 0), (10, 10), (10, 20)]
    # a fourth column sticks out, twice
    assert dropped == {"border": 2, "no-data": 0, "constant SAR": 0, "constant optical": 0}


def test_overlap_is_a_fraction_of_the_patch() -> None:
    kept, dropped = cut(*_scene(10, 26), CutRule(size_px=10, overlap=0.2))
    assert kept == [(0, 0), (0, 8), (0, 16)]
    assert dropped["border"] == 0


def test_a_scene_smaller_than_a_patch_gives_none() -> None:
    kept, dropped = cut(*_scene(9, 30), CutRule(size_px=10))
    assert kept == []
    assert dropped["border"] == 3


def test_constant_and_missing_patches_are_dropped_with_their_reason() -> None:
    sar, optical, missing = _scene(10, 40)
    sar[:, :10] = 7
    optical[:, 10:20] = (7, 7, 7)
    missing[:, 20] = True
    kept, dropped = cut(sar, optical, missing, CutRule(size_px=10))
    assert kept == [(0, 30)]
    assert dropped == {"border": 0, "no-data": 1, "constant SAR": 1, "constant optical": 1}
    assert len(cut(sar, optical, missing, CutRule(size_px=10, max_missing=0.1))[0]) == 2
    assert len(cut(sar, optical, missing, CutRule(size_px=10, keep_constant=True))[0]) == 3


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 20), st.floats(0, 0.9))
def test_patches_lie_inside_at_one_distance_and_are_all_counted(
    height_px: int, width_px: int, size_px: int, overlap: float
) -> None:
    if size_px - round(overlap * size_px) < 1:
        return
    rule = CutRule(size_px=size_px, overlap=overlap)
    kept, dropped = cut(*_scene(height_px, width_px), rule)
    for row, column in kept:
        assert row % rule.stride_px == column % rule.stride_px == 0
        assert row + size_px <= height_px
        assert column + size_px <= width_px
    steps = [max(int(np.ceil((length - size_px) / rule.stride_px)), 0) + 1 for length in (height_px, width_px)]
    assert len(set(kept)) + sum(dropped.values()) == steps[0] * steps[1]


def test_missing_pixels_are_those_without_a_measurement() -> None:
    image = np.asarray([[1.0, np.nan, np.inf, 0.0, -9999.0]], dtype=np.float32)
    assert missing_pixels(image, -9999.0, zero_is_fill=True).tolist() == [[False, True, True, False, True]]
    assert missing_pixels(image[:, :4], None, zero_is_fill=True).tolist() == [[False, True, True, True]]
    assert missing_pixels(image[:, :4], None, zero_is_fill=False).tolist() == [[False, True, True, False]]


def test_zero_is_a_measurement_in_decibels() -> None:
    assert not missing_pixels(np.asarray([[-3.0, 0.0]], dtype=np.float32), None, zero_is_fill=True).any()


def test_colour_is_missing_only_where_all_bands_are() -> None:
    image = np.asarray([[[0, 0, 0], [0, 0, 9]]], dtype=np.uint8)
    assert missing_pixels(image, None, zero_is_fill=True).tolist() == [[True, False]]


@pytest.mark.parametrize(
    "values",
    [{"size_px": 0}, {"overlap": 1.0}, {"overlap": -0.1}, {"overlap": 0.999}, {"overlap": 20}, {"max_missing": 5}],
)
def test_rules_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        CutRule(**values)  # type: ignore[arg-type]
