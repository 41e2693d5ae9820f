"""From uint8 patches to what the branches are fed, on the device that trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS
from torch import Tensor
from torch.nn import functional

from osm.errors import ConfigError, DataError


def reduce_to(images: Tensor, size_px: int) -> Tensor:
    """Reduce square patches without aliasing.

    A whole-number factor averages blocks of pixels; any other factor filters bilinearly.

    Args:
        images: (N, C, H, H) float.
        size_px: Wanted height and width, at most H.
    """
    now = images.shape[-1]
    if now == size_px:
        return images
    if now % size_px == 0:
        return functional.avg_pool2d(images, now // size_px)
    return functional.interpolate(images, size=(size_px, size_px), mode="bilinear", antialias=True)


@MODELS.register_module()
class PairPreprocessor(BaseDataPreprocessor):
    """Moves a batch to the device, reduces, replicates SAR to 3 bands and normalises.

    Args:
        mean: Subtracted, per channel (RGB), in units of 0..255; on both modalities.
        std: Divided by, likewise.
        size_px: Height and width that the branches see.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        size_px: int = 256,
    ) -> None:
        super().__init__(non_blocking=True)
        self.size_px = size_px
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepare a batch of ``osm.matching.dataset.collate_pairs``.

        Args:
            data: ``sar`` (N, H, W) uint8, ``optical`` and optionally ``nonmatch`` (N, H, W, 3) uint8.
            training: Unused; here is where paired augmentation belongs.

        Returns:
            The same keys as float32 (N, 3, size_px, size_px), channels last in memory.

        Raises:
            DataError: A patch of the batch could not be read.
        """
        if "unreadable" in data:
            # a loader's worker can raise nothing but text, so the error came along as data
            raise DataError(**data["unreadable"])
        batch: dict[str, Any] = self.cast_data(data)
        for key in ("sar", "optical", "nonmatch"):
            if key in batch:
                batch[key] = self._images(batch[key])
        return batch

    def _images(self, stored: Tensor) -> Tensor:
        size_px = min(stored.shape[1:3])
        if size_px < self.size_px or stored.shape[1] != stored.shape[2]:
            raise ConfigError(
                "data.size_px",
                found=f"{self.size_px} px for patches of {stored.shape[2]}x{stored.shape[1]} px",
                expected="square patches of at least that size",
                mend=f"set data.size_px={size_px}",
            )
        # (N, H, W, 3) seen as (N, 3, H, W) lies channels last already
        planar = stored.unsqueeze(1) if stored.ndim == 3 else stored.permute(0, 3, 1, 2)
        reduced = reduce_to(planar.float(), self.size_px)
        images: Tensor = (reduced - self.mean) / self.std
        return images.contiguous(memory_format=torch.channels_last)
