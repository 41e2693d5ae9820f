from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from osm.data.landmarks import LEAST_PX, Landmarks, agreement, as_grey, find_landmarks, same_places, texture


def speckled(seed: int, height: int = 200, width: int = 240, looks: float = 4.0) -> np.ndarray:
    """A scene of land and sea with speckle, 8 bits."""
    drawing = np.random.default_rng(seed)
    land = gaussian_filter(drawing.standard_normal((height, width)), 12) * 12
    level = np.where(land > 0, 90, 30) + 10 * land
    return (level.clip(5) * drawing.gamma(looks, 1 / looks, (height, width))).clip(0, 255).astype(np.uint8)


def ship_at_sea(seed: int, column: int, row: int) -> np.ndarray:
    """One ship of one shape on calm water."""
    image = np.random.default_rng(seed).normal(3, 0.3, (200, 240))
    image[row : row + 40, column : column + 10] = 200
    return image.clip(0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def found_at(first: np.ndarray, second: np.ndarray) -> tuple[int, int] | None:
    """Offset of the second in the first, if they are found to be the same."""
    one, two = (texture(as_grey(image)) for image in (first, second))
    here, there = find_landmarks(one), find_landmarks(two)
    owners, others = (np.zeros(len(marks.points), dtype=np.int64) for marks in (here, there))
    for _, _, column, row in same_places(here, owners, there, others):
        seen = agreement(one.compact(), two.compact(), column, row)
        if seen is not None and seen.same:
            return column, row
    return None


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    left=st.integers(0, 100),
    top=st.integers(0, 80),
    gain=st.floats(0.4, 1.6),
    quality=st.integers(60, 100),
)
def test_a_crop_is_found_where_it_was_cut_brighter_and_encoded_anew(
    seed: int, left: int, top: int, gain: float, quality: int
) -> None:
    scene = speckled(seed)
    crop = (scene[top : top + 110, left : left + 130] * gain).clip(0, 255).astype(np.uint8)
    where = found_at(scene, jpeg(crop, quality))
    assert where is not None
    assert np.abs(np.subtract(where, (left, top))).max() <= 1


def test_overlapping_crops_are_found_and_so_are_other_bit_depths() -> None:
    scene = speckled(1, 300, 300)
    assert found_at(scene[:200, :200], scene[90:, 80:]) == (80, 90)
    assert found_at(scene[:200, :200], scene[20:, 30:].astype(np.uint16) * 37) == (30, 20)
    assert found_at(scene, np.repeat(scene[50:250, 60:260, None], 3, axis=2)) == (60, 50)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_other_images_are_not(seed: int) -> None:
    assert found_at(speckled(2 * seed), speckled(2 * seed + 1)) is None


def test_other_speckle_over_one_level_is_no_copy() -> None:
    drawing = np.random.default_rng(0)
    level = np.full((200, 240), 60.0)
    first, second = (level * drawing.gamma(4, 0.25, level.shape) for _ in range(2))
    assert found_at(first.clip(0, 255).astype(np.uint8), second.clip(0, 255).astype(np.uint8)) is None


@pytest.mark.parametrize("value", [0, 7, 255])
def test_plain_water_has_no_landmarks(value: int) -> None:
    plain = np.full((200, 240), value, dtype=np.uint8)
    assert len(find_landmarks(texture(as_grey(plain))).points) == 0
    calm = np.random.default_rng(0).normal(3, 0.3, (200, 240)).round().astype(np.uint8)
    assert found_at(jpeg(calm, 80), jpeg(calm[10:, 10:], 80)) is None


def test_two_ships_of_one_shape_on_calm_water_are_no_copies() -> None:
    assert found_at(ship_at_sea(0, 50, 60), ship_at_sea(1, 90, 100)) is None


def test_little_in_common_is_not_judged() -> None:
    one = texture(as_grey(speckled(3)))
    side = int(np.sqrt(LEAST_PX)) - 1
    assert agreement(one, one, 240 - side, 200 - side) is None
    assert agreement(one, one, 500, 0) is None
    whole = agreement(one, one, 0, 0)
    assert whole is not None
    assert whole.correlation == pytest.approx(1, abs=1e-6)
    assert whole.share == 1


@pytest.mark.parametrize("shape", [(1, 1), (20, 300), (33, 33)])
def test_images_too_small_for_a_landmark_have_none_or_few(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    assert len(find_landmarks(texture(as_grey(image))).points) <= 1


def test_odd_values_become_grey_levels() -> None:
    values = np.array([[np.nan, 1.0, 2.0], [np.inf, 3.0, 4.0]])
    grey = as_grey(values)
    assert np.isfinite(grey).all()
    assert grey.min() >= 0
    assert grey.max() <= 255
    np.testing.assert_array_equal(as_grey(np.full((2, 2), 9, dtype=np.uint16)), np.zeros((2, 2)))


def test_without_landmarks_there_are_no_places() -> None:
    none = Landmarks(np.zeros((0, 2), dtype=np.int64), np.zeros((0, 64), dtype=np.float16))
    nobody = np.zeros(0, dtype=np.int64)
    assert list(same_places(none, nobody, none, nobody)) == []
