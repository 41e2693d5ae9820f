"""Engines: what builds and trains a detector. Each is a module of its own, imported when a recipe names it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from osm.detection.witness import Witness
from osm.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from osm.detection.recipe import Recipe
    from osm.detection.tiles import SceneStore, Tile
    from osm.transfer.certificate import Certificate

#: Name in a recipe → the module whose ``ENGINE`` it is.
ENGINES = {"mmdet": "osm.detection.engine", "ultralytics": "osm.detection.yolov3u.engine"}
#: Of recipes that name none.
DEFAULT = "mmdet"

#: Called with what is under way, units done and units in all.
Progress = Callable[[str, int, int], None]


class Detector(Protocol):
    """A detector as the search and the files see it: mmdet's own interface, which other engines take on."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """For the device that the detector is on."""

    def eval(self) -> Any:
        """Put it into evaluation mode."""

    def test_step(self, data: Any) -> Sequence[Any]:
        """Search a batch of tiles.

        Args:
            data: What mmengine's ``pseudo_collate`` makes of ``TileDataset``'s entries.

        Returns:
            One sample a tile, whose ``pred_instances`` has ``bboxes`` (K, 4), xyxy in tile pixels, and ``scores`` (K,).
        """

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        """What ``detector.safetensors`` keeps."""


@dataclass(frozen=True, eq=False)
class Job:
    """One training.

    Attributes:
        recipe: The recipe.
        tiles: What to train on.
        store: Where their pixels come from.
        work_dir: Where to write.
        seed: Of the order of tiles and their turns.
        tensorboard: Whether to write TensorBoard events too.
        resume: Continue from the last checkpoint in ``work_dir``.
        progress: Told of steps done and steps in all, as ``"train"``.
        witness: Told of every tile that is read, and of the detector at the first step.
        validate: Called with the detector, epochs and steps done after every epoch; None where nothing is validated.
    """

    recipe: Recipe
    tiles: Sequence[Tile]
    store: SceneStore
    work_dir: Path
    seed: int
    tensorboard: bool
    resume: bool
    progress: Progress
    witness: Witness = field(default_factory=Witness)
    validate: Callable[[Any, int, int], None] | None = None


class Engine(Protocol):
    """A way to build and to train detectors.

    Attributes:
        notice: One line that a user has to read before choosing it; empty if there is none.
        remark: What a reader of a table has to know about its detectors; empty if there is nothing.
    """

    notice: str
    remark: str

    def check(self, recipe: Recipe) -> None:
        """Make sure that a recipe can be run here.

        Raises:
            OSMError: The engine is not installed, or does not know a word of the recipe.
        """

    def resolve(self, recipe: Recipe) -> Mapping[str, Any]:
        """The recipe's words about the model as they are built from, with everything that was left to defaults of ours.

        What a config merely inherits and this engine replaces is not among them.
        """

    def build(
        self,
        recipe: Recipe,
        *,
        seed: int,
        weights: Path | None,
        min_coverage: float,
        allow_contract_mismatch: bool = False,
    ) -> tuple[Any, Certificate]:
        """A detector before its training, and the certificate of its backbone, as ``engine.build_detector`` does."""

    def train(self, detector: Any, certificate: Certificate, job: Job) -> Detector:
        """Train what ``build`` gave, with the certificate checked at the first step.

        Writes ``training.json``, ``config.py`` and what is needed to resume.

        Returns:
            The detector at the end of its training.
        """


def find_engine(name: str, where: str | Path) -> Engine:
    """The engine of a name.

    Args:
        name: A key of ``ENGINES``.
        where: The config that says so, for the error.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in ENGINES:
        raise ConfigError(
            where, found=f"engine = {name!r}", expected=f"one of {', '.join(ENGINES)}", mend="correct the name"
        )
    engine: Engine = importlib.import_module(ENGINES[name]).ENGINE
    return engine


def notices(recipes: Iterable[Recipe]) -> list[str]:
    """What a user has to read before these recipes run, each line once."""
    found = (find_engine(recipe.engine, recipe.path).notice for recipe in recipes)
    return [notice for notice in dict.fromkeys(found) if notice]


def remarks(recipes: Iterable[Recipe]) -> list[str]:
    """What must stand beside figures of these recipes' detectors."""
    found = ((recipe.detector, find_engine(recipe.engine, recipe.path).remark) for recipe in recipes)
    return [f"Detector {detector}: {remark}." for detector, remark in found if remark]
