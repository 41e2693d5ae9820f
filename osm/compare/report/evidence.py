"""What the cells of a study left behind, read for the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.compare.study import CellResult, Study
from osm.detection.predictions import Predictions, read_predictions
from osm.errors import DataError
from osm.files import read_json, sha256_file
from osm.transfer.certificate import read_certificate

#: The key of a cell.
Key = tuple[str, str, int]


@dataclass(frozen=True, eq=False)
class Evidence:
    """The files of one cell; None for each that is not there (a detector of somebody else may write fewer).

    Attributes:
        predictions: From ``predictions.json``.
        predictions_sha256: Of that file.
        steps: Training steps (K,) of ``training.json``.
        losses: Loss (K,) at those steps.
        certificate: ``certificate.json`` as it is.
        config: Text of ``config.py``.
    """

    predictions: Predictions | None
    predictions_sha256: str | None
    steps: NDArray[np.float64] | None
    losses: NDArray[np.float64] | None
    certificate: dict[str, Any] | None
    config: str | None


def key(cell: CellResult) -> Key:
    """Detector, arm and seed."""
    return cell.detector, cell.arm, cell.seed


def read_evidence(study: Study) -> dict[Key, Evidence]:
    """Read the files of every cell.

    Raises:
        DataError: A file is there but broken.
    """
    return {key(cell): _read_cell(cell) for cell in study.cells}


def random_parts_agree(study: Study, evidence: dict[Key, Evidence]) -> bool | None:
    """Whether what stayed random is bit for bit the same in the arms of one detector and seed.

    Compares, by the hashes in the certificates, every backbone tensor that two arms both left at its random start.
    None where no two arms share such a tensor.
    """
    shared = False
    for detector in study.detectors:
        for seed in study.seeds:
            digests: dict[str, set[str]] = {}
            for arm in study.arms:
                for name, digest in _random_digests(evidence.get((detector, arm.name, seed))).items():
                    shared |= name in digests
                    digests.setdefault(name, set()).add(digest)
            if any(len(found) > 1 for found in digests.values()):
                return False
    return True if shared else None


def _random_digests(found: Evidence | None) -> dict[str, str]:
    certificate = found.certificate if found else None
    if not certificate:
        return {}
    digests = certificate.get("backbone_sha256", {})
    return {name: digests[name] for name in certificate.get("random", ()) if name in digests}


def _read_cell(cell: CellResult) -> Evidence:
    folder = cell.folder
    predictions = folder / "predictions.json"
    steps, losses = _training(cell)
    certificate = folder / "certificate.json"
    config = folder / "config.py"
    return Evidence(
        predictions=read_predictions(predictions) if predictions.is_file() else None,
        predictions_sha256=sha256_file(predictions) if predictions.is_file() else None,
        steps=steps,
        losses=losses,
        certificate=_certificate(cell) if certificate.is_file() else None,
        config=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else None,
    )


def _training(cell: CellResult) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    path = cell.folder / "training.json"
    if not path.is_file():
        return None, None
    entries = read_json(path)
    try:
        # a loss that is not finite is null in JSON
        points = [(float(entry["step"]), float(entry["loss"])) for entry in entries if entry["loss"] is not None]
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(
            path, found=f"{type(error).__name__} {error}", expected="a list of step and loss", mend="run the cell again"
        ) from error
    points = sorted(point for point in points if all(math.isfinite(value) for value in point))
    values = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def _certificate(cell: CellResult) -> dict[str, Any]:
    return read_certificate(cell.folder / "certificate.json")
