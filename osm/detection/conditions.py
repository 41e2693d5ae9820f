"""Conditions: everything that a training ran with, written by the training itself as ``conditions.json``.

Two runs may be compared where these say the same but for what was meant to differ (``osm.compare.fairness``).
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osm.compat.device import precision_on
from osm.compat.versions import code_sha256, git_revision, package_versions
from osm.data.scene import Scene
from osm.detection.arms import Init
from osm.detection.engines import DEFAULT, find_engine
from osm.detection.fingerprint import digest_scenes
from osm.detection.recipe import Recipe
from osm.detection.tiles import Tile
from osm.errors import DataError
from osm.files import check_seal, read_json, sha256_file

CONDITIONS = "conditions.json"
FORMAT = 1


def asked(
    recipe: Recipe,
    init: Init,
    *,
    seed: int,
    min_coverage: float,
    allow_contract_mismatch: bool = False,
    tuning: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a training is told to do, the data aside, as JSON values.

    Args:
        recipe: The recipe.
        init: How the backbone starts, its file named.
        seed: Seed of the run.
        min_coverage: Least fraction of the backbone's tensors that the weights must fill.
        allow_contract_mismatch: Whether weights that were trained on other input are taken all the same.
        tuning: How the learning rate was chosen; None where the recipe's was taken as it is.
    """
    values = {
        "format": FORMAT,
        "seed": seed,
        "recipe": {
            "engine": recipe.engine,
            **recipe.settings(),
            "model": find_engine(recipe.engine, recipe.path).resolve(recipe),
        },
        "tuning": tuning,
        "start": {
            "init": str(init),
            "kind": init.kind,
            "weights_sha256": sha256_file(init.path) if init.path else None,
            "min_coverage": min_coverage,
            "allow_contract_mismatch": allow_contract_mismatch,
        },
    }
    # as it will be read back: tuples are lists there, and mmengine's dicts plain ones
    known: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return known


def scenes_used(train: Sequence[Scene], test: Sequence[Scene]) -> dict[str, Any]:
    """Which scenes are trained on and which are searched: their number, and a hash of labels and sizes."""
    return {
        name: {"count": len(scenes), "sha256": digest_scenes(scenes)}
        for name, scenes in (("train_scenes", train), ("test_scenes", test))
    }


def tiles_used(tiles: Sequence[Tile]) -> dict[str, Any]:
    """Number of the tiles that are trained on, and a hash of their windows and boxes, in their order."""
    digest = hashlib.sha256()
    for tile in tiles:
        digest.update(f"{tile.scene.scene_id} ".encode() + tile.window.tobytes())
        digest.update(tile.boxes.tobytes() + tile.ignore.tobytes())
    return {"count": len(tiles), "sha256": digest.hexdigest()}


def software(recipe: Recipe) -> dict[str, str]:
    """What software runs here: packages, and this package's own code by its content."""
    versions = package_versions()
    if recipe.engine == DEFAULT:
        del versions["ultralytics"]  # an extra that may come and go
    return {**versions, "code_sha256": code_sha256()}


def device() -> str:
    """``cpu``, ``cuda`` or what else a training here uses."""
    from mmengine.device import get_device

    return str(get_device())


def precision(recipe: Recipe) -> dict[str, str]:
    """What the forward passes are computed in here, which "auto" leaves to the device."""
    return {
        "train": precision_on(recipe.train.precision, device()),
        "test": precision_on(recipe.test.precision, device()),
    }


def machine() -> dict[str, Any]:
    """What changes the last bits of a sum and nothing else, and what helps to find a difference."""
    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"device": name, "threads": torch.get_num_threads(), "git_revision": git_revision()}


def drawn(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """The backbone as it was drawn by the seed, before any file filled it: the same in every arm.

    Args:
        certificate: As ``read_certificate`` gives it.
    """
    before = {entry["target"]: entry["sha256_before"] for entry in certificate["filled"]}
    before |= {key: certificate["backbone_sha256"][key] for key in certificate["random"]}
    lines = "".join(f"{key} {before[key]}\n" for key in sorted(before))
    return {"tensors": len(before), "sha256": hashlib.sha256(lines.encode()).hexdigest()}


def frozen(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """What of each stage of the backbone learned nothing, as it was at the first step."""
    names = ("parameters", "parameters_frozen", "norms", "norms_eval")
    return {stage["name"]: {name: stage[name] for name in names} for stage in certificate["stages"]}


def steps_taken(curve: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Steps and learning rates that were in force, of the points of ``training.json``."""
    rates = [float(point["lr"]) for point in curve]
    digest = hashlib.sha256(b"".join(struct.pack("<qd", point["step"], point["lr"]) for point in curve))
    return {
        "steps": len(curve),
        "lr": {"first": rates[0], "highest": max(rates), "last": rates[-1], "sha256": digest.hexdigest()}
        if rates
        else None,
    }


def read_conditions(folder: Path) -> dict[str, Any] | None:
    """The conditions of a run, their SHA-256 checked; None of a run of a version that wrote none.

    Raises:
        DataError: The file is damaged, or of a version that this one does not know.
    """
    path = folder / CONDITIONS
    if not path.is_file():
        return None
    values = read_json(path)
    check_seal(path, values)
    if values.get("format") != FORMAT:
        raise DataError(
            path,
            found=f"format {values.get('format')!r}",
            expected=f"format {FORMAT}",
            mend="read it with the version that wrote it",
        )
    del values["sha256"]
    return dict(values)
