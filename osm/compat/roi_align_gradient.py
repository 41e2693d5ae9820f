"""The gradient of RoIAlign on a CPU as one sparse matrix product.

torchvision's kernel walks over boxes, channels, bins and samples one at a time, and weighs four cells
anew for each: a third of a Faster R-CNN training step. But RoIAlign is linear in the features, with
weights that do not depend on the channel and are a product of one for the row and one for the column.
So its gradient is ``W @ gradient`` with a sparse matrix W (feature cells x bins), built once for all
channels. The sums are the same up to the order of their terms.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

#: More weights than this (128 MiB) would cost more memory than time is worth.
MAX_WEIGHTS = 1 << 25


def roi_align_gradient(
    grad_output: Tensor,
    rois: Tensor,
    shape: tuple[int, int, int, int],
    *,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor | None:
    """Gradient of RoIAlign (mean) with respect to its features.

    Args:
        grad_output: (K, C, h, w), float32 or float64, on the CPU.
        rois: (K, 5), image index and xyxy in image pixels, of the same type.
        shape: (B, C, H, W) of the features.
        spatial_scale: Feature cells for an image pixel.
        sampling_ratio: Samples for a bin and axis; 0 for one a feature cell.
        aligned: Whether pixel centres lie at half coordinates.

    Returns:
        (B, C, H, W), or None where boxes are not finite or so large that the matrix would be.
    """
    batch, channels, height, width = shape
    count, _, rows, columns = grad_output.shape
    boxes = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    sizes = boxes[:, 2:] - boxes[:, :2]
    if not aligned:
        sizes = sizes.clamp(min=1.0)
    across = _axis_weights(boxes[:, 0], sizes[:, 0], columns, width, sampling_ratio)
    down = _axis_weights(boxes[:, 1], sizes[:, 1], rows, height, sampling_ratio)
    if across is None or down is None:
        return None
    (weights_x, first_x), (weights_y, first_y) = across, down
    if count * rows * columns * weights_x.shape[2] * weights_y.shape[2] > MAX_WEIGHTS:
        return None

    # (K, rows, columns, cells down, cells across)
    weights = (weights_y[:, :, None, :, None] * weights_x[:, None, :, None, :]).flatten()
    cell_y = first_y[:, :, None] + torch.arange(weights_y.shape[2], dtype=torch.int32)
    cell_x = first_x[:, :, None] + torch.arange(weights_x.shape[2], dtype=torch.int32)
    cell_y = cell_y + rois[:, 0].to(torch.int32)[:, None, None] * height
    cells = (cell_y[:, :, None, :, None] * width + cell_x[:, None, :, None, :]).flatten()

    # what lies outside the image or beyond a bin's last cell has no weight, and no valid index either
    kept = weights.nonzero().squeeze(1)
    cells, order = cells[kept].sort()
    kept = kept[order]
    bins = kept.div(weights_y.shape[2] * weights_x.shape[2], rounding_mode="floor").to(torch.int32)
    starts = torch.zeros(batch * height * width + 1, dtype=torch.int32)
    starts[1:] = torch.bincount(cells, minlength=batch * height * width).cumsum(0)
    matrix = _csr(starts, bins, weights[kept], (batch * height * width, count * rows * columns))
    flat = matrix @ grad_output.permute(0, 2, 3, 1).reshape(-1, channels)
    gradient = grad_output.new_empty(shape)
    # image by image: torch has a fast way to transpose two dimensions, and none for this of four
    for image, cells_of_image in zip(gradient, flat.split(height * width), strict=True):
        image.flatten(1).copy_(cells_of_image.t())
    return gradient


def _csr(starts: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(starts, columns, values, size=size, check_invariants=False)


def _axis_weights(start: Tensor, size: Tensor, bins: int, length: int, ratio: int) -> tuple[Tensor, Tensor] | None:
    """How much of each cell along one axis is in each bin.

    Args:
        start: (K,) where each box begins, in cells.
        size: (K,) how long it is.
        bins: Bins a box is cut into.
        length: Cells that there are.
        ratio: Samples for a bin, 0 for one a cell.

    Returns:
        (K, bins, E) weights of E cells in a row, and the (K, bins) int32 first of them.
    """
    step = size / bins
    samples = torch.full_like(size, ratio) if ratio > 0 else step.ceil()
    most = float(samples.max()) if len(samples) else 0.0
    if not most * bins * len(samples) <= MAX_WEIGHTS:  # false for NaN too
        return None
    index = torch.arange(max(int(most), 1), dtype=size.dtype)
    bin_index = torch.arange(bins, dtype=size.dtype)
    divisor = samples.clamp(min=1)[:, None, None]
    # in the kernels' order of operations: a sample on the very edge must fall to the same side of it
    within = (index + 0.5) * step[:, None, None] / divisor
    at = start[:, None, None] + bin_index[:, None] * step[:, None, None] + within
    counted = (index < samples[:, None, None]) & (at >= -1.0) & (at <= length)
    at = at.clamp(0.0, length - 1.0)
    cell = at.floor().clamp(max=max(length - 2, 0))
    share = at - cell
    weight = counted / divisor
    first = cell[..., 0]
    offset = ((cell - first[..., None]) * counted).long()
    weights = size.new_zeros(*cell.shape[:2], (int(offset.max()) if offset.numel() else 0) + 2)
    weights.scatter_add_(2, offset, weight * (1 - share))
    weights.scatter_add_(2, offset + 1, weight * share)
    return weights, first.to(torch.int32)
