"""The sparse product against torchvision's own kernel, over boxes of every kind."""

from __future__ import annotations

import pytest
import torch
import torchvision  # noqa: F401 - registers its operators
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.compat.roi_align_gradient import roi_align_gradient


def torchvisions(gradient, rois, shape, scale, ratio, aligned):
    return torch.ops.torchvision._roi_align_backward(gradient, rois, scale, *gradient.shape[2:], *shape, ratio, aligned)


corner = st.floats(-20, 60, width=32)
side = st.floats(0, 70, width=32)


@settings(max_examples=80, deadline=None)
@given(
    boxes=st.lists(st.tuples(st.integers(0, 1), corner, corner, side, side), max_size=6),
    size=st.sampled_from([(7, 7), (1, 1), (3, 5)]),
    cells=st.sampled_from([(8, 12), (1, 1), (1, 5), (30, 2)]),
    scale=st.sampled_from([1.0, 0.5, 0.0625]),
    ratio=st.sampled_from([0, 1, 2, 3]),
    aligned=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_it_is_that_of_torchvisions_kernel(boxes, size, cells, scale, ratio, aligned, dtype):
    rois = torch.tensor(boxes, dtype=dtype).reshape(-1, 5)
    rois[:, 3:] += rois[:, 1:3]
    shape = (2, 3, *cells)
    gradient = torch.randn(len(rois), 3, *size, dtype=dtype, generator=torch.Generator().manual_seed(0))
    result = roi_align_gradient(gradient, rois, shape, spatial_scale=scale, sampling_ratio=ratio, aligned=aligned)
    torch.testing.assert_close(result, torchvisions(gradient, rois, shape, scale, ratio, aligned), rtol=1e-4, atol=1e-4)


def test_boxes_on_the_very_edge_of_the_image():
    rois = torch.tensor([[0, 0, 0, 32, 32], [0, 16, 16, 32, 32], [0, -4, -4, 36, 36], [0, 32, 32, 32, 32]]).float()
    gradient = torch.ones(len(rois), 1, 7, 7)
    for aligned in (True, False):
        result = roi_align_gradient(gradient, rois, (1, 1, 8, 8), spatial_scale=0.25, sampling_ratio=0, aligned=aligned)
        torch.testing.assert_close(result, torchvisions(gradient, rois, (1, 1, 8, 8), 0.25, 0, aligned))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
def test_boxes_without_end_are_left_to_the_kernel(value):
    rois = torch.tensor([[0, 0, 0, value, value]])
    gradient = torch.ones(1, 1, 7, 7)
    assert roi_align_gradient(gradient, rois, (1, 1, 8, 8), spatial_scale=1.0, sampling_ratio=0, aligned=True) is None
