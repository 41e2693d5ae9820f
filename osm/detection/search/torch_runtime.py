"""A detector of ``osm finetune``, run by torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from mmdet.structures import DetDataSample

from osm.compat.device import pick_device, precision_on
from osm.compat.runner import quiet_log
from osm.compat.scope import mmdet_scope
from osm.detection.engines import find_engine
from osm.detection.finetune import RECIPE_KEY
from osm.detection.recipe import Recipe, recipe_from_settings
from osm.errors import WeightsError
from osm.transfer.export import read_safetensors, require_digest
from osm.transfer.load import fill

if TYPE_CHECKING:
    from osm.detection.engines import Detector
    from osm.detection.search.runtime import Found


def load_detector(path: str | Path) -> tuple[Detector, Recipe]:
    """The detector that a fine-tuning left, in evaluation mode on the CPU, and the recipe that made it.

    Args:
        path: ``detector.safetensors``; its digest is checked.

    Raises:
        WeightsError: The file is missing, damaged, or not of a fine-tuning.
    """
    tensors, metadata = read_safetensors(path)
    if RECIPE_KEY not in metadata:
        raise WeightsError(
            path,
            found="tensors without the recipe of a detector",
            expected="detector.safetensors of osm finetune, or an ONNX file of osm export",
            mend="give that file; a backbone alone finds no ships",
        )
    require_digest(path, tensors, metadata)
    try:
        settings: dict[str, Any] = json.loads(metadata[RECIPE_KEY])
    except ValueError as error:
        raise WeightsError(
            path, found=f"a broken recipe ({error})", expected="one in JSON", mend="copy or train it again"
        ) from error
    recipe = recipe_from_settings(path, settings)
    engine = find_engine(recipe.engine, path)
    engine.check(recipe)
    quiet_log()
    detector, _ = engine.build(recipe, seed=0, weights=None, min_coverage=1.0)
    # ultralytics' detector saves its network alone
    network = getattr(detector, "network", detector)
    fill(
        network,
        tensors,
        path,
        of="the recipe",
        expected=f"those of {recipe.detector}",
        mend="train it again with this version",
    )
    detector.eval()
    return detector, recipe


class TorchRuntime:
    """See ``osm.detection.search.runtime.Runtime``.

    Args:
        path: ``detector.safetensors``.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        WeightsError: The file is not of a fine-tuning.
        ConfigError: There is no such device.
    """

    def __init__(self, path: str | Path, device: str = "auto") -> None:
        self.detector, self.recipe = load_detector(path)
        data, test = self.recipe.data, self.recipe.test
        self.device = torch.device(pick_device(device))
        self.tile_px = test.tiling(data).tile_px
        self.overlap_px = data.overlap_px
        self.radiometry = data.radiometry
        self.batch_size = test.batch_size
        self.merge_iou = test.merge_iou
        self.merge_smaller = test.merge_smaller
        self.precision = precision_on(test.precision, self.device.type)
        model: Any = self.detector
        model.to(self.device, memory_format=torch.channels_last)

    def predict(self, tiles: npt.NDArray[np.uint8]) -> Sequence[Found]:
        """See ``osm.detection.search.runtime.Runtime``."""
        gray = torch.from_numpy(np.ascontiguousarray(tiles))
        shape = (self.tile_px, self.tile_px)
        facts = {"ori_shape": shape, "img_shape": shape, "scale_factor": (1.0, 1.0)}
        batch = {
            "inputs": [tile.expand(3, -1, -1) for tile in gray],
            "data_samples": [DetDataSample(metainfo={"img_id": i, **facts}) for i in range(len(gray))],
        }
        with (
            mmdet_scope(),
            torch.inference_mode(),
            torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"),
        ):
            samples = self.detector.test_step(batch)
        return [_found(sample.pred_instances) for sample in samples]


def _found(instances: Any) -> Found:
    boxes = np.asarray(instances.bboxes.float().cpu(), dtype=np.float32).reshape(-1, 4)
    return boxes, np.asarray(instances.scores.float().cpu(), dtype=np.float32)
