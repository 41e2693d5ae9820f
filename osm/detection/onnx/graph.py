"""A detector as an ONNX graph: which module stands for it, and its way through torch's exporter."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from osm.detection.onnx.operators import translations
from osm.detection.search.onnx_runtime import INPUT, OUTPUTS
from osm.errors import ConfigError, WeightsError

#: Of ONNX's operators: the first in which all that is used here means what it means in torch, for old runtimes too.
OPSET = 18


def graph_module(detector: Any, tile_px: int) -> nn.Module:
    """The detector from 8-bit tiles (N, tile_px, tile_px) to detections, with its own weights.

    Args:
        detector: Of an engine, in evaluation mode, float32, on the CPU.
        tile_px: Side of the tiles.

    Raises:
        ConfigError: It is none that can be written as ONNX.
    """
    from osm.detection.onnx.faster_rcnn import FasterRCNN
    from osm.detection.onnx.yolov3 import YOLOv3
    from osm.detection.onnx.yolov3u import YOLOv3u

    kinds = {"FasterRCNN": FasterRCNN, "YOLOV3": YOLOv3, "YOLOv3uDetector": YOLOv3u}
    name = type(detector).__name__
    if name not in kinds:
        raise ConfigError(
            "model.type",
            found=name,
            expected="FasterRCNN or YOLOV3, or YOLOv3u of the ultralytics engine",
            mend="search with torch (detector.safetensors)",
        )
    return kinds[name](detector, tile_px).eval()


def export_graph(module: nn.Module, tile_px: int) -> bytes:
    """Write a graph module as an ONNX model.

    The batch is dynamic. Nothing of the machine that wrote it stays in it (torch notes the source lines of every
    operator).

    Args:
        module: Of ``graph_module``.
        tile_px: Side of the tiles.

    Raises:
        WeightsError: torch or onnx refuses the graph.
    """
    import onnx

    example = torch.zeros((2, tile_px, tile_px), dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        try:
            program: Any = torch.onnx.export(
                module,
                (example,),
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
                opset_version=OPSET,
                custom_translation_table=translations(),
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise WeightsError(
                "torch.onnx.export",
                found=f"a detector that torch {torch.__version__} cannot export ({str(error).strip().splitlines()[0]})",
                expected="a detector of configs/detect",
                mend="report this as a defect, with the config",
            ) from error
    model = _plain(program.model_proto)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _plain(model: Any) -> Any:
    """The model without anything that is of no use to whoever runs it."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    model.producer_name, model.producer_version, model.doc_string = "osm-ssd", "", ""
    graph.name, graph.doc_string = "detector", ""
    for entry in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del entry.metadata_props[:]
        entry.doc_string = ""
    for output in graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = "K"
    return model
