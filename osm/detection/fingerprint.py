"""Fingerprints: by them a finished run is known again, and never mistaken for one of other settings or data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from osm.data.scene import Scene
from osm.detection.arms import Init
from osm.detection.recipe import Recipe
from osm.files import sha256_file


def digest_run(recipe: Recipe, init: Init, *, kind: str, seed: int, min_coverage: float) -> str:
    """SHA-256 of everything that decides a result but the data: settings, the bytes of the weights, the seed.

    Args:
        recipe: The recipe.
        init: How the backbone starts; of a file, its content counts and not its path.
        kind: ``scratch``, ``imagenet`` or ``osm``.
        seed: Seed of the run.
        min_coverage: Least fraction of the backbone's tensors that the weights must fill.
    """
    decides = {
        "recipe": recipe.settings(),
        "kind": kind,
        "weights": sha256_file(init.path) if init.path else None,
        "min_coverage": min_coverage,
        "seed": seed,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()


def digest_scenes(scenes: Iterable[Scene]) -> str:
    """SHA-256 of the labels and of the files of the images, in the order given."""
    digest = hashlib.sha256()
    for scene in scenes:
        found = scene.image_path.stat()
        content = _content(scene.image_path, found.st_size, found.st_mtime_ns)
        digest.update(f"{scene.scene_id} {scene.width_px} {scene.height_px} {content} ".encode())
        digest.update(scene.boxes.tobytes() + scene.ignore.tobytes())
    return digest.hexdigest()


@cache
def _content(path: Path, size: int, changed_ns: int) -> str:
    """SHA-256 of a file as it is now; a file is read once, since a comparison asks for every fraction again."""
    return sha256_file(path)
