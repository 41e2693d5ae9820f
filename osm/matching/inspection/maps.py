"""Activation maps of one tile, stage by stage: where anything is active, and which channels vary most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class StageActivation:
    """What a stage makes of one tile.

    Attributes:
        stage: Its name.
        mean_abs: (h, w) mean over channels of the absolute activation.
        channels: Numbers of the channels that vary most over the tile, the strongest first.
        deviations: Standard deviation of each of them over the tile.
        strongest: (k, h, w) activations of these channels.
    """

    stage: str
    mean_abs: Map
    channels: tuple[int, ...]
    deviations: tuple[float, ...]
    strongest: Map


def activation(stage: str, feature_map: Map, count: int = 3) -> StageActivation:
    """Summarise a map.

    A channel is strong if it varies over the tile (standard deviation): one that is high everywhere tells no place
    from another.

    Args:
        stage: Name of the stage.
        feature_map: (C, h, w).
        count: How many channels to keep; fewer where there are fewer.
    """
    deviations = feature_map.std(axis=(1, 2), dtype=np.float64)
    order = np.argsort(-deviations, kind="stable")[:count]
    return StageActivation(
        stage,
        np.abs(feature_map).mean(axis=0),
        tuple(order.tolist()),
        tuple(deviations[order].tolist()),
        feature_map[order],
    )


def upsample(values: Map, height_px: int, width_px: int) -> Map:
    """A map (h, w) at the size of its tile: every cell as the rectangle that it stands on, nothing smoothed.

    Args:
        values: (h, w), h at most ``height_px`` and w at most ``width_px``.
        height_px: Of the tile.
        width_px: Likewise.
    """
    row = np.arange(height_px) * values.shape[0] // height_px
    column = np.arange(width_px) * values.shape[1] // width_px
    return np.asarray(values[row][:, column])
