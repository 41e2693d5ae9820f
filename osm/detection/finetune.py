"""Fine-tuning one detector from one start, and scoring it: stage 2 from end to end."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm.data.radiometry import Radiometry
from osm.data.scenes import Scene, read_scenes
from osm.detection.arms import Init
from osm.detection.conditions import CONDITIONS
from osm.detection.engines import Progress
from osm.detection.leaks import without_leaked
from osm.detection.recipe import Recipe
from osm.detection.tiles import SceneStore, training_scenes, validation_scenes
from osm.detection.train import CERTIFICATE, CHECKPOINTS, CONFIG, TRAINING, train_and_search
from osm.detection.validation import VALIDATION
from osm.errors import ConfigError, DataError
from osm.files import SUMS, clear_torn, digests, write_sealed, write_sums
from osm.transfer.certificate import Certificate
from osm.transfer.export import write_safetensors

if TYPE_CHECKING:
    from osm.detection.engines import Detector
    from osm.detection.evaluate import AP

METRICS = "metrics.json"
PREDICTIONS = "predictions.json"
WEIGHTS = "detector.safetensors"
#: Where the settings of a training stand in ``WEIGHTS``.
RECIPE_KEY = "osm.recipe"
#: What a report reads of a run, beside its figures.
PROOFS = (PREDICTIONS, CERTIFICATE, CONDITIONS, TRAINING, VALIDATION, CONFIG)


@dataclass(frozen=True)
class Finetuned:
    """What one fine-tuning gave.

    Attributes:
        tile: Figures per tile, fractions in [0, 1], None where there is no truth.
        scene: Figures per whole scene.
        certificate: Proof of what the backbone started from.
        train_tiles: Tiles trained on.
        seconds: Wall time of training and inference.
    """

    tile: dict[str, float | None]
    scene: dict[str, float | None]
    certificate: Certificate
    train_tiles: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The content of ``metrics.json``."""
        return {
            "tile": self.tile,
            "scene": self.scene,
            "coverage": self.certificate.coverage if self.certificate.source else None,
            "train_tiles": self.train_tiles,
            "seconds": round(self.seconds, 1),
        }


def read_split(recipe: Recipe, data_root: Path, cache: Path | None = None) -> tuple[list[Scene], list[Scene]]:
    """Training scenes (the fraction taken) and test scenes of a recipe.

    Args:
        recipe: The recipe.
        data_root: Folder of the data set.
        cache: Where to keep which training scenes show a test scene, if the recipe drops those.

    Raises:
        DataError: The data are broken, or a scene is in both parts.
    """
    data = recipe.data
    train = read_scenes(data.kind, data_root, data.train_split, data.test_ids)
    test = read_scenes(data.kind, data_root, data.test_split, data.test_ids)
    both = sorted({scene.scene_id for scene in train} & {scene.scene_id for scene in test})
    if both:
        raise DataError(
            data_root,
            found=f"{len(both)} scenes in {data.train_split} and in {data.test_split} ({both[0]} first)",
            expected="parts without a common scene",
            mend="correct the split files",
        )
    if data.drop_leaked_train:
        train = without_leaked(train, test, data_root, cache)
    train, _ = validation_scenes(train, data.validation_fraction)
    return training_scenes(train, data.train_fraction, data.subset_seed), test


def hold_out(train: Sequence[Scene], held_out: Sequence[str]) -> tuple[list[Scene], list[Scene]]:
    """Training scenes without those of some names, and those."""
    names = set(held_out)
    return [one for one in train if one.scene_id not in names], [one for one in train if one.scene_id in names]


def read_validation(recipe: Recipe, data_root: Path, cache: Path | None = None) -> list[Scene]:
    """The scenes that ``read_split`` keeps from the training for ``train.validate_every_epochs``; none without it."""
    data = recipe.data
    if not recipe.train.validate_every_epochs:
        return []
    train = read_scenes(data.kind, data_root, data.train_split, data.test_ids)
    if data.drop_leaked_train:
        test = read_scenes(data.kind, data_root, data.test_split, data.test_ids)
        train = without_leaked(train, test, data_root, cache)
    return validation_scenes(train, data.validation_fraction)[1]


def prepare(work_dir: Path, *, resume: bool, overwrite: bool) -> bool:
    """Make a folder ready for one run.

    Returns:
        Whether there is anything to do: not where a finished run is to be resumed.

    Raises:
        ConfigError: A run is there, finished or not, and nothing was said about it.
    """
    clear_torn(work_dir, (METRICS, *PROOFS, WEIGHTS, SUMS))
    if overwrite:
        # our own files by name: a mistyped folder must not lose anything else
        for name in (METRICS, *PROOFS, WEIGHTS, SUMS):
            (work_dir / name).unlink(missing_ok=True)
        shutil.rmtree(work_dir / CHECKPOINTS, ignore_errors=True)
    elif resume and (work_dir / METRICS).is_file():
        _tidy(work_dir)
        return False
    elif (work_dir / METRICS).is_file():
        raise ConfigError(
            work_dir, found="a finished run", expected="a new folder", mend="use another --work-dir, or --overwrite"
        )
    elif (work_dir / CERTIFICATE).is_file() and not resume:
        raise ConfigError(
            work_dir,
            found="an interrupted run",
            expected="a new folder",
            mend="continue it with --resume, or discard it with --overwrite",
        )
    return True


