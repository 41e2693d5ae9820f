"""A branch: the backbone and the projection head of one modality."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from osm.matching.objectives import Encoded
from osm.transfer.architectures import build_backbone, out_channels


class BridgeHead(nn.Module):
    """From a feature map to logits, as in the bridge network (Xu et al., AAAI 2019).

    1×1 convolution C→128, ReLU, adaptive average pool to 4×4, fully connected 2048→128 and 128→d; the sigmoid
    that follows there is taken where distances are (``osm.matching.distance``). Everything after the
    convolution runs in float32: a bfloat16 near 0.5 has steps of 0.004, which is coarse for a distance.

    Args:
        channels: Channels C of the map.
        dimensions: Length d of the embedding.
        norm: Whether batch norm standardises each logit over the batch, scaled by a learned gain. The paper's
            head has none. With it, a batch cannot be told apart from nothing by constants alone, which is what
            holds the bridge loss at 0.25.
    """

    WIDTH = 128
    CELLS = 4

    def __init__(self, channels: int, dimensions: int, norm: bool = False) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, self.WIDTH, kernel_size=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(self.CELLS)
        self.hidden = nn.Linear(self.WIDTH * self.CELLS**2, self.WIDTH)
        self.project = nn.Linear(self.WIDTH, dimensions)
        self.norm = nn.BatchNorm1d(dimensions) if norm else nn.Identity()

    def forward(self, feature_map: Tensor) -> Tensor:
        """Logits (N, d) float32 of maps (N, C, h, w)."""
        reduced: Tensor = self.relu(self.reduce(feature_map))
        with torch.autocast(reduced.device.type, enabled=False):
            cells: Tensor = self.pool(reduced.float())
            logits: Tensor = self.norm(self.project(self.hidden(cells.flatten(1))))
            return logits


class Branch(nn.Module):
    """Backbone plus projection head of one modality.

    Args:
        architecture: A name of ``osm.transfer.architectures``.
        dimensions: Length d of the embedding.
        norm: Whether the head ends with batch norm.
        levels: Maps to return beside the last, by index of ``osm.transfer.architectures``.
    """

    def __init__(self, architecture: str, dimensions: int, norm: bool = False, levels: Sequence[int] = ()) -> None:
        super().__init__()
        channels = out_channels(architecture)
        self.levels = tuple(sorted({*levels, len(channels) - 1}))
        self.backbone = build_backbone(architecture, self.levels)
        self.head = BridgeHead(channels[-1], dimensions, norm)

    def forward(self, images: Tensor) -> Encoded:
        """Encode normalised patches (N, 3, H, W)."""
        maps = dict(zip(self.levels, self.backbone(images), strict=True))
        return Encoded(logits=self.head(maps[self.levels[-1]]), maps=maps)
