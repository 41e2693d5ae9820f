"""A branch: the backbone and the projection head of one modality."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from osm.matching.objectives import Encoded
from osm.transfer.architectures import build_backbone, out_channels


class BridgeHead(nn.Module):
    """From a feature map to an embedding in (0, 1)^d, as in the bridge network (Xu et al., AAAI 2019).

    1×1 convolution C→128, ReLU, adaptive average pool to 4×4, fully connected 2048→128 and 128→d,
    sigmoid. Everything after the convolution runs in float32: a bfloat16 near 0.5 has steps of 0.004,
    which is coarse for a distance.

    Args:
        channels: Channels C of the map.
        dimensions: Length d of the embedding.
    """

    WIDTH = 128
    CELLS = 4

    def __init__(self, channels: int, dimensions: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, self.WIDTH, kernel_size=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(self.CELLS)
        self.hidden = nn.Linear(self.WIDTH * self.CELLS**2, self.WIDTH)
        self.project = nn.Linear(self.WIDTH, dimensions)

    def forward(self, feature_map: Tensor) -> Tensor:
        """Embed maps (N, C, h, w) as (N, d) float32."""
        reduced: Tensor = self.relu(self.reduce(feature_map))
        with torch.autocast(reduced.device.type, enabled=False):
            cells: Tensor = self.pool(reduced.float())
            return torch.sigmoid(self.project(self.hidden(cells.flatten(1))))


class Branch(nn.Module):
    """Backbone plus projection head of one modality.

    Args:
        architecture: A name of ``osm.transfer.architectures``.
        dimensions: Length d of the embedding.
    """

    def __init__(self, architecture: str, dimensions: int) -> None:
        super().__init__()
        self.backbone = build_backbone(architecture)
        self.head = BridgeHead(out_channels(architecture)[-1], dimensions)

    def forward(self, images: Tensor) -> Encoded:
        """Encode normalised patches (N, 3, H, W)."""
        feature_map: Tensor = self.backbone(images)[-1]
        return Encoded(embedding=self.head(feature_map), feature_map=feature_map)
