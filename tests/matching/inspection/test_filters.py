from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from osm.matching.inspection.filters import Filters, first_filters
from osm.transfer.architectures import architecture, build_backbone

STD = (58.395, 57.12, 57.375)


def drawn(seed=0, count=6):
    return np.random.default_rng(seed).standard_normal((count, 3, 7, 7))


def test_the_sum_is_what_acts_on_sar():
    filters = Filters(drawn(), None, STD)
    sar = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (1, 1, 20, 20)).astype(np.float64))
    std = torch.tensor(STD, dtype=torch.float64).view(1, 3, 1, 1)
    as_fed = nn.functional.conv2d(sar.expand(1, 3, 20, 20) / std, torch.from_numpy(filters.weights))
    as_one_band = nn.functional.conv2d(sar, torch.from_numpy(filters.as_sar)[:, None])
    torch.testing.assert_close(as_fed, as_one_band)


def test_the_grey_share_is_1_for_equal_bands_and_0_for_bands_that_cancel():
    grey = np.repeat(drawn(count=1)[:, :1], 3, axis=1) * np.asarray(STD)[None, :, None, None]
    colour = grey * np.array([1, -1, 0])[None, :, None, None]
    one_band = grey * np.array([1, 0, 0])[None, :, None, None]
    filters = Filters(np.concatenate([grey, colour, one_band]), None, STD)
    np.testing.assert_allclose(filters.grey_share, [1, 0, 1 / np.sqrt(3)], atol=1e-12)
    assert filters.colour_only.tolist() == [False, True, False]


@given(st.integers(0, 1000))
def test_the_grey_share_is_a_share(seed):
    share = Filters(drawn(seed), None, STD).grey_share
    assert ((share >= 0) & (share <= 1)).all()


def test_dead_is_a_filter_or_a_gain_next_to_zero():
    weights, gain = drawn(), np.array([0.3, -0.2, 0.4, 1e-9, 0.3, 0.2])
    weights[1] *= 1e-6
    weights[4] = 0
    filters = Filters(weights, gain, STD)
    assert filters.dead.tolist() == [False, True, False, True, True, False]
    assert Filters(weights, None, STD).dead.tolist() == [False, True, False, False, True, False]
    # a dead one is not counted a second time
    assert not filters.colour_only[4]
    assert filters.grey_share[4] == 0


@pytest.mark.parametrize(("name", "shape"), [("resnet18", (64, 3, 7, 7)), ("darknet-narrow", (32, 3, 3, 3))])
def test_the_first_layer_of_every_backbone_is_found(name, shape):
    backbone = build_backbone(name)
    filters = first_filters(backbone, architecture(name).std)
    assert filters.weights.shape == shape
    assert filters.gain.shape == shape[:1]
    state = backbone.state_dict()
    key = "conv1.weight" if name == "resnet18" else "conv1.conv.weight"
    np.testing.assert_array_equal(filters.weights, state[key].double().numpy())


def test_a_backbone_of_one_band_has_no_such_layer():
    with pytest.raises(ValueError, match="three input channels"):
        first_filters(nn.Sequential(nn.Conv2d(1, 4, 3)), STD)
