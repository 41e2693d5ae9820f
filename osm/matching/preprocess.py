"""From uint8 patches to what the branches are fed, on the device that trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS
from torch import Tensor
from torch.nn import functional

from osm.errors import ConfigError, DataError
from osm.matching.augment import View, centre_view, cut, disturb_sar, draw_view, recolour
from osm.matching.draws import RowDraws
from osm.matching.settings import AugmentSettings


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


#: Tell the streams of one step apart.
_VIEW, _SAR, _OPTICAL, _OTHER_VIEW, _OTHER_OPTICAL, _SPECKLE = 1, 2, 4, 5, 6, 8
#: Two streams each, one a view.
_TARGET, _TARGET_SPECKLE = 10, 12


@MODELS.register_module()
class PairPreprocessor(BaseDataPreprocessor):
    """Moves a batch to the device, augments, reduces, replicates SAR to 3 bands and normalises.

    Args:
        mean: Subtracted, per channel (RGB), in units of 0..255; on both modalities.
        std: Divided by, likewise.
        size_px: Height and width that the branches see.
        augment: Fields of ``AugmentSettings``; what is left out is off.
        target: Fields of ``AugmentSettings`` again, for both views of a tile of the detectors' domain.
        seed: Seed of the augmentation.

    Attributes:
        step: Step of the training; the augmentation of a pair depends on it, the seed and the pair's place in the
            batch over all processes alone.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        size_px: int = 256,
        augment: Mapping[str, Any] | None = None,
        target: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(non_blocking=True)
        self.size_px = size_px
        self.augment = AugmentSettings(**(augment or {}))
        self.target = AugmentSettings(**(target or {}))
        if 0 < self.augment.crop_px < size_px:
            raise ConfigError(
                "augment.crop_px",
                found=f"{self.augment.crop_px}",
                expected=f"0, or at least data.size_px = {size_px}",
                mend=f"set augment.crop_px={size_px}",
            )
        self.seed = seed
        self.step = 0
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepare a batch of ``osm.matching.dataset.collate_pairs``.

        Args:
            data: ``sar`` (N, H, W) uint8, ``optical`` and optionally ``nonmatch`` (N, H, W, 3) uint8, and
                optionally ``target`` (T, size_px, size_px) uint8, of which two views are made.
            training: Whether to augment. A crop is taken in any case, in evaluation from the middle: it is there
                to keep the native size of pixels, and a network must be judged at the size it was trained at.

        Returns:
            The same keys as float32 (N, 3, size_px, size_px), channels last in memory.

        Raises:
            DataError: A patch of the batch could not be read.
            ConfigError: Patches are not square, or smaller than the crop or the size.
        """
        if "unreadable" in data:
            # a loader's worker can raise nothing but text, so the error came along as data
            raise DataError(**data["unreadable"])
        batch: dict[str, Any] = self.cast_data(data)
        # a non-match is of another place, so it has a view of its own
        for stream, names in ((_VIEW, ("sar", "optical")), (_OTHER_VIEW, ("nonmatch",))):
            keys = [key for key in names if key in batch]
            if keys:
                view = self._view(batch[keys[0]], stream, training)
                batch |= zip(keys, cut(view, *(batch[key] for key in keys)), strict=True)
        if training and "sar" in batch:
            # before the reduction: speckle belongs to the native pixels
            batch["sar"] = disturb_sar(batch["sar"], self.augment, self._draw(_SAR), self._draw(_SPECKLE))
        for key, colours in (("sar", None), ("optical", _OPTICAL), ("nonmatch", _OTHER_OPTICAL)):
            if key in batch:
                batch[key] = self._images(batch[key], self._draw(colours) if training and colours else None)
        if "target" in batch:
            batch["target"] = self._images(torch.cat([self._view_of(batch["target"], view) for view in (0, 1)]))
        return batch

    def _view_of(self, tiles: Tensor, view: int) -> Tensor:
        return disturb_sar(tiles, self.target, self._draw(_TARGET + view), self._draw(_TARGET_SPECKLE + view))

    def _draw(self, stream: int) -> RowDraws:
        # the zero keeps these apart from the draws of negatives and cells, whose keys are a word shorter
        return RowDraws((self.seed, self.step, 0, stream), get_rank(), get_world_size())

    def _view(self, stored: Tensor, stream: int, training: bool) -> View:
        count, height, width = stored.shape[:3]
        crop_px = self.augment.crop_px
        if height != width or max(crop_px, self.size_px) > width:
            name = "augment.crop_px" if crop_px > width == height else "data.size_px"
            raise ConfigError(
                name,
                found=f"{crop_px if name == 'augment.crop_px' else self.size_px} px for patches of {width}x{height} px",
                expected="square patches of at least that size",
                mend=f"set {name}={min(height, width)}",
            )
        if training:
            return draw_view(count, width, self.augment, self._draw(stream))
        return centre_view(count, width, crop_px)

    def _images(self, stored: Tensor, draw: RowDraws | None = None) -> Tensor:
        # (N, H, W, 3) seen as (N, 3, H, W) lies channels last already
        planar = stored.unsqueeze(1) if stored.ndim == 3 else stored.permute(0, 3, 1, 2)
        images = reduce_to(planar.float(), self.size_px)
        if draw is not None:
            images = recolour(images, self.augment, draw)
        normalised: Tensor = (images - self.mean) / self.std
        return normalised.contiguous(memory_format=torch.channels_last)
