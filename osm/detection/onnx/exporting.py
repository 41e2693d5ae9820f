"""``osm export --to onnx``: a detector in one file that needs neither torch nor mmdet, proven before it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from osm.compat.versions import package_versions
from osm.data.scenes import OPTICAL
from osm.detection.onnx.card import DetectorCard
from osm.detection.onnx.proof import Rules, prove
from osm.detection.onnx.sealed import seal
from osm.detection.recipe import Recipe
from osm.errors import ConfigError, WeightsError
from osm.files import atomic_path, sha256_file
from osm.transfer.adapters.base import require
from osm.transfer.adapters.exporting import check_out
from osm.transfer.adapters.sidecars import sha256_line, sha256_path

if TYPE_CHECKING:
    from osm.detection.search.torch_runtime import TorchRuntime

#: Name of the weights in the folder of a run.
WEIGHTS = "detector.safetensors"
#: (side in pixels, radiometry) → tiles (N, side, side) uint8 with ships, for the proof.
TileSource = Callable[[int, str], npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Deployed:
    """What was written.

    Attributes:
        path: The file.
        sha256: Of the file, which also lies beside it.
        card: Of the detector, with its proof.
    """

    path: Path
    sha256: str
    card: DetectorCard


def export_onnx(source: str | Path, out: str | Path | None, tiles: TileSource, *, overwrite: bool = False) -> Deployed:
    """Write a detector as ONNX, and prove it.

    The file that was written is run by onnxruntime and compared with the detector in torch, in float32, by the rule of
    ``osm.detection.onnx.proof``. What fails leaves nothing behind.

    Args:
        source: ``detector.safetensors``, or the folder of a run that has it.
        out: The file to write; beside the source if None.
        tiles: Tiles with ships, for the proof.
        overwrite: Whether a file that is there already is replaced.

    Raises:
        ConfigError: ``out`` does not suit, or the detector is none that can be written as ONNX.
        EnvironmentProblem: onnx, onnxscript or onnxruntime is not installed.
        WeightsError: The source is unreadable, or the proof failed.
    """
    source = Path(source)
    source = source / WEIGHTS if source.is_dir() else source
    final = Path(out) if out is not None else source.with_suffix(".onnx")
    check_out(final, source, (".onnx",), overwrite=overwrite)
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require(package, "onnx-export")
    from osm.detection.onnx.graph import export_graph, graph_module
    from osm.detection.search.onnx_runtime import OnnxRuntime
    from osm.detection.search.torch_runtime import TorchRuntime

    in_torch = TorchRuntime(source, "cpu")
    # the file computes in float32, whatever test.precision says of torch
    in_torch.precision = "float32"
    recipe, side_px = in_torch.recipe, in_torch.tile_px
    _require_sar(source, recipe)
    card = _card(source, in_torch)
    graph = export_graph(graph_module(in_torch.detector, side_px), side_px)
    shown = tiles(side_px, recipe.data.radiometry)

    with atomic_path(sha256_path(final)) as beside, atomic_path(final) as temporary:
        temporary.write_bytes(seal(graph, card))
        first = OnnxRuntime(temporary)
        rules = rules_of(in_torch.detector)
        proof = prove(str(final), in_torch.predict, first.predict, shown, in_torch.batch_size, rules)
        card = replace(card, proof=proof)
        # the same graph once more, now with the figures on its card: opened again, and held against the one proven
        temporary.write_bytes(seal(graph, card))
        _require_same(final, first, OnnxRuntime(temporary), shown[: in_torch.batch_size])
        digest = sha256_file(temporary)
        beside.write_text(sha256_line(digest, final), encoding="utf-8")
    return Deployed(final, digest, card)


def _require_sar(source: Path, recipe: Recipe) -> None:
    if recipe.data.kind in OPTICAL:
        raise ConfigError(
            source,
            found=f"a detector of optical scenes ({recipe.data.kind})",
            expected="one of SAR scenes: the file takes tiles of one band",
            mend="start a detector of SAR scenes from its backbone (osm export RUN --to safetensors), and export that",
        )


def _card(source: Path, of: TorchRuntime) -> DetectorCard:
    recipe, preprocessor = of.recipe, getattr(of.detector, "data_preprocessor", None)
    # YOLOv3u has no preprocessor of mmdet's: it divides by 255
    mean, std = ([0.0] * 3, [255.0] * 3) if preprocessor is None else (preprocessor.mean, preprocessor.std)
    versions = package_versions()
    used = ("osm-ssd", "torch", "torchvision", "onedl-mmdetection", "ultralytics")
    return DetectorCard(
        detector=recipe.detector,
        architecture=recipe.architecture,
        engine=recipe.engine,
        tile_px=of.tile_px,
        overlap_px=of.overlap_px,
        radiometry=of.radiometry,
        batch_size=of.batch_size,
        merge_iou=of.merge_iou,
        merge_smaller=of.merge_smaller,
        mean=_figures(mean),
        std=_figures(std),
        source=source.name,
        source_sha256=sha256_file(source),
        versions={name: versions[name] for name in used if versions[name] != "absent"}
        | {name: metadata.version(name) for name in ("onnx", "onnxscript", "onnxruntime")},
    )


def _figures(values: Any) -> tuple[float, ...]:
    # as they stand in configs: float32 has no 123.675
    return tuple(float(f"{value:.6g}") for value in torch.as_tensor(values).flatten().tolist())


def rules_of(detector: Any) -> Rules:
    """What a detector in torch does with its candidates."""
    settings = getattr(detector, "settings", None)
    if settings is not None:  # YOLOv3u
        return Rules(settings.score_thr, settings.nms_iou, settings.max_per_img)
    second = detector.roi_head.test_cfg if hasattr(detector, "roi_head") else detector.bbox_head.test_cfg
    return Rules(second.score_thr, second.nms.iou_threshold, second.max_per_img)


def _require_same(final: Path, first: Any, second: Any, tiles: npt.NDArray[np.uint8]) -> None:
    for (boxes, scores), (again, and_scores) in zip(first.predict(tiles), second.predict(tiles), strict=True):
        if not (np.array_equal(boxes, again) and np.array_equal(scores, and_scores)):
            raise WeightsError(
                final,
                found="other detections when it was opened a second time",
                expected="the same to the last bit",
                mend="nothing was written; report this as a defect",
            )
