"""mmdet's YOLOv3 from 8-bit tiles to detections, in operators that ONNX has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from osm.detection.onnx.operators import ANY_SCORE, NEVER, suppress
from osm.detection.onnx.wrapped import Normalise, require


class YOLOv3(nn.Module):
    """The graph of a YOLOv3 for one class.

    Args:
        detector: mmdet's, in evaluation mode; its modules are used as they are.
        tile_px: Side of the tiles.

    Raises:
        ConfigError: The detector has a part that this graph does not know.
    """

    anchors: Tensor
    strides: Tensor

    def __init__(self, detector: Any, tile_px: int) -> None:
        super().__init__()
        head = detector.bbox_head
        require(type(head).__name__ == "YOLOV3Head" and head.num_classes == 1, "bbox_head", "YOLOV3Head of one class")
        require(head.test_cfg.nms.type == "nms", "test_cfg nms", "type nms")
        self.normalise = Normalise(detector.data_preprocessor)
        self.backbone, self.neck, self.head = detector.backbone, detector.neck, head
        self.settings = head.test_cfg
        strides = head.featmap_strides
        priors = head.prior_generator.grid_priors([(tile_px // s, tile_px // s) for s in strides], device="cpu")
        self.register_buffer("anchors", torch.cat(priors), persistent=False)
        of = [torch.full((len(anchors), 1), float(s)) for anchors, s in zip(priors, strides, strict=True)]
        self.register_buffer("strides", torch.cat(of), persistent=False)

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Detections of a batch.

        Args:
            tiles: (N, tile_px, tile_px) uint8.

        Returns:
            Boxes (K, 4) xyxy in tile pixels, scores (K,) and the tile (K,) of each; by tile, then by falling score.
        """
        (maps,) = self.head(self.neck(self.backbone(self.normalise(tiles))))
        settings = self.settings
        found = torch.cat(
            [each.permute(0, 2, 3, 1).reshape(tiles.shape[0], -1, self.head.num_attrib) for each in maps], dim=1
        )
        sure, ship = found[..., 4].sigmoid(), found[..., 5].sigmoid()
        candidate = ship > settings.get("score_thr", 0)
        if settings.get("conf_thr", -1) > 0:
            candidate = candidate & (sure >= settings.conf_thr)
        # the threshold and the choice of the best are by class, the score is by class and objectness: mmdet's order
        rank = torch.where(candidate, ship, NEVER)
        count = self.anchors.shape[0]
        best, places = rank.topk(min(settings.nms_pre, count) if settings.nms_pre > 0 else count, dim=1)
        scores = torch.where(best > NEVER, best * sure.gather(1, places), NEVER)
        boxes = self._decode(found.gather(1, places[..., None].expand(-1, -1, 4)), places)
        if settings.get("min_bbox_size", -1) >= 0:
            whole = ((boxes[..., 2:] - boxes[..., :2]) > settings.min_bbox_size).all(-1)
            scores = torch.where(whole, scores, NEVER)
        kept = suppress(boxes, scores[:, None], settings.nms.iou_threshold, ANY_SCORE, settings.max_per_img)
        image, place = kept[:, 0], kept[:, 2]
        return boxes[image, place], scores[image, place], image

    def _decode(self, found: Tensor, places: Tensor) -> Tensor:
        anchors, strides = self.anchors[places], self.strides[places]
        centre = (anchors[..., :2] + anchors[..., 2:]) * 0.5 + (found[..., :2].sigmoid() - 0.5) * strides
        half = (anchors[..., 2:] - anchors[..., :2]) * 0.5 * found[..., 2:].exp()
        return torch.cat([centre - half, centre + half], dim=-1)
