"""AP on scenes that are neither trained on nor tested, while a detector trains: how fast a start gets where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm.data.scene import Scene
from osm.detection.recipe import Recipe
from osm.errors import ConfigError
from osm.files import read_json, write_json

if TYPE_CHECKING:
    from osm.detection.engines import Progress
    from osm.detection.tiles import SceneStore

VALIDATION = "validation.json"


class Validation:
    """Searches the validation scenes every few epochs and at the end, and writes what it found.

    Nothing is decided by it: no weights are chosen, no rate is lowered.

    Args:
        recipe: The recipe, with the epochs that are really trained.
        scenes: Validation scenes.
        store: Where their pixels come from.
        path: The file: a list of epoch, step, and AP50 per tile and per scene (fractions, null without ships).
        progress: Told what is under way.
    """

    def __init__(
        self, recipe: Recipe, scenes: Sequence[Scene], store: SceneStore, path: Path, progress: Progress
    ) -> None:
        self.recipe = recipe
        self.scenes = scenes
        self.store = store
        self.path = path
        self.progress = progress

    @classmethod
    def of(
        cls, recipe: Recipe, scenes: Sequence[Scene], store: SceneStore, work_dir: Path, progress: Progress
    ) -> Validation | None:
        """What a recipe asks for; None where it asks for nothing.

        Raises:
            ConfigError: It does, and there are no scenes.
        """
        every = recipe.train.validate_every_epochs
        if not every:
            return None
        if not scenes:
            raise ConfigError(
                recipe.path,
                found=f"train.validate_every_epochs = {every} where no scenes are kept for it",
                expected="0 here",
                mend="leave it out: only `osm finetune` and `osm compare` validate",
            )
        return cls(recipe, scenes, store, work_dir / VALIDATION, progress)

    def __call__(self, detector: Any, epochs: int, steps: int) -> None:
        """Search, if it is time.

        Args:
            detector: In any mode; left in evaluation mode.
            epochs: Epochs done.
            steps: Steps done.
        """
        from osm.detection.evaluate import average_precision
        from osm.detection.inference import predict_scenes

        train = self.recipe.train
        if epochs % train.validate_every_epochs and epochs != train.epochs:
            return
        found = predict_scenes(
            detector,
            self.scenes,
            self.store,
            self.recipe.data,
            self.recipe.test,
            lambda done, total: self.progress("validate", done, total),
        )
        point: dict[str, float | None] = {"epoch": epochs, "step": steps}
        for place, results in (("tile", found.tile_results()), ("scene", found.scene_results())):
            value = average_precision(results).ap50
            point[f"ap50_{place}"] = None if math.isnan(value) else value
        # those of an interrupted run, if this one goes on with it
        before = [one for one in read_json(self.path) if one["epoch"] < epochs] if self.path.is_file() else []
        write_json(self.path, [*before, point])
