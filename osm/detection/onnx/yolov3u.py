"""YOLOv3u of the ultralytics engine from 8-bit tiles to detections, in operators that ONNX has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from osm.detection.onnx.operators import ANY_SCORE, NEVER, suppress


class YOLOv3u(nn.Module):
    """The graph of a YOLOv3u for one class.

    Args:
        detector: ``osm.detection.yolov3u``'s, in evaluation mode; its network is used as it is.
        tile_px: Side of the tiles.
    """

    def __init__(self, detector: Any, tile_px: int) -> None:
        super().__init__()
        self.network, self.settings = detector.network, detector.settings
        self.tile_px = tile_px

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Detections of a batch.

        Args:
            tiles: (N, tile_px, tile_px) uint8.

        Returns:
            Boxes (K, 4) xyxy in tile pixels, scores (K,) and the tile (K,) of each; by tile, then by falling score.
        """
        settings = self.settings
        found, _ = self.network(tiles[:, None].expand(-1, 3, -1, -1).float() / 255)
        scores = found[:, 4]
        rank = torch.where(scores >= settings.score_thr, scores, NEVER)
        scores, places = rank.topk(min(settings.nms_pre, rank.shape[1]), dim=1)
        chosen = found[:, :4].gather(2, places[:, None].expand(-1, 4, -1)).transpose(1, 2)
        half = chosen[..., 2:] * 0.5
        boxes = torch.cat([chosen[..., :2] - half, chosen[..., :2] + half], dim=-1)
        kept = suppress(boxes, scores[:, None], settings.nms_iou, ANY_SCORE, settings.max_per_img)
        image, place = kept[:, 0], kept[:, 2]
        return boxes[image, place], scores[image, place], image
