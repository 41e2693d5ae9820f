"""What ONNX has as one operator and torch has not: suppression in a batch, and pooling from a pyramid of maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import nms, roi_align

#: Of entries that are no candidates; below every threshold.
NEVER = -1.0
#: Lets every candidate pass, whose scores are probabilities.
ANY_SCORE = -0.5


@torch.library.custom_op("osm::suppress", mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, iou: float, score_thr: float, most: int) -> Tensor:
    """Greedy non-maximum suppression of each class of each image, as ONNX's NonMaxSuppression.

    Args:
        boxes: (B, A, 4) xyxy.
        scores: (B, C, A).
        iou: A box goes when its IoU with a better one is above this.
        score_thr: So does one whose score is not above this.
        most: Boxes of a class of an image that stay at most.

    Returns:
        (K, 3) int64: image, class and place in A; by image, by class, by falling score, the first of equals first.
    """
    kept = [torch.empty((0, 3), dtype=torch.int64, device=boxes.device)]
    for image in range(len(scores)):
        for kind in range(scores.shape[1]):
            own = scores[image, kind]
            places = (own > score_thr).nonzero()[:, 0]
            chosen = places[nms(boxes[image, places], own[places], iou)[:most]]
            kept.append(torch.stack([torch.full_like(chosen, image), torch.full_like(chosen, kind), chosen], dim=1))
    return torch.cat(kept)


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, iou: float, score_thr: float, most: int) -> Tensor:
    return boxes.new_empty((torch.library.get_ctx().new_dynamic_size(), 3), dtype=torch.int64)


@torch.library.custom_op("osm::pool_pyramid", mutates_args=())
def pool_pyramid(
    maps: Sequence[Tensor],
    rois: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    size: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """RoIAlign by mean, each RoI from its own level.

    Args:
        maps: L maps (B, C, Hl, Wl).
        rois: (K, 5), image index and xyxy in image pixels.
        levels: (K,) int64, 0 to L - 1.
        scales: Cells of each map for an image pixel.
        size: Bins a side.
        sampling_ratio: Samples for a bin and axis; 0 for one a cell.
        aligned: Whether pixel centres lie at half coordinates.

    Returns:
        (K, C, size, size).
    """
    pooled = maps[0].new_zeros((len(rois), maps[0].shape[1], size, size))
    for level, (values, scale) in enumerate(zip(maps, scales, strict=True)):
        chosen = (levels == level).nonzero()[:, 0]
        pooled[chosen] = roi_align(values, rois[chosen], size, scale, sampling_ratio, aligned)
    return pooled


@pool_pyramid.register_fake
def _(
    maps: Sequence[Tensor],
    rois: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    size: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    return maps[0].new_empty((rois.shape[0], maps[0].shape[1], size, size))


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """For the exporter: each operator of this module → what it is in ONNX."""
    from onnxscript import opset18

    # its types tell constants, which it takes, from tensors
    op: Any = opset18

    def suppress_in_onnx(boxes: Any, scores: Any, iou: float, score_thr: float, most: int) -> Any:
        return op.NonMaxSuppression(boxes, scores, most, iou, score_thr)

    def pool_in_onnx(
        maps: Sequence[Any],
        rois: Any,
        levels: Any,
        scales: Sequence[float],
        size: int,
        sampling_ratio: int,
        aligned: bool,
    ) -> Any:
        images = op.Cast(op.Squeeze(op.Slice(rois, [0], [1], [1]), [1]), to=7)
        corners = op.Slice(rois, [1], [5], [1])
        channels = op.Shape(maps[0], start=1, end=2)
        shape = op.Concat(op.Shape(levels), channels, op.Constant(value_ints=[size, size]), axis=0)
        pooled = op.Expand(0.0, shape)
        for level, (values, scale) in enumerate(zip(maps, scales, strict=True)):
            chosen = op.Transpose(op.NonZero(op.Equal(levels, level)), perm=[1, 0])
            own = op.Squeeze(chosen, [1])
            part = op.RoiAlign(
                values,
                op.Gather(corners, own),
                op.Gather(images, own),
                coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
                mode="avg",
                output_height=size,
                output_width=size,
                sampling_ratio=sampling_ratio,
                spatial_scale=scale,
            )
            pooled = op.ScatterND(pooled, chosen, part)
        return pooled

    return {
        torch.ops.osm.suppress.default: suppress_in_onnx,
        torch.ops.osm.pool_pyramid.default: pool_in_onnx,
    }
