"""A detector of ``osm export --to onnx``, run by onnxruntime: neither torch nor mmdet is needed."""

from __future__ import annotations

import importlib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from osm.detection.onnx.sealed import read_sealed
from osm.errors import DataError, EnvironmentProblem, WeightsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osm.detection.search.runtime import Found

INPUT = "tiles"
#: Boxes (K, 4), scores (K,) and the tile (K,) of each; by tile, then by falling score.
OUTPUTS = ("boxes", "scores", "tile")
_TYPES = ("tensor(float)", "tensor(float)", "tensor(int64)")


class OnnxRuntime:
    """See ``osm.detection.search.runtime.Runtime``.

    Runs on the CPU, in float32.

    Args:
        path: The ``.onnx`` file.
        threads: Cores to use; as many as onnxruntime likes if None.

    Raises:
        WeightsError: The file is none of ours, damaged, or does not run.
        EnvironmentProblem: onnxruntime is not installed.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        self.path = Path(path)
        data, self.card = read_sealed(self.path)
        card = self.card
        self.tile_px = card.tile_px
        self.overlap_px = card.overlap_px
        self.radiometry = card.radiometry
        self.batch_size = card.batch_size
        self.merge_iou = card.merge_iou
        self.merge_smaller = card.merge_smaller
        self._session = _open(self.path, data, threads)
        _check_ends(self.path, self._session, card.tile_px)

    def predict(self, tiles: npt.NDArray[np.uint8]) -> Sequence[Found]:
        """See ``osm.detection.search.runtime.Runtime``.

        Raises:
            DataError: The tiles are of another size or type.
        """
        shape, kind = np.shape(tiles), np.asarray(tiles).dtype
        if len(shape) != 3 or shape[0] < 1 or shape[1:] != (self.tile_px, self.tile_px) or kind != np.uint8:
            raise DataError(
                f"tiles for {self.path}",
                found=f"{shape} of {kind}",
                expected=f"(N, {self.tile_px}, {self.tile_px}) of uint8, N of at least 1",
                mend="cut the scene into tiles of that size, padded with zeros, after the radiometry of the card",
            )
        boxes, scores, tile = self._session.run(OUTPUTS, {INPUT: np.ascontiguousarray(tiles)})
        ends = np.searchsorted(tile, np.arange(shape[0] + 1))
        return [(boxes[first:last], scores[first:last]) for first, last in pairwise(ends)]


def _open(path: Path, data: bytes, threads: int | None) -> Any:
    try:
        # by name: the package is untyped, and this module has to be readable without it
        onnxruntime: Any = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise EnvironmentProblem(
            "onnxruntime",
            found="not installed",
            expected="the optional extra onnx",
            mend="pip install onnxruntime (or 'osm-ssd[onnx]')",
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors, which are raised anyway
    options.use_deterministic_compute = True
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        # the bytes that were checked, not the path: the file may change in between
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen kinds without a base of their own
        raise WeightsError(
            path,
            found=f"a model that onnxruntime does not load ({' '.join(str(error).split())[:200]})",
            expected="a detector of osm export",
            mend="update onnxruntime, or export the detector again",
        ) from error


def _check_ends(path: Path, session: Any, tile_px: int) -> None:
    inputs = [(entry.name, entry.type, list(entry.shape[1:])) for entry in session.get_inputs()]
    outputs = [(entry.name, entry.type) for entry in session.get_outputs()]
    if inputs != [(INPUT, "tensor(uint8)", [tile_px, tile_px])] or outputs != list(zip(OUTPUTS, _TYPES, strict=True)):
        raise WeightsError(
            path,
            found=f"inputs {inputs} and outputs {outputs}",
            expected=f"tiles (N, {tile_px}, {tile_px}) of uint8 in, boxes, scores and tile out, as its card says",
            mend="export the detector again",
        )
