"""What is kept of a finished scene, so that it is known again: its ships and all that decided them, sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from osm.data.ground import Points
from osm.detection.search.inputs import SceneFile
from osm.detection.search.order import Order, Outcome
from osm.detection.search.placed import Placed
from osm.detection.search.ships import Ships, ships_from_json
from osm.errors import DataError
from osm.files import check_seal, read_json

#: Suffix in an output folder, after the scene's name; written last.
RECORD = ".detect.json"


def read_done(folder: Path, scenes: Sequence[SceneFile]) -> list[tuple[Ships, Points | None]]:
    """The ships and outlines of scenes that are done, from their records; others are passed over."""
    found: list[tuple[Ships, Points | None]] = []
    for scene in scenes:
        record = read_record(folder, scene)
        if record is not None:
            rings = record["rings"]
            shaped = None if rings is None else np.asarray(rings, dtype=np.float64).reshape(-1, 4, 2)
            found.append((ships_from_json(record["ships"]), shaped))
    return found


def key_of(order: Order, scene: SceneFile) -> dict[str, Any]:
    """All that decides a scene's outputs, as JSON values."""
    key: dict[str, Any] = {
        "weights_sha256": order.weights_sha256,
        "search": asdict(order.search),
        "formats": sorted(order.formats),
        "position": order.position,
        "land_mask": None if order.land_mask is None else _state(order.land_mask),
        "scene": _state(scene.path),
    }
    del key["search"]["batch_size"]  # changes no result but for the last bits
    return key


def _state(path: Path) -> list[int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return [state.st_size, state.st_mtime_ns]


def record_of(key: dict[str, Any], placed: Placed, files: Sequence[Path]) -> dict[str, Any]:
    """The record of a scene whose files are written.

    Args:
        key: What ``key_of`` gave before the scene was read.
        placed: What was found in it.
        files: What was written.
    """
    return {
        "key": key,
        "ships": placed.ships.to_json(),
        "rings": None if placed.rings is None else placed.rings.tolist(),
        "tiles": placed.found.tiles,
        "empty": placed.found.empty,
        "notes": list(placed.notes),
        "files": {path.name: path.stat().st_size for path in files},
    }


def read_record(folder: Path, scene: SceneFile) -> dict[str, Any] | None:
    """What is left of a finished scene; None if it is not, or was damaged since."""
    path = folder / f"{scene.scene_id}{RECORD}"
    if not path.is_file():
        return None
    try:
        record: dict[str, Any] = read_json(path)
        check_seal(path, record)
    except DataError:
        return None
    return record


def files_there(folder: Path, record: dict[str, Any]) -> bool:
    """Whether the files of a record are there still, and none was cut short; earlier versions wrote no sizes."""
    sizes = record["files"]
    return isinstance(sizes, dict) and all(
        (folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items()
    )


def outcome_of(scene: SceneFile, record: dict[str, Any], state: str) -> Outcome:
    """What a record says became of its scene."""
    return Outcome(
        scene,
        state,
        ships=len(record["ships"]["scores"]),
        tiles=record["tiles"],
        empty=record["empty"],
        notes=tuple(record["notes"]),
    )
