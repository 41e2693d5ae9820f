"""How long a detector trains on the tiles that there are."""

from __future__ import annotations

import math
from dataclasses import replace

from osm.detection.recipe import TrainSettings


def lengthened(settings: TrainSettings, tiles: int) -> TrainSettings:
    """Settings with the epochs that ``min_steps`` takes.

    Epochs alone would starve a training on few labels: ten tiles make one step an epoch.

    Args:
        settings: Of a recipe.
        tiles: Training tiles.

    Returns:
        The settings, with as many checkpoints and looks at the validation scenes as before.
    """
    epochs = max(settings.epochs, math.ceil(settings.min_steps / steps_an_epoch(settings, tiles)))
    factor = math.ceil(epochs / settings.epochs)
    return replace(
        settings,
        epochs=epochs,
        checkpoint_epochs=factor * settings.checkpoint_epochs,
        validate_every_epochs=factor * settings.validate_every_epochs,
    )


def steps_an_epoch(settings: TrainSettings, tiles: int) -> int:
    """Whole batches, one at least."""
    return max(tiles // settings.batch_size, 1)


def steps_in_all(settings: TrainSettings, tiles: int) -> int:
    """Steps of a training."""
    return lengthened(settings, tiles).epochs * (tiles // settings.batch_size)
