"""The epoch at which a curve reaches a goal."""

from __future__ import annotations

import math

import pytest

from osm.compare.breakdown.epochs_to import epochs_to


def test_an_epoch_is_read_between_measured_ones():
    assert epochs_to([1, 2, 4], [0.2, 0.4, 0.8], 0.6) == pytest.approx(3)
    assert epochs_to([1, 2, 4], [0.2, 0.4, 0.8], 0.4) == 2
    assert epochs_to([1, 2, 4], [0.2, math.nan, 0.8], 0.5) == pytest.approx(2.5)
    assert epochs_to([1, 2], [0.5, 0.6], 0.3) == 1
    assert epochs_to([1, 2], [0.5, 0.6], 0.7) is None
    assert epochs_to([], [], 0.7) is None
    # the first time counts, even if AP falls again
    assert epochs_to([1, 2, 3], [0.1, 0.5, 0.2], 0.5) == 2
    with pytest.raises(ValueError):
        epochs_to([2, 1], [0.1, 0.2], 0.1)
