"""The sparse product against torchvision's loops, forward and backward, over RoIs of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import roi_align

from osm.compat.operators import roi_align_backward, roi_align_forward
from osm.compat.roi_align import pool, sampling_matrix, spread


def maps(*shape, dtype=torch.float32):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def ours(features, rois, gradient, bins, **how):
    matrix = sampling_matrix(rois.numpy(), (features.shape[0], *features.shape[2:]), bins, **how)
    pooled = torch.full_like(gradient, float("nan"))
    pool(matrix, features, bins, pooled)
    back = torch.zeros_like(features)
    spread(matrix, gradient, back)
    return pooled, back


def torchvisions(features, rois, gradient, bins, **how):
    features = features.clone().requires_grad_()
    pooled = roi_align(features, rois, bins, **how)
    pooled.backward(gradient)
    return pooled.detach(), features.grad


def require_same(features, rois, bins=(7, 7), *, spatial_scale=1.0, sampling_ratio=0, aligned=True):
    how = {"spatial_scale": spatial_scale, "sampling_ratio": sampling_ratio, "aligned": aligned}
    gradient = maps(len(rois), features.shape[1], *bins, dtype=features.dtype)
    for mine, theirs in zip(
        ours(features, rois, gradient, bins, **how), torchvisions(features, rois, gradient, bins, **how), strict=True
    ):
        # float32 sums in another order: an error is relative to the largest terms, not to what is left of them
        scale = max(1.0, theirs.abs().max().item()) if theirs.numel() else 1.0
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5 * scale)


corner = st.floats(-30, 60, width=32)
side = st.one_of(st.just(0.0), st.floats(0, 4, width=32), st.floats(0, 90, width=32))


@settings(max_examples=120, deadline=None)
@given(
    drawn=st.lists(st.tuples(st.integers(0, 2), corner, corner, side, side), max_size=8),
    cells=st.sampled_from([(13, 9), (1, 1), (1, 6), (32, 2)]),
    bins=st.sampled_from([(7, 7), (1, 1), (3, 5)]),
    spatial_scale=st.sampled_from([1.0, 0.5, 0.25, 1 / 32, 2.0]),
    sampling_ratio=st.sampled_from([0, 1, 2, 3]),
    aligned=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_values_and_gradients_are_torchvisions(drawn, cells, bins, spatial_scale, sampling_ratio, aligned, dtype):
    rois = torch.tensor(drawn, dtype=dtype).reshape(-1, 5)
    rois[:, 3:] += rois[:, 1:3]
    require_same(
        maps(3, 2, *cells, dtype=dtype),
        rois,
        bins,
        spatial_scale=spatial_scale,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
    )


@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 36, 52),  # the whole map
        (-4, -4, 40, 56),  # samples exactly one cell outside
        (-400, -400, -300, -300),  # wholly outside
        (36, 52, 60, 60),  # begins at the far corner
        (-2000, -1000, 3000, 2000),  # far larger than the map
        (10, 10, 10, 10),  # without area
        (10, 10, 10, 30),  # without width
        (20, 20, 10, 10),  # the wrong way round
        (5, 5, 5.01, 5.01),  # far smaller than a cell
        (1, 2, 3, 50),  # one sample across, many down
    ],
)
def test_borders(box, aligned, sampling_ratio):
    rois = torch.tensor([[1.0, *box], [0.0, 3, 4, 20, 30]])
    require_same(maps(2, 3, 13, 9), rois, spatial_scale=0.25, aligned=aligned, sampling_ratio=sampling_ratio)


def test_more_rois_and_channels_than_are_taken_at_a_time():
    draw = np.random.default_rng(0)
    first = draw.uniform(-5, 60, (600, 2))
    rois = np.column_stack([draw.integers(0, 3, 600), first, first + draw.exponential(20, (600, 2))])
    require_same(maps(3, 130, 16, 16), torch.from_numpy(rois.astype(np.float32)), spatial_scale=0.25)


def test_no_rois():
    require_same(maps(2, 3, 4, 4), torch.zeros(0, 5))


def test_rows_are_the_bins_of_the_rois_in_order_and_means_of_what_is_inside():
    rois = np.array([[1, 0.0, 0, 8, 8], [0, 2, 2, 4, 4], [1, 0, 0, 8, 8]], dtype=np.float32)
    matrix = sampling_matrix(rois, (2, 8, 8), (2, 2), spatial_scale=1.0, sampling_ratio=0, aligned=True)
    assert matrix.shape == (12, 128)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-6)
    dense = matrix.toarray().reshape(3, 2, 2, 2, 8, 8)
    assert (dense[0] == dense[2]).all()
    assert not dense[0, :, :, 0].any()
    # 4 x 4 samples, one at the centre of every cell
    np.testing.assert_array_equal(dense[0, 0, 1, 1, :4, 4:], np.full((4, 4), 1 / 16))
    np.testing.assert_array_equal(dense[1, 1, 0, 0, 3, 2], 1)


def test_half_types_lose_nothing_but_the_last_rounding():
    rois = torch.tensor([[0, 1.5, 2.5, 30, 41.25], [1, 0, 0, 51, 33]])
    features, gradient = maps(2, 3, 13, 9).bfloat16(), maps(2, 3, 7, 7).bfloat16()
    how = {"spatial_scale": 0.25, "sampling_ratio": 0, "aligned": True}
    mine = ours(features, rois, gradient, (7, 7), **how)
    theirs = torchvisions(features.float(), rois, gradient.float(), (7, 7), **how)
    for a, b in zip(mine, theirs, strict=True):
        assert a.dtype == torch.bfloat16
        torch.testing.assert_close(a.float(), b, rtol=2**-8, atol=1e-6)


def test_any_order_in_memory_gives_the_same():
    rois = torch.tensor([[0, 1.5, 2.5, 30, 41.25], [1, 0, 0, 51, 33]])
    features, gradient = maps(2, 70, 13, 9), maps(2, 70, 7, 7)
    how = {"spatial_scale": 0.25, "sampling_ratio": 0, "aligned": True}
    plain = ours(features, rois, gradient, (7, 7), **how)
    last = torch.channels_last
    turned = ours(features.contiguous(memory_format=last), rois, gradient.contiguous(memory_format=last), (7, 7), **how)
    for a, b in zip(plain, turned, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("end", [float("nan"), float("inf"), -float("inf"), 1e8])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_rois_without_end_have_no_matrix(end, sampling_ratio):
    rois = np.array([[0, 0, 0, 4, 4], [0, 0, 0, end, end]], dtype=np.float32)
    matrix = sampling_matrix(rois, (1, 8, 8), (7, 7), spatial_scale=1.0, sampling_ratio=sampling_ratio, aligned=True)
    # however large, two samples a bin are two samples a bin
    assert (matrix is None) == (sampling_ratio == 0 or not np.isfinite(end))


def test_the_operators_leave_to_torchvision_what_is_too_large_for_a_matrix():
    rois = torch.tensor([[0.0, -550, -550, 550, 550]]).repeat(60, 1)
    how = {"spatial_scale": 1.0, "sampling_ratio": 0, "aligned": True}
    assert sampling_matrix(rois.numpy(), (1, 2, 2), (1, 1), **how) is None
    none, pooled, back = torch.zeros(0), torch.zeros(60, 1, 1, 1), torch.zeros(1, 1, 2, 2)
    how |= {"aligned_height": 1, "aligned_width": 1, "pool_mode": 1}
    roi_align_forward(torch.ones(1, 1, 2, 2), rois, pooled, none, none, **how)
    roi_align_backward(torch.ones(60, 1, 1, 1), rois, none, none, back, **how)
    # three by three of 1100 by 1100 samples are no more than a cell outside
    torch.testing.assert_close(pooled, torch.full_like(pooled, 9 / 1100**2))
    assert back.sum().item() == pytest.approx(pooled.sum().item(), rel=1e-3)
