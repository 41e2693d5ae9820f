"""Runtimes: what finds ships in tiles, whether torch runs it or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from osm.errors import WeightsError

#: Boxes (K, 4) float32 xyxy in tile pixels, and scores (K,) float32.
Found = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


class Runtime(Protocol):
    """A detector that is ready to search, with the settings that it was trained and tested by.

    Attributes:
        tile_px: Side of the square tiles that it takes.
        overlap_px: Overlap of neighbouring tiles of a scene.
        radiometry: How pixels become 8 bits, as ``osm.data.radiometry`` spells it.
        batch_size: Tiles a call, unless the user says otherwise.
        merge_iou: Detections of a scene that overlap this much are one.
        merge_smaller: So are detections of different tiles that share this much of the smaller one.
    """

    tile_px: int
    overlap_px: int
    radiometry: str
    batch_size: int
    merge_iou: float
    merge_smaller: float

    def predict(self, tiles: npt.NDArray[np.uint8]) -> Sequence[Found]:
        """Search a batch of tiles.

        Args:
            tiles: ``(N, tile_px, tile_px)`` uint8, N of at least 1; what is smaller than a tile has been padded with
                zeros, right and below. Normalising them is the runtime's own business.

        Returns:
            For each tile its boxes, after its own suppression within the tile, and their scores in [0, 1], by
            falling score. Boxes may reach beyond the tile: they are clipped when they are merged.
        """


def open_runtime(path: str | Path, device: str = "auto") -> Runtime:
    """The runtime of a file of weights.

    Args:
        path: ``*.onnx`` of ``osm export --to onnx``, or ``detector.safetensors`` of ``osm finetune``.
        device: ``auto``, ``cpu`` or ``cuda``; of torch only.

    Raises:
        WeightsError: There is no such file, or it is none of these.
        EnvironmentProblem: What runs it is not installed.
    """
    path = Path(path)
    check_weights(path)
    if path.suffix.lower() == ".onnx":
        from osm.detection.search.onnx_runtime import OnnxRuntime

        return OnnxRuntime(path)
    from osm.detection.search.torch_runtime import TorchRuntime

    return TorchRuntime(path, device)


def check_weights(path: Path) -> None:
    """Make sure that there is a file of weights, without opening it.

    Raises:
        WeightsError: There is none.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise WeightsError(path, found=found, expected="detector.safetensors or *.onnx", mend="check the path")
