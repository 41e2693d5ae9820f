"""mmcv's operators as the detectors call them, against plain references and, where they exist, the compiled ones."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.compat.operators import TorchvisionExtension, ensure_operators, torchvision_extension
from osm.errors import EnvironmentProblem

OPERATORS = ensure_operators()
STAND_IN = torchvision_extension()


def sample(image: torch.Tensor, y: float, x: float) -> torch.Tensor:
    """Bilinear value (C,) of ``image`` (C, H, W) at a point; zero more than one cell outside."""
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return image.new_zeros(image.shape[0])
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    return (
        image[:, top, left] * ((1 - dy) * (1 - dx))
        + image[:, top, right] * ((1 - dy) * dx)
        + image[:, bottom, left] * (dy * (1 - dx))
        + image[:, bottom, right] * (dy * dx)
    )


def plain_roi_align(features, rois, size, scale, ratio, aligned):
    """RoIAlign as its definition reads, one sample after the other, differentiable by autograd."""
    bins = []
    for index, *box in rois.tolist():
        x1, y1, x2, y2 = (value * scale - (0.5 if aligned else 0.0) for value in box)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        rows, columns = ratio or math.ceil(height / size[0]), ratio or math.ceil(width / size[1])
        for i in range(size[0]):
            for j in range(size[1]):
                values = [
                    sample(
                        features[int(index)],
                        y1 + height / size[0] * (i + (row + 0.5) / rows),
                        x1 + width / size[1] * (j + (column + 0.5) / columns),
                    )
                    for row in range(rows)
                    for column in range(columns)
                ]
                bins.append(torch.stack(values).sum(0) / max(len(values), 1))
    return torch.stack(bins).reshape(len(rois), *size, -1).permute(0, 3, 1, 2)


def forward(extension, features, rois, size, scale, ratio, aligned, pool_mode=1):
    output = features.new_full((len(rois), features.shape[1], *size), float("nan"))
    empty = features.new_zeros(0)
    extension.roi_align_forward(
        features,
        rois,
        output,
        empty,
        empty,
        aligned_height=size[0],
        aligned_width=size[1],
        spatial_scale=scale,
        sampling_ratio=ratio,
        pool_mode=pool_mode,
        aligned=aligned,
    )
    return output


def backward(extension, gradient, rois, shape, scale, ratio, aligned):
    result = gradient.new_zeros(shape)
    empty = gradient.new_zeros(0)
    extension.roi_align_backward(
        gradient,
        rois,
        empty,
        empty,
        result,
        aligned_height=gradient.shape[2],
        aligned_width=gradient.shape[3],
        spatial_scale=scale,
        sampling_ratio=ratio,
        pool_mode=1,
        aligned=aligned,
    )
    return result


# whole, fractional, beyond every edge, smaller than a cell, and one on the second image
ROIS = torch.tensor(
    [
        [0, 0.0, 0.0, 20.0, 12.0],
        [1, 3.3, 5.7, 17.9, 22.2],
        [0, -9.0, -6.0, 9.5, 40.0],
        [1, 20.0, 15.0, 60.0, 33.0],
        [0, 4.1, 4.2, 4.4, 4.6],
    ]
)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("scale", [0.125, 0.25, 1.0])
@pytest.mark.parametrize("size", [(7, 7), (2, 3)])
def test_roi_align_and_its_gradient_are_those_of_the_plain_definition(size, scale, ratio, aligned):
    torch.manual_seed(1)
    features = torch.randn(2, 3, 9, 11, dtype=torch.float64, requires_grad=True)
    rois = ROIS.double()
    expected = plain_roi_align(features, rois, size, scale, ratio, aligned)
    weights = torch.randn_like(expected)
    (gradient,) = torch.autograd.grad((expected * weights).sum(), features)
    torch.testing.assert_close(forward(STAND_IN, features.detach(), rois, size, scale, ratio, aligned), expected)
    torch.testing.assert_close(backward(STAND_IN, weights, rois, features.shape, scale, ratio, aligned), gradient)


def test_mmcvs_layer_trains_through_the_stand_in_as_through_the_plain_definition():
    from mmcv.ops import RoIAlign

    torch.manual_seed(2)
    features = torch.randn(2, 4, 8, 8, requires_grad=True)
    layer = RoIAlign((7, 7), spatial_scale=0.25, sampling_ratio=0)
    weights = torch.randn(len(ROIS), 4, 7, 7)
    # a transposed gradient: mmcv promises a contiguous one
    (layer(features, ROIS).transpose(2, 3) * weights).sum().backward()
    plain = features.detach().clone().requires_grad_()
    (plain_roi_align(plain, ROIS, (7, 7), 0.25, 0, True).transpose(2, 3) * weights).sum().backward()
    torch.testing.assert_close(features.grad, plain.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_computed_in_float32_and_come_back_in_their_own(dtype):
    from mmcv.ops import nms, roi_align

    if OPERATORS == "compiled":
        pytest.skip("the compiled operators are in use: they take no half types on a CPU")
    features = torch.randn(2, 3, 8, 8).to(dtype).requires_grad_()
    output = roi_align(features, ROIS.to(dtype), (3, 3), 0.25, 0, "avg", True)
    output.float().sum().backward()
    assert output.dtype == features.grad.dtype == dtype
    exact = forward(STAND_IN, features.detach().float(), ROIS.to(dtype).float(), (3, 3), 0.25, 0, True)
    torch.testing.assert_close(output, exact.to(dtype))
    detections, kept = nms(
        torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 5]]).to(dtype), torch.tensor([0.5, 0.9]).to(dtype), 0.5
    )
    assert kept.tolist() == [1]
    assert detections.dtype == dtype


def test_no_boxes():
    features = torch.randn(1, 2, 4, 4)
    assert forward(STAND_IN, features, torch.zeros(0, 5), (7, 7), 1.0, 0, True).shape == (0, 2, 7, 7)
    assert not backward(STAND_IN, torch.zeros(0, 2, 7, 7), torch.zeros(0, 5), features.shape, 1.0, 0, True).any()
    kept = STAND_IN.nms(torch.zeros(0, 4), torch.zeros(0), iou_threshold=0.5, offset=0)
    assert (kept.shape, kept.dtype) == ((0,), torch.int64)


def greedy_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float, offset: int) -> list[int]:
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        for other in kept:
            sides = np.minimum(boxes[index, 2:], boxes[other, 2:]) - np.maximum(boxes[index, :2], boxes[other, :2])
            shared = np.prod(np.maximum(sides + offset, 0))
            areas = [np.prod(boxes[i, 2:] - boxes[i, :2] + offset) for i in (index, other)]
            if shared > threshold * (sum(areas) - shared):
                break
        else:
            kept.append(int(index))
    return kept


@settings(max_examples=60, deadline=None)
@given(
    corners=st.lists(st.tuples(*[st.integers(0, 24)] * 2, *[st.integers(1, 12)] * 2), max_size=25),
    threshold=st.sampled_from([0.31, 0.52, 0.73]),
    offset=st.sampled_from([0, 1]),
    seed=st.integers(0, 99),
)
def test_nms_keeps_what_the_greedy_definition_keeps_best_first(corners, threshold, offset, seed):
    boxes = np.array(corners, dtype=np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    scores = np.random.default_rng(seed).permutation(len(boxes)).astype(np.float32)
    kept = STAND_IN.nms(torch.from_numpy(boxes), torch.from_numpy(scores), iou_threshold=threshold, offset=offset)
    assert kept.dtype == torch.int64
    assert kept.tolist() == greedy_nms(boxes, scores, threshold, offset)


def test_nms_leaves_its_boxes_as_they_were():
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    STAND_IN.nms(boxes, torch.tensor([1.0]), iou_threshold=0.5, offset=1)
    assert boxes.tolist() == [[0.0, 0.0, 4.0, 4.0]]


def test_batched_nms_of_mmcv_keeps_classes_apart():
    from mmcv.ops import batched_nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 11], [0, 0, 10, 10]])
    _, kept = batched_nms(
        boxes, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 0, 1]), {"type": "nms", "iou_threshold": 0.5}
    )
    assert kept.tolist() == [0, 2]


def test_what_torchvision_lacks_raises_when_called_and_not_before():
    with pytest.raises(EnvironmentProblem, match=r"'softnms'.*mmcv"):
        STAND_IN.softnms(torch.zeros(1, 4))
    with pytest.raises(EnvironmentProblem, match="pool_mode='max'"):
        forward(STAND_IN, torch.zeros(1, 1, 4, 4), ROIS[:1], (2, 2), 1.0, 0, True, pool_mode=0)
    assert not hasattr(STAND_IN, "__path__")


def test_ensure_operators_is_idempotent_and_works_before_mmcv_is_imported():
    code = (
        "from osm.compat.operators import ensure_operators; import sys;"
        "first = ensure_operators(); module = sys.modules['mmcv._ext'];"
        "from mmcv.ops import nms; from mmcv import _ext; import mmdet.models;"
        "from importlib.util import find_spec; assert find_spec('mmcv._ext').name == 'mmcv._ext';"
        "assert ensure_operators() == first and sys.modules['mmcv._ext'] is module is _ext; print(first)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split()[-1] == OPERATORS


@pytest.fixture(scope="module")
def compiled():
    if OPERATORS != "compiled":
        pytest.skip("mmcv has no compiled operators here")
    extension = importlib.import_module("mmcv._ext")
    assert not isinstance(extension, TorchvisionExtension)
    return extension


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("scale", [0.125, 0.25, 1.0])
def test_roi_align_is_that_of_the_compiled_operators(compiled, scale, ratio, aligned):
    torch.manual_seed(3)
    features, gradient = torch.randn(2, 8, 20, 24), torch.randn(len(ROIS), 8, 7, 7)
    arguments = (scale, ratio, aligned)
    torch.testing.assert_close(
        forward(STAND_IN, features, ROIS, (7, 7), *arguments), forward(compiled, features, ROIS, (7, 7), *arguments)
    )
    torch.testing.assert_close(
        backward(STAND_IN, gradient, ROIS, features.shape, *arguments),
        backward(compiled, gradient, ROIS, features.shape, *arguments),
    )


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_nms_is_that_of_the_compiled_operators(compiled, threshold, offset):
    generator = torch.Generator().manual_seed(4)
    boxes = torch.rand(500, 4, generator=generator) * 60
    boxes[:, 2:] += boxes[:, :2]
    scores = torch.rand(500, generator=generator)
    ours = STAND_IN.nms(boxes, scores, iou_threshold=threshold, offset=offset)
    theirs = compiled.nms(boxes, scores, iou_threshold=threshold, offset=offset)
    assert 20 < len(ours) < 490
    assert ours.tolist() == theirs.tolist()
