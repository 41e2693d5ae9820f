"""mmdet's Faster R-CNN from 8-bit tiles to detections, in operators that ONNX has."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from osm.detection.onnx.operators import ANY_SCORE, NEVER, pool_pyramid, suppress
from osm.detection.onnx.wrapped import Normalise, require

#: mmdet's bound on how far a box may grow or shrink in one step (``wh_ratio_clip``).
_MOST_GROWTH = abs(math.log(16 / 1000))


def decode(anchors: Tensor, deltas: Tensor, coder: Any, side_px: int) -> Tensor:
    """Boxes from anchors and what was predicted of them, as mmdet's ``DeltaXYWHBBoxCoder``, clipped to the tile.

    Args:
        anchors: (..., 4) xyxy.
        deltas: (..., 4) shift and growth.
        coder: Of the head.
        side_px: Of the tile.

    Returns:
        (..., 4) xyxy.
    """
    moved = deltas * deltas.new_tensor(coder.stds) + deltas.new_tensor(coder.means)
    centre = (anchors[..., :2] + anchors[..., 2:]) * 0.5
    size = anchors[..., 2:] - anchors[..., :2]
    centre = centre + size * moved[..., :2]
    half = size * moved[..., 2:].clamp(-_MOST_GROWTH, _MOST_GROWTH).exp() * 0.5
    return torch.cat([centre - half, centre + half], dim=-1).clamp(0, side_px)


class FasterRCNN(nn.Module):
    """The graph of a Faster R-CNN with FPN for one class.

    Args:
        detector: mmdet's, in evaluation mode; its modules are used as they are.
        tile_px: Side of the tiles.

    Raises:
        ConfigError: The detector has a part that this graph does not know.
    """

    level_of: Tensor

    def __init__(self, detector: Any, tile_px: int) -> None:
        super().__init__()
        rpn, roi = detector.rpn_head, detector.roi_head
        extractor, head = roi.bbox_roi_extractor, roi.bbox_head
        _require_known(detector)
        self.normalise = Normalise(detector.data_preprocessor)
        self.backbone, self.neck, self.rpn, self.head, self.extractor = (
            detector.backbone, detector.neck, rpn, head, extractor
        )  # fmt: skip
        self.tile_px = tile_px
        self.first, self.second = rpn.test_cfg, roi.test_cfg
        self.levels = len(extractor.featmap_strides)
        pools = extractor.roi_layers
        self.scales = [float(pool.spatial_scale) for pool in pools]
        self.size, self.ratio, self.aligned = pools[0].output_size[0], pools[0].sampling_ratio, pools[0].aligned
        sizes = [(tile_px // stride[1], tile_px // stride[0]) for stride in rpn.prior_generator.strides]
        priors = rpn.prior_generator.grid_priors(sizes, device="cpu")
        for level, anchors in enumerate(priors):
            self.register_buffer(f"anchors_{level}", anchors, persistent=False)
        counts = [min(len(anchors), self.first.nms_pre) for anchors in priors]
        self.register_buffer(
            "level_of",
            torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts)).float(),
            persistent=False,
        )

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Detections of a batch.

        Args:
            tiles: (N, tile_px, tile_px) uint8.

        Returns:
            Boxes (K, 4) xyxy in tile pixels, scores (K,) and the tile (K,) of each; by tile, then by falling score.
        """
        maps = self.neck(self.backbone(self.normalise(tiles)))
        image, proposals = self._propose(maps)
        rois = torch.cat([image[:, None].to(proposals.dtype), proposals], dim=1)
        levels = self.extractor.map_roi_levels(rois, self.levels)
        pooled = pool_pyramid(list(maps[: self.levels]), rois, levels, self.scales, self.size, self.ratio, self.aligned)
        logits, deltas = self.head(pooled)
        scores = logits.softmax(-1)[:, 0]
        boxes = decode(proposals, deltas, self.head.bbox_coder, self.tile_px)
        # each tile is a class of its own: none suppresses what is in another
        own = image[None, :] == torch.arange(tiles.shape[0], device=image.device)[:, None]
        by_tile = torch.where(own, scores[None, :], NEVER)
        settings = self.second
        kept = suppress(
            boxes[None], by_tile[None], settings.nms.iou_threshold, settings.score_thr, settings.max_per_img
        )
        return boxes[kept[:, 2]], scores[kept[:, 2]], kept[:, 1]

    def _propose(self, maps: Any) -> tuple[Tensor, Tensor]:
        settings = self.first
        chosen_scores, chosen_boxes = [], []
        for level, (logits, deltas) in enumerate(zip(*self.rpn(maps), strict=True)):
            scores = logits.permute(0, 2, 3, 1).flatten(1).sigmoid()
            deltas = deltas.permute(0, 2, 3, 1).reshape(scores.shape[0], -1, 4)
            anchors = getattr(self, f"anchors_{level}")
            if 0 < settings.nms_pre < anchors.shape[0]:
                scores, places = scores.topk(settings.nms_pre, dim=1)
                deltas = deltas.gather(1, places[..., None].expand(-1, -1, 4))
                anchors = anchors[places]
            chosen_scores.append(scores)
            chosen_boxes.append(decode(anchors, deltas, self.rpn.bbox_coder, self.tile_px))
        scores, boxes = torch.cat(chosen_scores, dim=1), torch.cat(chosen_boxes, dim=1)
        if settings.min_bbox_size >= 0:
            whole = ((boxes[..., 2:] - boxes[..., :2]) > settings.min_bbox_size).all(-1)
            scores = torch.where(whole, scores, NEVER)
            reach = torch.where(whole[..., None], boxes, 0.0).amax((1, 2))
        else:
            reach = boxes.amax((1, 2))
        # levels do not suppress each other; moved apart as mmcv's batched_nms moves them, to the last bit
        apart = boxes + (self.level_of * (reach[:, None] + 1))[..., None]
        kept = suppress(apart, scores[:, None], settings.nms.iou_threshold, ANY_SCORE, settings.max_per_img)
        return kept[:, 0], boxes[kept[:, 0], kept[:, 2]]


def _require_known(detector: Any) -> None:
    rpn, roi = detector.rpn_head, detector.roi_head
    pools = roi.bbox_roi_extractor.roi_layers
    require(type(rpn).__name__ == "RPNHead" and rpn.use_sigmoid_cls, "rpn_head", "mmdet's RPNHead with a sigmoid")
    require(roi.bbox_head.num_classes == 1 and not roi.bbox_head.custom_cls_channels, "bbox_head", "one class")
    require(rpn.test_cfg.nms.type == roi.test_cfg.nms.type == "nms", "test_cfg nms", "type nms")
    require(
        len(pools) > 1 and all(type(pool).__name__ == "RoIAlign" and pool.pool_mode == "avg" for pool in pools),
        "bbox_roi_extractor",
        "RoIAlign by mean from several levels",
    )
