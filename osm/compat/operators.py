"""mmcv's compiled operators, or torchvision's in their place.

``mmcv.ops`` imports ``mmcv._ext``, a C++ extension that has to be built for every torch. The
detectors of this package need three functions of it, and torchvision ships the same ones compiled
for every torch, CPU and CUDA. Where ``mmcv._ext`` does not import, a module of that name takes its
place: those three functions call torchvision, all others raise when they are called. On CPUs RoIAlign
is the product of ``osm.compat.roi_align`` instead, wherever its matrix fits into memory.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from osm.compat.roi_align import pool, sampling_matrix, spread
from osm.errors import EnvironmentProblem

if TYPE_CHECKING:
    from torch import Tensor

EXTENSION = "mmcv._ext"
_AVERAGE_POOLING = 1  # mmcv's code for pool_mode: 0 max, 1 avg


class TorchvisionExtension(ModuleType):
    """Stands in for ``mmcv._ext``; any name it does not know is a function that raises."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Give a function that raises for an operator that torchvision has no counterpart of."""
        if name.startswith("__"):  # import machinery, inspect and pickle ask for such names
            raise AttributeError(name)

        def missing(*_: object, **__: object) -> NoReturn:
            raise _unsupported(f"mmcv operator {name!r}")

        missing.__name__ = name
        return missing


def ensure_operators() -> str:
    """Make ``mmcv.ops`` importable; call this before anything imports ``mmcv.ops`` or ``mmdet``.

    Idempotent: what the first call put in place stays there.

    Returns:
        ``"compiled"`` where mmcv's own extension imports, else ``"torchvision"``.

    Raises:
        EnvironmentProblem: mmcv or torchvision itself does not import.
    """
    loaded = sys.modules.get(EXTENSION)
    if isinstance(loaded, TorchvisionExtension):
        return "torchvision"
    mmcv = _import("mmcv", mend="pip install onedl-mmcv")
    try:
        importlib.import_module(EXTENSION)
    except (ImportError, OSError):  # absent, or built for another torch
        stand_in = torchvision_extension()
        sys.modules[EXTENSION] = stand_in
        mmcv._ext = stand_in  # type: ignore[attr-defined]
        return "torchvision"
    return "compiled"


def torchvision_extension() -> ModuleType:
    """A module with the functions of ``mmcv._ext`` that torchvision can answer.

    Raises:
        EnvironmentProblem: torchvision does not import.
    """
    # importing it registers its operators with torch
    _import("torchvision", mend="install the torchvision that belongs to this torch (see `osm doctor`)")
    module = TorchvisionExtension(EXTENSION, "mmcv's operators, answered by torchvision.")
    # mmengine asks importlib for the spec of mmcv._ext, which a module in sys.modules has to have
    module.__spec__ = ModuleSpec(EXTENSION, loader=None)
    vars(module).update(
        nms=nms,
        roi_align_forward=roi_align_forward,
        roi_align_backward=roi_align_backward,
        get_compiler_version=lambda: "not compiled (torchvision's operators)",
        get_compiling_cuda_version=lambda: "not compiled (torchvision's operators)",
    )
    return module


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        iou_threshold: A box goes when its IoU with a better one is above this.
        offset: 0 or 1; a width is ``x2 - x1 + offset``.

    Returns:
        (K,) int64, the boxes that stay, best score first.
    """
    from torchvision.ops import nms as torchvision_nms

    boxes = _exact(boxes)
    scores = scores.to(boxes.dtype)
    if offset:
        boxes = boxes + boxes.new_tensor([0.0, 0.0, offset, offset])
    kept: Tensor = torchvision_nms(boxes, scores, iou_threshold)
    return kept


def roi_align_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """RoIAlign, written into ``output``.

    Args:
        features: (B, C, H, W).
        rois: (K, 5), image index and xyxy in image pixels.
        output: (K, C, aligned_height, aligned_width), overwritten.
        argmax_y: Unused (max pooling only).
        argmax_x: Unused (max pooling only).
        aligned_height: Bins from top to bottom.
        aligned_width: Bins from left to right.
        spatial_scale: Feature cells for an image pixel.
        sampling_ratio: Samples for a bin and axis; 0 for one a feature cell.
        pool_mode: 1 for the mean; 0 (max) is not supported.
        aligned: Whether pixel centres lie at half coordinates.

    Raises:
        EnvironmentProblem: ``pool_mode`` is max.
    """
    import torch

    _require_average(pool_mode)
    exact = _exact(features)
    rois, bins = rois.detach().to(exact.dtype), (aligned_height, aligned_width)
    if exact.device.type == "cpu":
        maps = (features.shape[0], features.shape[2], features.shape[3])
        matrix = sampling_matrix(
            rois.numpy(), maps, bins, spatial_scale=spatial_scale, sampling_ratio=sampling_ratio, aligned=aligned
        )
        if matrix is not None:
            pool(matrix, features, bins, output)
            return
    pooled = torch.ops.torchvision.roi_align(exact, rois, spatial_scale, *bins, sampling_ratio, aligned)
    output.copy_(pooled)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of RoIAlign with respect to the features, added to ``grad_input`` (B, C, H, W).

    Args:
        grad_output: (K, C, aligned_height, aligned_width).
        rois: As in :func:`roi_align_forward`, like all that follow.
        argmax_y: Unused.
        argmax_x: Unused.
        grad_input: (B, C, H, W), zeros when mmcv calls.
        aligned_height: See there.
        aligned_width: See there.
        spatial_scale: See there.
        sampling_ratio: See there.
        pool_mode: See there.
        aligned: See there.

    Raises:
        EnvironmentProblem: ``pool_mode`` is max.
    """
    import torch

    _require_average(pool_mode)
    exact = _exact(grad_output)
    rois, bins = rois.detach().to(exact.dtype), (aligned_height, aligned_width)
    batch, channels, height, width = grad_input.shape
    if exact.device.type == "cpu":
        maps = (batch, height, width)
        matrix = sampling_matrix(
            rois.numpy(), maps, bins, spatial_scale=spatial_scale, sampling_ratio=sampling_ratio, aligned=aligned
        )
        if matrix is not None:
            spread(matrix, grad_output, grad_input)
            return
    grad_input += torch.ops.torchvision._roi_align_backward(
        exact, rois, spatial_scale, *bins, batch, channels, height, width, sampling_ratio, aligned
    )


def _exact(values: Tensor) -> Tensor:
    """The values in a type that torchvision computes in: half types go to float32.

    On CPU torchvision has no kernels for them, and box coordinates would lose whole pixels.
    """
    import torch

    return values if values.dtype in (torch.float32, torch.float64) else values.float()


def _require_average(pool_mode: int) -> None:
    if pool_mode != _AVERAGE_POOLING:
        raise _unsupported("RoIAlign with pool_mode='max'")


def _unsupported(what: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        what,
        found="mmcv without its compiled operators (torchvision answers nms and RoIAlign by mean only)",
        expected="a detector that needs no other operator, or a compiled mmcv._ext",
        mend="choose another config, or build it: pip install --no-build-isolation --no-binary :all: "
        "--force-reinstall --no-deps onedl-mmcv",
    )


def _import(name: str, *, mend: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:  # torchvision raises RuntimeError without operators
        raise EnvironmentProblem(
            name,
            found=f"it does not import ({type(error).__name__}: {error})",
            expected="a package that imports",
            mend=mend,
        ) from error
