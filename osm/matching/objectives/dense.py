"""Any objective on the cells of feature maps: pairs are registered, so their cells are pairs too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from osm.matching.draws import generator
from osm.matching.gather import gather_rows, own_rows
from osm.matching.objectives.base import OBJECTIVES, Encoded, EncodedPairs, Objective, build_objective

#: Tells the draw of cells from the other draws of a step.
_CELLS = 2


@OBJECTIVES.register_module()
class Dense(Objective):
    """Takes an objective to maps: a detector lives on maps, not on one vector (cf. DenseCL, Wang et al., CVPR 2021).

    Each level has a 1×1 convolution a branch. Of each map some cells are drawn, the same in both modalities;
    partners are cells of one place, non-matches cells of another pair. The loss is the mean over levels.

    Args:
        loss: Registry config of the objective for cells.
        levels: Indices of the backbone's maps (``osm.transfer.architectures``); by default the last two.
        cells: Cells drawn from a map and step.
        dimensions: Length of a cell's embedding.
        channels: Channels of the backbone's maps; the network supplies them.
    """

    SUPPLIED = ("channels",)

    def __init__(
        self,
        loss: Mapping[str, Any],
        levels: Sequence[int] | None = None,
        cells: int = 8,
        dimensions: int = 64,
        channels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if loss.get("type") in ("Dense", "MomentumQueue"):
            raise ValueError(f"Dense takes an objective of single pairs, not {loss['type']}")
        if cells < 1:
            raise ValueError(f"cells is {cells}; it must be at least 1")
        count = len(channels)
        self.levels = tuple(levels) if levels is not None else (count - 2, count - 1)
        if not self.levels or any(not 0 <= level < count for level in self.levels):
            raise ValueError(f"levels are {self.levels}; the backbone has maps 0 to {count - 1}")
        self.cells = cells
        self.heads = nn.ModuleDict(
            {
                f"{branch}_{level}": nn.Conv2d(channels[level], dimensions, kernel_size=1)
                for branch in ("sar", "optical")
                for level in self.levels
            }
        )
        self.losses = nn.ModuleDict({str(level): build_objective(loss, channels, dimensions) for level in self.levels})
        first = next(iter(self.losses.values()))
        assert isinstance(first, Objective)
        self.space = first.space

    def forward(self, pairs: EncodedPairs) -> Tensor:
        """The mean of the objective over levels."""
        losses = []
        for level in self.levels:
            maps = pairs.sar.maps[level], pairs.optical.maps[level]
            places = self._draw(maps[0], len(pairs.order), pairs)
            sar, optical = (
                gather_rows(_pick(self.heads[f"{branch}_{level}"](whole.float()), places))
                for branch, whole in zip(("sar", "optical"), maps, strict=True)
            )
            # (N, cells, d): the partner of a cell is a cell of another pair
            elsewhere = optical[pairs.order.to(optical.device)]
            count = sar.shape[1]
            cells = EncodedPairs(
                sar=Encoded(sar.flatten(0, 1), {}),
                optical=Encoded(optical.flatten(0, 1), {}),
                nonmatch=Encoded(elsewhere.flatten(0, 1), {}),
                order=(pairs.order[:, None] * count + torch.arange(count)).flatten(),
                step=pairs.step,
                seed=pairs.seed,
            )
            losses.append(self.losses[str(level)](cells))
        return torch.stack(losses).mean()

    def _draw(self, whole: Tensor, count: int, pairs: EncodedPairs) -> Tensor:
        """Places (N, cells) of this process's maps, none twice, by the seed and step alone."""
        size = whole.shape[2] * whole.shape[3]
        wanted = min(self.cells, size)
        draw = generator(pairs.seed, pairs.step, _CELLS)
        chosen = torch.rand(count, size, generator=draw).topk(wanted, dim=1).indices
        return own_rows(chosen).to(whole.device)


def _pick(whole: Tensor, places: Tensor) -> Tensor:
    """Cells (N, cells, d) of maps (N, d, h, w)."""
    flat = whole.flatten(2).transpose(1, 2)
    return flat.gather(1, places[:, :, None].expand(-1, -1, flat.shape[2]))
