"""The backbone of a finished detector, taken out with a card: what the ``osd`` arm starts from.

Source of the method: Bao et al., "Boosting ship detection in SAR images with complementary pretraining techniques"
(arXiv 2103.08251): a detector learns ships in optical aerial images, and its backbone starts one of SAR images.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osm.data.scenes import OPTICAL
from osm.detection.engine import contract_of
from osm.detection.engines import DEFAULT
from osm.detection.finetune import METRICS, RECIPE_KEY, WEIGHTS
from osm.detection.train import CERTIFICATE
from osm.errors import ConfigError, DataError, WeightsError
from osm.files import atomic_path, check_seal, digests, read_json, sha256_file
from osm.transfer.adapters.exporting import check_out
from osm.transfer.adapters.sidecars import sha256_line, sha256_path
from osm.transfer.architectures import build_backbone
from osm.transfer.card import DETECTION, Card
from osm.transfer.certificate import read_certificate
from osm.transfer.export import CARD_KEY, export_tensors, read_export, read_safetensors, tensors_sha256
from osm.transfer.load import load_backbone

#: Prefix of the backbone's tensors in a detector.
PREFIX = "backbone."
#: What the file is called beside the detector if no name is given.
NAME = "detector_backbone.safetensors"


@dataclass(frozen=True)
class Taken:
    """What was written.

    Attributes:
        path: The file.
        beside: Its SHA-256, beside it.
        sha256: Of the file.
        tensors: Number of its tensors.
        tensors_sha256: Over all of them, the same in the detector.
        card: Of the backbone.
    """

    path: Path
    beside: tuple[Path, ...]
    sha256: str
    tensors: int
    tensors_sha256: str
    card: Card


def find_detector(source: str | Path) -> Path | None:
    """The detector that a path names: the file itself, or ``detector.safetensors`` in a run's folder; else None.

    Raises:
        WeightsError: A safetensors file is broken, or a run's folder has no detector in it.
    """
    path = Path(source)
    if path.is_dir() and (path / METRICS).is_file() and (path / CERTIFICATE).is_file():
        if not (path / WEIGHTS).is_file():
            raise WeightsError(
                path,
                found=f"a run without {WEIGHTS}",
                expected="the folder of a finished `osm finetune`",
                mend="train it with `osm finetune`: the cells of a comparison keep no detector",
            )
        return path / WEIGHTS
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    _, metadata = read_safetensors(path)
    return path if RECIPE_KEY in metadata and CARD_KEY not in metadata else None


def card_of_detector(path: str | Path) -> Card:
    """The card of a detector's backbone, of what the files of its run say.

    Args:
        path: ``detector.safetensors`` in the folder of its run.

    Raises:
        ConfigError: The detector is of an engine whose backbone has other keys.
        DataError: A file of the run is missing, or is not what the run left.
        WeightsError: The detector is broken.
    """
    path = Path(path)
    tensors, metadata = read_safetensors(path)
    recipe = json.loads(metadata[RECIPE_KEY])
    engine = recipe.get("engine", DEFAULT)
    if engine != DEFAULT:
        raise ConfigError(
            path,
            found=f"a detector of the engine {engine}",
            expected=f"one of {DEFAULT}, whose backbone has our keys",
            mend="train a detector with that engine",
        )
    run = _read_run(path)
    certificate = read_certificate(path.with_name(CERTIFICATE))
    data, settings = run.get("data", {}), recipe["data"]
    return Card(
        architecture=recipe["architecture"],
        input=contract_of(recipe["architecture"], settings["kind"], settings["radiometry"]),
        data={
            "learned": DETECTION,
            # runs of earlier versions say nothing of their data
            "kind": settings["kind"],
            "optical": settings["kind"] in OPTICAL,
            "train_split": settings["train_split"],
            "test_split": settings["test_split"],
            **data,
        },
        config={**recipe, "seed": run["seed"]},
        start={
            "source": certificate.get("source"),
            "source_sha256": certificate.get("source_sha256"),
            "coverage": certificate["coverage"] if certificate.get("source") else None,
            "certificate_sha256": sha256_file(path.with_name(CERTIFICATE)),
            "detector": {
                "name": recipe["detector"],
                "init": run["init"],
                "file": path.name,
                "sha256": sha256_file(path),
                "backbone_sha256": tensors_sha256(backbone_tensors(tensors)),
            },
        },
        metrics={"detection": {"tile": run["tile"], "scene": run["scene"]}},
    )


def backbone_tensors(tensors: dict[str, Any]) -> dict[str, Any]:
    """The backbone's part of a detector's tensors, under the backbone's own keys."""
    return {key.removeprefix(PREFIX): value for key, value in tensors.items() if key.startswith(PREFIX)}


def take_backbone(source: str | Path, *, out: str | Path | None = None, overwrite: bool = False) -> Taken:
    """Write the backbone of a finished detector with its card, and prove it.

    The file that was written is read back: its tensors hash to what the detector's hash to, and fill a backbone of
    the architecture to the last one. What fails leaves nothing behind.

    Args:
        source: A run's folder, or the detector in it.
        out: The ``.safetensors`` file to write; ``NAME`` beside the detector if not given.
        overwrite: Whether a file that is there already is replaced.

    Raises:
        OSMError: As from ``find_detector`` and ``card_of_detector``; ``out`` does not suit or is taken; or the proof
            failed.
    """
    path = find_detector(source)
    if path is None:
        raise WeightsError(
            source, found="no detector", expected="the folder of a finished `osm finetune`", mend="check the path"
        )
    final = path.with_name(NAME) if out is None else Path(out)
    check_out(final, path, (".safetensors",), overwrite=overwrite)
    card = card_of_detector(path)
    tensors = backbone_tensors(read_safetensors(path)[0])
    expected = card.start["detector"]["backbone_sha256"]
    with atomic_path(sha256_path(final)) as beside, atomic_path(final) as temporary:
        export_tensors(temporary, tensors, card)
        written, _ = read_export(temporary)
        if tensors_sha256(written) != expected:
            raise WeightsError(
                final, found="other tensors than the detector's", expected="the same", mend="report this as a defect"
            )
        load_backbone(build_backbone(card.architecture), temporary, architecture=card.architecture)
        digest = sha256_file(temporary)
        beside.write_text(sha256_line(digest, final), encoding="utf-8")
    return Taken(final, (sha256_path(final),), digest, len(written), expected, card)


def _read_run(path: Path) -> dict[str, Any]:
    """What a run says of itself, its files checked."""
    summary = path.with_name(METRICS)
    if not summary.is_file():
        raise DataError(
            path,
            found=f"no {METRICS} beside it",
            expected="the folder of a finished `osm finetune`",
            mend=f"give {WEIGHTS} in the folder of its run",
        )
    run = read_json(summary)
    check_seal(summary, run)
    names = (path.name, CERTIFICATE)
    found, written = digests(path.parent, names), run["files"]
    for name in names:
        if found.get(name) != written.get(name) or name not in found:
            raise DataError(
                path.with_name(name),
                found="no file that the run left, or one that was changed since",
                expected=f"SHA-256 {written[name][:12]}…, as {METRICS} says" if name in written else WEIGHTS,
                mend="copy the whole run again, or train the detector again",
            )
    return dict(run)
