from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.matching.inspection.maps import activation, upsample


def test_strong_is_what_varies_not_what_is_high():
    feature_map = np.zeros((4, 2, 2), np.float32)
    feature_map[0] = 9  # high everywhere
    feature_map[2] = [[-1, 1], [1, -1]]
    feature_map[3] = [[0, 2], [0, 0]]
    found = activation("layer1", feature_map, count=3)
    assert found.channels == (2, 3, 0)
    assert found.deviations == pytest.approx((1, np.sqrt(0.75), 0))
    np.testing.assert_array_equal(found.strongest, feature_map[[2, 3, 0]])
    np.testing.assert_allclose(found.mean_abs, np.array([[10, 12], [10, 10]]) / 4)


def test_no_more_channels_than_there_are():
    assert activation("conv1", np.zeros((2, 3, 3), np.float32), count=5).channels == (0, 1)


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 2, 8]))
def test_every_cell_becomes_the_rectangle_that_it_stands_on(height, width, stride):
    values = np.arange(height * width, dtype=np.float32).reshape(height, width)
    np.testing.assert_array_equal(
        upsample(values, height * stride, width * stride), np.kron(values, np.ones((stride, stride)))
    )
