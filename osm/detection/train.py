"""Training a detector from a start and searching scenes with it: what fine-tuning and the probe share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm.data.scene import Scene
from osm.detection.arms import Init, check_kind, imagenet_weights
from osm.detection.conditions import (
    CONDITIONS,
    asked,
    device,
    drawn,
    frozen,
    machine,
    precision,
    scenes_used,
    software,
    steps_taken,
    tiles_used,
)
from osm.detection.engines import Detector, Job, Progress, find_engine
from osm.detection.recipe import Recipe
from osm.detection.schedule import lengthened
from osm.detection.tiles import SceneStore, training_tiles
from osm.detection.validation import Validation
from osm.detection.witness import Witness
from osm.errors import DataError
from osm.files import read_json
from osm.transfer.certificate import Certificate, read_certificate
from osm.transfer.export import read_card

if TYPE_CHECKING:
    from osm.detection.predictions import Predictions

CERTIFICATE = "certificate.json"
TRAINING = "training.json"
CONFIG = "config.py"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, eq=False)
class Trained:
    """A detector at the end of its training, and what it found.

    Attributes:
        model: The detector, in evaluation mode.
        predictions: Detections of the test scenes.
        certificate: Proof of what the backbone started from.
        train_tiles: Tiles trained on.
    """

    model: Detector
    predictions: Predictions
    certificate: Certificate
    train_tiles: int


def train_and_search(
    recipe: Recipe,
    *,
    init: Init,
    train_scenes: Sequence[Scene],
    test_scenes: Sequence[Scene],
    store: SceneStore,
    work_dir: Path,
    seed: int,
    min_coverage: float,
    validation: Sequence[Scene] = (),
    allow_contract_mismatch: bool = False,
    tuning: Mapping[str, Any] | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Trained:
    """Train a detector on some scenes and search others with it; scoring is left to the caller.

    Writes ``certificate.json``, ``conditions.json``, ``training.json``, ``config.py``, the log and what is needed to
    resume.

    Args:
        recipe: The detector and its settings; which scenes, its ``data`` does not decide here.
        init: How the backbone starts.
        train_scenes: Scenes to train on, all of them.
        test_scenes: Scenes to search.
        store: Where their pixels come from.
        work_dir: Where to write.
        seed: As in ``finetune``, like all that follows.
        min_coverage: Least fraction of the backbone's tensors that the weights must fill.
        validation: Scenes for ``train.validate_every_epochs``.
        allow_contract_mismatch: Whether weights that were trained on other input are taken all the same.
        tuning: How the recipe's learning rate was chosen, if it was.
        resume: Continue from the last checkpoint in ``work_dir``.
        tensorboard: Whether to write TensorBoard events too.
        progress: Told what is under way.

    Raises:
        OSMError: Data, weights or settings that a user can mend.
    """
    from osm.compat.runner import open_log
    from osm.detection.inference import predict_scenes

    engine = find_engine(recipe.engine, recipe.path)
    weights = imagenet_weights(recipe.architecture) if str(init) == "imagenet" else init.path
    if weights is not None:
        check_kind(init.kind, weights, read_card(weights))
    open_log(work_dir / "train.log")
    built, certificate = engine.build(
        recipe,
        seed=seed,
        weights=weights,
        min_coverage=min_coverage,
        allow_contract_mismatch=allow_contract_mismatch,
    )
    if resume:
        certificate = certificate.resumed(work_dir / CERTIFICATE)
    certificate.write(work_dir / CERTIFICATE)

    tiles = training_tiles(train_scenes, recipe.data)
    if len(tiles) < recipe.train.batch_size:
        raise DataError(
            f"{len(train_scenes)} training scenes",
            found=f"{len(tiles)} training tiles",
            expected=f"at least train.batch_size = {recipe.train.batch_size}",
            mend="use more scenes or a smaller batch",
        )
    start = Init(init.kind, weights)
    known = {
        **asked(
            recipe,
            start,
            seed=seed,
            min_coverage=min_coverage,
            allow_contract_mismatch=allow_contract_mismatch,
            tuning=tuning,
        ),
        "data": {**scenes_used(train_scenes, test_scenes), "train_tiles": tiles_used(tiles)},
        "software": software(recipe),
        "device": device(),
        "precision": precision(recipe),
        "machine": machine(),
        "drawn_backbone": drawn(certificate.to_json()),
    }
    witness = Witness(work_dir / CONDITIONS, known, resume)
    looks = Validation.of(recipe, validation, store, work_dir, progress)
    longer = replace(recipe, train=lengthened(recipe.train, len(tiles)))
    job = Job(longer, tiles, store, work_dir, seed, tensorboard, resume, progress, witness, looks)
    model = engine.train(built, certificate, job)
    witness.finish({
        "frozen": frozen(read_certificate(work_dir / CERTIFICATE)),
        "training": steps_taken(read_json(work_dir / TRAINING)),
    })  # fmt: skip
    predictions = predict_scenes(
        model,
        test_scenes,
        store,
        recipe.data,
        recipe.test,
        lambda done, total: progress("search", done, total),
    )
    return Trained(model, predictions, certificate, len(tiles))
