"""Features of every arm at every stage, at the same places of the same tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from osm.matching.inspection.arms import Arm
from osm.matching.inspection.cells import draw_places, take_cells
from osm.matching.inspection.similarity import chance_cka, linear_cka
from osm.matching.inspection.stages import stage_maps
from osm.matching.inspection.tiles import Bytes, Tile
from osm.transfer.architectures import Architecture

#: Called with what is under way, units done and units in all.
Progress = Callable[[str, int, int], None]
#: Stage → (n, channels) float32.
Features = dict[str, npt.NDArray[np.float32]]

#: Cells compared in all. Of ResNet-50, the widest, they take 60 MiB an arm.
MOST_CELLS = 4096


@dataclass(frozen=True)
class Likeness:
    """Linear CKA of two sets of features of the same cells.

    Attributes:
        first: Letter of an arm.
        second: Letter of the other; the same for two stages of one arm.
        first_stage: A stage of the first.
        second_stage: A stage of the second.
        cka: In [0, 1]; None where one of the two is constant.
        chance: The same with the cells of one shuffled.
    """

    first: str
    second: str
    first_stage: str
    second_stage: str
    cka: float | None
    chance: float | None


def normalise(pixels: Bytes, known: Architecture, device: torch.device | str = "cpu") -> Tensor:
    """A tile (H, W) uint8 as a backbone is fed it: three equal bands (1, 3, H, W), mean and std applied."""
    image = torch.from_numpy(pixels).to(device).float().expand(1, 3, *pixels.shape)
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (known.mean, known.std))
    return (image - mean) / std


def device_of(backbone: nn.Module) -> torch.device:
    """Where a backbone is."""
    return next(backbone.parameters()).device


def gather_features(
    arm: Arm, tiles: Sequence[Tile], known: Architecture, seed: int, progress: Progress | None = None
) -> Features:
    """Run an arm over the tiles and keep some cells of every stage.

    The draw depends on the seed and the number of the tile alone: the cells of two arms, and of two stages, stand on
    the same places.

    Args:
        arm: Its backbone is run one tile at a time.
        tiles: At least one.
        known: Its architecture.
        seed: Seed of the places.
        progress: Called after every tile.
    """
    a_tile = max(1, MOST_CELLS // len(tiles))
    kept: dict[str, list[npt.NDArray[np.float32]]] = {stage: [] for stage in known.stages}
    device = device_of(arm.backbone)
    for number, tile in enumerate(tiles):
        height_px, width_px = tile.pixels.shape
        places = draw_places(height_px, width_px, a_tile, np.random.default_rng([seed, number]))
        for stage, values in stage_maps(arm.backbone, known.stages, normalise(tile.pixels, known, device)).items():
            kept[stage].append(take_cells(values, places))
        if progress is not None:
            progress(f"features of {arm.letter}", number + 1, len(tiles))
    return {stage: np.concatenate(parts) for stage, parts in kept.items()}


def between_arms(features: dict[str, Features], seed: int) -> list[Likeness]:
    """Every two arms, stage by stage.

    Args:
        features: Of each arm by its letter.
        seed: Of the shuffle that gives chance.
    """
    letters = list(features)
    pairs = [(a, b) for place, a in enumerate(letters) for b in letters[place + 1 :]]
    return [_likeness(features, a, b, stage, stage, seed) for a, b in pairs for stage in features[a]]


def between_stages(features: dict[str, Features], letter: str, seed: int) -> list[Likeness]:
    """Every two stages of one arm, the shallower first."""
    stages = list(features[letter])
    pairs = [(a, b) for place, a in enumerate(stages) for b in stages[place + 1 :]]
    return [_likeness(features, letter, letter, a, b, seed) for a, b in pairs]


def _likeness(features: dict[str, Features], a: str, b: str, stage_a: str, stage_b: str, seed: int) -> Likeness:
    first, second = features[a][stage_a], features[b][stage_b]
    return Likeness(a, b, stage_a, stage_b, linear_cka(first, second), chance_cka(first, second, seed))


def to_rows(likeness: Sequence[Likeness], stages: Sequence[str]) -> list[tuple[str, list[Any]]]:
    """The list of ``between_arms`` as rows: the two letters, and one entry a stage."""
    rows: dict[str, list[Any]] = {}
    for one in likeness:
        rows.setdefault(f"{one.first} – {one.second}", []).append(one)
    assert all(len(row) == len(stages) for row in rows.values())
    return list(rows.items())