def _tidy(work_dir: Path) -> None:
    """What is left to do once ``metrics.json`` is there, by this run or, if it was stopped just then, by the next."""
    write_sums(work_dir, (METRICS, *PROOFS, WEIGHTS))
    shutil.rmtree(work_dir / CHECKPOINTS, ignore_errors=True)


def finetune(
    recipe: Recipe,
    *,
    init: Init,
    data_root: Path,
    work_dir: Path,
    seed: int = 0,
    min_coverage: float = 1.0,
    allow_contract_mismatch: bool = False,
    held_out: Sequence[str] = (),
    tuning: Mapping[str, Any] | None = None,
    cache: Path | None = None,
    keep_weights: bool = True,
    resume: bool = False,
    tensorboard: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Finetuned:
    """Train a detector from a start, search the test scenes and score what it found.

    Writes ``certificate.json``, ``conditions.json``, ``training.json``, ``predictions.json``, ``config.py``, the log,
    if asked ``detector.safetensors``, and at the end ``metrics.json``: where that is, everything is. ``SHA256SUMS``
    lists them.

    Args:
        recipe: What to train on what.
        init: How the backbone starts.
        data_root: Folder of the data set.
        work_dir: Where to write.
        seed: Seed of the random weights, the order of tiles and their turns.
        min_coverage: Least fraction of the backbone's tensors that the weights must fill.
        allow_contract_mismatch: Whether weights that were trained on other input are taken all the same.
        held_out: Training scenes to search and score in place of the test scenes, and not to train on.
        tuning: How the recipe's learning rate was chosen, if it was; written down.
        cache: Folder of decoded scenes, shared by runs; below ``work_dir`` if None.
        keep_weights: Whether to write the detector.
        resume: Continue from the last checkpoint in ``work_dir``, if there is one.
        tensorboard: Whether to write TensorBoard events too.
        progress: Told what is under way.

    Raises:
        OSMError: Data, weights or settings that a user can mend.
    """
    from osm.detection.evaluate import average_precision

    started = time.monotonic()
    train_scenes, test_scenes = read_split(recipe, data_root, cache or work_dir / "cache")
    if held_out:
        train_scenes, test_scenes = hold_out(train_scenes, held_out)
    store = SceneStore(cache or work_dir / "cache", Radiometry.parse(recipe.data.radiometry))
    trained = train_and_search(
        recipe,
        init=init,
        train_scenes=train_scenes,
        test_scenes=test_scenes,
        validation=read_validation(recipe, data_root, cache or work_dir / "cache"),
        store=store,
        work_dir=work_dir,
        seed=seed,
        min_coverage=min_coverage,
        allow_contract_mismatch=allow_contract_mismatch,
        tuning=tuning,
        resume=resume,
        tensorboard=tensorboard,
        progress=progress,
    )
    model, predictions, certificate = trained.model, trained.predictions, trained.certificate
    predictions.write(work_dir / PREDICTIONS)
    if keep_weights:
        _save(model, work_dir / WEIGHTS, recipe)
    result = Finetuned(
        tile=figures_of(average_precision(predictions.tile_results())),
        scene=figures_of(average_precision(predictions.scene_results())),
        certificate=certificate,
        train_tiles=trained.train_tiles,
        seconds=time.monotonic() - started,
    )
    write_sealed(
        work_dir / METRICS,
        {
            "detector": recipe.detector,
            "init": str(init),
            "seed": seed,
            **result.to_json(),
            "data": _data_facts(recipe, data_root, train_scenes, test_scenes),
            "files": digests(work_dir, (*PROOFS, WEIGHTS)),
        },
    )
    _tidy(work_dir)
    return result


def _data_facts(recipe: Recipe, root: Path, train: Sequence[Scene], test: Sequence[Scene]) -> dict[str, Any]:
    """What a detector learned from, for whoever is handed a part of it."""
    return {
        "kind": recipe.data.kind,
        "root": root.resolve().name,
        "simulated": (root / "SIMULATED.json").is_file(),
        "optical": all(scene.optical for scene in train),
        "train_split": recipe.data.train_split,
        "train_scenes": len(train),
        "train_ships": count_ships(train),
        "test_split": recipe.data.test_split,
        "test_scenes": len(test),
        "test_ships": count_ships(test),
    }


def count_ships(scenes: Sequence[Scene]) -> int:
    """Ships that count, of all scenes."""
    return sum(int((~scene.ignore).sum()) for scene in scenes)


def figures_of(found: AP) -> dict[str, float | None]:
    """The figures of a cell as JSON has them, which has no nan: an AP without any truth is null."""
    return {name: None if math.isnan(value) else value for name, value in found.figures().items()}


def _save(model: Detector, path: Path, recipe: Recipe) -> None:
    write_safetensors(path, model.state_dict(), {RECIPE_KEY: json.dumps(recipe.settings(), default=str)})
