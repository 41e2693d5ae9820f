"""A trained YOLOv3u behind the interface that the search knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torchvision.ops import box_convert, nms


@dataclass(frozen=True)
class SearchSettings:
    """What becomes of the head's output; the same words and values as in mmdet's YOLOv3.

    Attributes:
        score_thr: Least score of a detection.
        nms_pre: Most detections of a tile before the suppression.
        nms_iou: Detections of a tile that overlap more than this are one.
        max_per_img: Most detections of a tile.
    """

    score_thr: float = 0.01
    nms_pre: int = 1000
    nms_iou: float = 0.45
    max_per_img: int = 100


def select(found: Tensor, settings: SearchSettings) -> tuple[Tensor, Tensor]:
    """The detections of one tile.

    ultralytics' own suppression stops when its time is up, which makes a result depend on how busy a machine is.

    Args:
        found: (5, A): centre, size and score of every place of the head.
        settings: The settings.

    Returns:
        Boxes (K, 4) xyxy and scores (K,), by falling score.
    """
    scores = found[4]
    kept = (scores >= settings.score_thr).nonzero()[:, 0]
    order = scores[kept].argsort(descending=True, stable=True)[: settings.nms_pre]
    kept = kept[order]
    boxes = box_convert(found[:4, kept].T, "cxcywh", "xyxy")
    chosen = nms(boxes, scores[kept], settings.nms_iou)[: settings.max_per_img]
    return boxes[chosen], scores[kept][chosen]


class YOLOv3uDetector(nn.Module):
    """mmdet's ``test_step`` for an ultralytics network.

    Args:
        network: Of ``build_network``.
        settings: What becomes of its output.
    """

    def __init__(self, network: nn.Module, settings: SearchSettings) -> None:
        super().__init__()
        self.network = network
        self.settings = settings

    def test_step(self, data: Mapping[str, Sequence[Tensor]]) -> list[DetDataSample]:
        """Search a batch of tiles: see ``osm.detection.engines.Detector``."""
        device = next(self.parameters()).device
        images = torch.stack(list(data["inputs"])).to(device).float() / 255
        found, _ = self.network(images)
        samples = []
        for one in found:
            boxes, scores = select(one.float(), self.settings)
            instances = InstanceData(bboxes=boxes, scores=scores, labels=torch.zeros_like(scores, dtype=torch.long))
            samples.append(DetDataSample(pred_instances=instances))
        return samples

    def state_dict(self, *arguments: Any, **options: Any) -> Any:
        """The network's own: its keys are those that ultralytics gives them."""
        return self.network.state_dict(*arguments, **options)
