"""RoIAlign by mean on a CPU, as a product with a sparse matrix.

The mean of bilinear samples is linear in the features and the same for every channel. So a set of RoIs
is a sparse matrix from the cells of a map to the bins of the RoIs: forward is that matrix times the
features, backward its transpose times the gradient, all channels of a cell in one go. torchvision's
loops go over channels and samples one by one, which takes most of a training step.

Source: He et al., Mask R-CNN, 2017, section 3; sampling grid and borders as torchvision has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

#: RoIs pooled at a time, and channels taken back at a time: their buffers stay in the cache.
_ROIS = 256
_CHANNELS = 64
#: More entries than this (half a GiB) are left to torchvision's loops, which need no memory for them.
_MAX_ENTRIES = 1 << 26

Array = npt.NDArray[Any]


def sampling_matrix(
    rois: Array,
    maps: tuple[int, int, int],
    bins: tuple[int, int],
    *,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Any:
    """The matrix that takes feature maps to the bins of RoIs.

    It is made with numpy: index arithmetic is short, and threads would wait for each other more than work.

    Args:
        rois: (K, 5), image index and xyxy in image pixels; float32 or float64, as the matrix will be.
        maps: Images, height and width of the feature maps, in cells.
        bins: P bins from top to bottom, Q from left to right.
        spatial_scale: Feature cells for an image pixel.
        sampling_ratio: Samples for a bin and axis; 0 for one a feature cell.
        aligned: Whether pixel centres lie at half coordinates.

    Returns:
        scipy's ``csr_array`` (K·P·Q, B·H·W), rows in the order RoI, bin row, bin column. Samples more than
        a cell outside of a map count as zeros; if ``aligned``, a RoI without area has none. None where
        RoIs are not finite, or so large that the matrix would be.
    """
    from scipy.sparse import csr_array

    images, height, width = maps
    real = rois.dtype.type
    shift = real(0.5 if aligned else 0.0)
    start = rois[:, [2, 1]] * real(spatial_scale) - shift  # (K, 2), y before x from here on
    size = rois[:, [4, 3]] * real(spatial_scale) - shift - start
    if not aligned:
        size = np.maximum(size, real(1))
    bin_size = size / np.array(bins, dtype=rois.dtype)
    grid = np.ceil(bin_size).clip(0) if sampling_ratio <= 0 else np.full_like(bin_size, sampling_ratio)
    entries = bins[0] * bins[1] * (grid.astype(np.float64) + 1).prod(axis=1).sum()
    if not (np.isfinite(rois).all() and entries < _MAX_ENTRIES):
        return None

    # RoIs with the same grid have equally many entries, so nothing pads to the largest
    grids, group = np.unique(grid.astype(np.int64), axis=0, return_inverse=True)
    per_bin = np.zeros(len(rois), dtype=np.int64)
    order: list[Array] = [np.zeros(0, np.int64)]
    cells: list[Array] = [np.zeros(0, np.int32)]
    values: list[Array] = [np.zeros(0, rois.dtype)]
    for number, (rows, columns) in enumerate(grids.tolist()):
        chosen = np.flatnonzero(group.reshape(-1) == number)
        order.append(chosen)
        if rows == 0 or columns == 0:
            continue
        y, weight_y = _axis(start[chosen, 0], bin_size[chosen, 0], bins[0], rows, height)
        x, weight_x = _axis(start[chosen, 1], bin_size[chosen, 1], bins[1], columns, width)
        y = (y + rois[chosen, 0].astype(np.int32)[:, None, None] * np.int32(height)) * np.int32(width)
        cells.append((y[:, :, None, :, None] + x[:, None, :, None, :]).reshape(-1))
        values.append((weight_y[:, :, None, :, None] * weight_x[:, None, :, None, :]).reshape(-1))
        per_bin[chosen] = y.shape[2] * x.shape[2]
    by_group = np.concatenate(order)
    bins_of_roi = np.arange(bins[0] * bins[1])
    starts = np.append(0, np.cumsum(np.repeat(per_bin[by_group], len(bins_of_roi)))).astype(np.int32)
    shape = (len(rois) * len(bins_of_roi), images * height * width)
    matrix = csr_array((np.concatenate(values), np.concatenate(cells), starts), shape=shape)
    return matrix[(np.argsort(by_group)[:, None] * len(bins_of_roi) + bins_of_roi).reshape(-1)]


def _axis(start: Array, bin_size: Array, bins: int, samples: int, cells: int) -> tuple[Array, Array]:
    """Cells and weights, both (K, bins, T), that give the mean over the samples of every bin on one axis."""
    real = bin_size.dtype.type
    # in torchvision's order, so that rounding puts no sample on the other side of a border
    offset = (np.arange(samples, dtype=bin_size.dtype) + real(0.5)) * bin_size[:, None] / real(samples)
    first = start[:, None] + np.arange(bins, dtype=bin_size.dtype) * bin_size[:, None]
    position = first[:, :, None] + offset[:, None, :]
    inside = (position >= -1) & (position <= cells)
    position = position.clip(0, cells - 1)
    floor = np.floor(position)
    share = position - floor
    low = floor.astype(np.int32)
    high = np.minimum(low + 1, cells - 1)
    both = np.concatenate([low, high], axis=2)
    weight = np.concatenate([1 - share, share], axis=2) * np.concatenate([inside, inside], axis=2) / real(samples)
    least = both.min(axis=2, keepdims=True)
    spread = int((both - least).max()) + 1
    if spread >= 2 * samples:
        return both, weight
    # neighbouring samples share cells: add up what falls into the same one
    summed = np.zeros((*both.shape[:2], spread), dtype=weight.dtype)
    row, column = np.indices(both.shape[:2], sparse=True)
    for sample in range(2 * samples):
        summed[row, column, (both - least)[:, :, sample]] += weight[:, :, sample]
    return np.minimum(least + np.arange(spread, dtype=np.int32), cells - 1), summed


def pool(matrix: Any, features: Tensor, bins: tuple[int, int], output: Tensor) -> None:
    """Mean of the samples of every bin.

    Args:
        matrix: Of :func:`sampling_matrix`.
        features: (B, C, H, W) of any real type; quickest in channels-last order.
        bins: P and Q of the matrix.
        output: (K, C, P, Q), overwritten. Sums are float32 or wider, whatever its type.
    """
    channels, per_roi = features.shape[1], bins[0] * bins[1]
    cells = _like(features.detach().permute(0, 2, 3, 1).reshape(-1, channels), matrix)
    for k in range(0, len(output), _ROIS):
        part = output[k : k + _ROIS]
        rows = _product(matrix[k * per_roi : (k + len(part)) * per_roi], cells)
        part.copy_(rows.to(output.dtype).view(len(part), *bins, channels).permute(0, 3, 1, 2))


def spread(matrix: Any, gradient: Tensor, output: Tensor) -> None:
    """Gradient of :func:`pool` with respect to the features.

    Args:
        matrix: Of :func:`sampling_matrix`.
        gradient: (K, C, P, Q) with respect to the bins.
        output: (B, C, H, W), to which it is added.
    """
    images, channels, height, width = output.shape
    transposed = matrix.T.tocsr()
    for c in range(0, channels, _CHANNELS):
        part = gradient.detach()[:, c : c + _CHANNELS]
        bins = _like(part, matrix).permute(0, 2, 3, 1).reshape(matrix.shape[0], part.shape[1])
        cells = _product(transposed, bins).view(images, height, width, part.shape[1])
        output[:, c : c + _CHANNELS] += cells.permute(0, 3, 1, 2)


def _product(matrix: Any, rows: Tensor) -> Tensor:
    """A csr matrix times dense rows, with torch's fastest threaded kernel for that: bags of embeddings."""
    import torch
    from torch.nn.functional import embedding_bag

    columns, starts, values = (torch.from_numpy(a) for a in (matrix.indices, matrix.indptr, matrix.data))
    return embedding_bag(columns, rows, starts, mode="sum", per_sample_weights=values, include_last_offset=True)


def _like(values: Tensor, matrix: Any) -> Tensor:
    import torch

    return values.to(torch.float64 if matrix.dtype == np.float64 else torch.float32)
