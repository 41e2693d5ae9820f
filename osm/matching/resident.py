"""Training pairs that live on the device that trains, and batches that are gathered there: nothing waits for a disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import DATASETS
from torch import Tensor

from osm.data.packed import PackedPairs
from osm.data.pairs import PairSource, PairSplit
from osm.errors import ConfigError
from osm.matching.dataset import Item, PairDataset

#: Bytes of a pixel: one band of SAR, three of optical.
_PIXEL_BYTES = 4
#: Pairs that are read and moved at a time.
_CHUNK_PAIRS = 256
_MB = 1e6


def needed_bytes(pairs: int, size_px: tuple[int, int]) -> int:
    """Memory that so many pairs take as they are stored."""
    return pairs * size_px[0] * size_px[1] * _PIXEL_BYTES


def free_bytes(device: torch.device) -> int:
    """Memory that can be had on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo does not say what memory is available")


def is_resident(choice: str, *, needed: int, free: int, packed: bool, device_type: str) -> bool:
    """Whether the training pairs are to live on the device.

    Args:
        choice: "on", "off" or "auto"; "auto": on CUDA, pairs of a packed store that take at most half of what is
            free, which leaves the other half to the network. On a CPU the system keeps read files in memory anyway.
        needed: Bytes of the training pairs.
        free: Bytes that are free on the device.
        packed: Whether they come from a packed store.
        device_type: "cpu" or "cuda".

    Raises:
        ConfigError: "on", and they do not fit.
    """
    if choice == "auto":
        return packed and device_type == "cuda" and needed <= free // 2
    if choice == "on" and needed > free:
        raise ConfigError(
            "data.resident",
            found=f"{needed / _MB:,.1f} MB of training pairs and {free / _MB:,.1f} MB of free memory on {device_type}",
            expected="pairs that fit",
            mend="set data.resident='off'",
        )
    return choice == "on"


def wants_resident(choice: str, folder: PairSource, pairs: int) -> bool:
    """The same for these pairs and the device that this process trains on.

    Args:
        choice: As for ``is_resident``.
        folder: All usable pairs.
        pairs: Number of them in the training part.

    Raises:
        ConfigError: "on", and they do not fit.
    """
    if choice == "off":
        return False
    device = training_device()
    return is_resident(
        choice,
        needed=needed_bytes(pairs, folder.size_px),
        free=free_bytes(device),
        packed=isinstance(folder, PackedPairs),
        device_type=device.type,
    )


def training_device() -> torch.device:
    """The device that this process trains on."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


@DATASETS.register_module()
class ResidentPairDataset(PairDataset):
    """A ``PairDataset`` whose part is read once; its batches are gathered on the device, and equal to those read.

    It belongs into the training process itself, without workers. Each process of several holds all pairs, since
    every epoch divides them anew.
    """

    def _open(self, folder: PairSource, split: PairSplit, part: str) -> None:
        super()._open(folder, split, part)
        device = training_device()
        width, height = folder.size_px
        plane = (len(self.indices), height, width)
        self.sar = torch.empty(plane, dtype=torch.uint8, device=device)
        self.optical = torch.empty((*plane, 3), dtype=torch.uint8, device=device)
        for start in range(0, len(self.indices), _CHUNK_PAIRS):
            rows = slice(start, start + _CHUNK_PAIRS)
            chosen = self.indices[rows].tolist()
            self.sar[rows] = torch.from_numpy(folder.sar_patches(chosen))
            self.optical[rows] = torch.from_numpy(folder.optical_patches(chosen))

    def __getitems__(self, items: Sequence[Item]) -> dict[str, Any]:
        """A batch, as of ``PairDataset``, its patches as tensors on the device."""
        firsts = np.array([item[0] if isinstance(item, tuple) else item for item in items], dtype=np.int64)
        others = np.array([item[1] for item in items if isinstance(item, tuple)], dtype=np.int64)
        rows = self._rows(firsts)
        batch: dict[str, Any] = {"sar": self.sar[rows], "optical": self.optical[rows], "index": firsts}
        if len(others):
            batch["nonmatch"] = self.optical[self._rows(others)]
        return batch

    def _rows(self, numbers: np.ndarray[Any, np.dtype[np.int64]]) -> Tensor:
        return torch.from_numpy(numbers).to(self.sar.device)
