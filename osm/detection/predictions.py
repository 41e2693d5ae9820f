"""``predictions.json``: what a cell's detector found, with the truth beside it, per tile and per scene.

The file is all that the evaluator and the report need, so detections of somebody else's detector can be compared by
writing this one file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.detection.results import ImageResult
from osm.errors import DataError
from osm.files import read_json, write_text

FORMAT = 1

Floats32 = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ScenePrediction:
    """Truth and merged detections of one whole scene, in its pixels.

    Attributes:
        scene_id: Unique in the file.
        image_path: Where the image was; the report reads it from there if it still is.
        width_px: Width of the scene.
        height_px: Height of the scene.
        radiometry: Spelling of the ``Radiometry`` that made the 8-bit image the detector saw.
        truth: (M, 4) float32 xyxy.
        ignore: (M,) bool.
        boxes: (N, 4) float32 xyxy.
        scores: (N,) float32.
    """

    scene_id: str
    image_path: str
    width_px: int
    height_px: int
    radiometry: str
    truth: Floats32
    ignore: Bools
    boxes: Floats32
    scores: Floats32

    def __post_init__(self) -> None:
        _normalise(self, self.scene_id)


@dataclass(frozen=True, eq=False)
class TilePrediction:
    """Truth and detections of one tile, in pixels of the tile.

    Attributes:
        scene_id: The scene that the tile is of.
        window: xyxy in pixels of the scene.
        truth: (M, 4) float32 xyxy.
        ignore: (M,) bool.
        boxes: (N, 4) float32 xyxy.
        scores: (N,) float32.
    """

    scene_id: str
    window: tuple[int, int, int, int]
    truth: Floats32
    ignore: Bools
    boxes: Floats32
    scores: Floats32

    def __post_init__(self) -> None:
        _normalise(self, self.image_id)

    @property
    def image_id(self) -> str:
        """The scene and the window: unique where no window is there twice."""
        return f"{self.scene_id}@{','.join(str(edge) for edge in self.window)}"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Everything one cell's detector found in the test scenes."""

    scenes: tuple[ScenePrediction, ...]
    tiles: tuple[TilePrediction, ...]

    def scene_results(self) -> list[ImageResult]:
        """One result a scene."""
        return [ImageResult(s.scene_id, s.truth, s.ignore, s.boxes, s.scores) for s in self.scenes]

    def tile_results(self) -> list[ImageResult]:
        """One result a tile."""
        return [ImageResult(t.image_id, t.truth, t.ignore, t.boxes, t.scores) for t in self.tiles]

    def write(self, path: str | Path) -> None:
        """Write the file atomically, one line a scene and a tile.

        Numbers are the shortest that read back as the same float32.
        """
        scenes = [
            {
                "scene_id": scene.scene_id,
                "image_path": scene.image_path,
                "width_px": scene.width_px,
                "height_px": scene.height_px,
                "radiometry": scene.radiometry,
            }
            | _columns(scene)
            for scene in self.scenes
        ]
        tiles = [{"scene_id": tile.scene_id, "window": list(tile.window)} | _columns(tile) for tile in self.tiles]
        write_text(path, f'{{"format": {FORMAT},\n"scenes": {_lines(scenes)},\n"tiles": {_lines(tiles)}}}\n')


def read_predictions(path: str | Path) -> Predictions:
    """Read what ``Predictions.write`` wrote, or what somebody else wrote in this form.

    Raises:
        DataError: The file is missing, is no JSON, has another format, lacks something, has boxes and scores of
            different number, a number that is not finite, or one image twice.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = f"format {content.get('format')!r}" if isinstance(content, dict) else type(content).__name__
        raise _broken(path, found, f"predictions of format {FORMAT}")
    where = "scenes"
    try:
        scenes, tiles = [], []
        for index, entry in enumerate(content["scenes"]):
            where = f"scenes[{index}]"
            scenes.append(_scene(entry))
        where = "tiles"
        for index, entry in enumerate(content["tiles"]):
            where = f"tiles[{index}]"
            tiles.append(_tile(entry))
    except KeyError as error:
        raise _broken(path, f"no {error} in {where}", "every field of the format") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise _broken(path, f"{error} in {where}", "finite numbers, as many scores as boxes") from error
    for name, ids in (("scene", [s.scene_id for s in scenes]), ("tile", [t.image_id for t in tiles])):
        twice = sorted({one for one in ids if ids.count(one) > 1}) if len(set(ids)) < len(ids) else []
        if twice:
            raise _broken(path, f"{name} {twice[0]} twice", f"every {name} once")
    return Predictions(tuple(scenes), tuple(tiles))


def _scene(entry: Mapping[str, Any]) -> ScenePrediction:
    return ScenePrediction(
        scene_id=_text(entry, "scene_id"),
        image_path=_text(entry, "image_path"),
        width_px=_positive(entry, "width_px"),
        height_px=_positive(entry, "height_px"),
        radiometry=_text(entry, "radiometry"),
        **_arrays(entry),
    )


def _tile(entry: Mapping[str, Any]) -> TilePrediction:
    x1, y1, x2, y2 = (int(edge) for edge in entry["window"])
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f"an empty window {[x1, y1, x2, y2]}")
    return TilePrediction(_text(entry, "scene_id"), (x1, y1, x2, y2), **_arrays(entry))


def _arrays(entry: Mapping[str, Any]) -> dict[str, Any]:
    ignore = entry["ignore"]
    # bool("false") is True: only JSON's own true and false are taken
    if not isinstance(ignore, list) or not all(isinstance(flag, bool) for flag in ignore):
        raise ValueError("ignore that is not a list of true and false")
    boxes = {name: np.asarray(entry[name], dtype=np.float64) for name in ("truth", "boxes", "scores")}
    return boxes | {"ignore": np.asarray(ignore, dtype=bool)}


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} {value!r}")
    return value


def _positive(entry: Mapping[str, Any], name: str) -> int:
    value = entry[name]
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"{name} {value!r}")
    return value


def _normalise(prediction: ScenePrediction | TilePrediction, name: str) -> None:
    """Make every array of the type and shape that the file keeps, so that a round trip changes nothing.

    Raises:
        ValueError: Numbers of boxes differ, or something is not finite.
    """
    for field in ("truth", "boxes", "scores"):
        value = np.asarray(getattr(prediction, field), dtype=np.float64)
        # also what float32 would turn into infinity
        if not (np.abs(value) <= np.finfo(np.float32).max).all():
            raise ValueError(f"{name}: a number in {field} that is not finite")
        if field != "scores" and value.size == 0:
            value = value.reshape(0, 4)
        if value.shape != ((len(value),) if field == "scores" else (len(value), 4)):
            raise ValueError(f"{name}: {field} of shape {value.shape}")
        object.__setattr__(prediction, field, value.astype(np.float32))
    object.__setattr__(prediction, "ignore", np.asarray(prediction.ignore, dtype=bool).reshape(-1))
    if len(prediction.truth) != len(prediction.ignore):
        raise ValueError(f"{name}: {len(prediction.truth)} truth boxes, {len(prediction.ignore)} ignore flags")
    if len(prediction.boxes) != len(prediction.scores):
        raise ValueError(f"{name}: {len(prediction.boxes)} boxes, {len(prediction.scores)} scores")


def _columns(prediction: ScenePrediction | TilePrediction) -> dict[str, Any]:
    return {
        "truth": [_shortest(box) for box in prediction.truth],
        "ignore": prediction.ignore.tolist(),
        "boxes": [_shortest(box) for box in prediction.boxes],
        "scores": _shortest(prediction.scores),
    }


def _shortest(values: Floats32) -> list[float]:
    return [float(str(value)) for value in values]


def _lines(entries: list[dict[str, Any]]) -> str:
    if not entries:
        return "[]"
    return "[\n" + ",\n".join(json.dumps(entry, allow_nan=False) for entry in entries) + "\n]"


def _broken(path: str | Path, found: str, expected: str) -> DataError:
    return DataError(path, found=found, expected=expected, mend="write the predictions again (run the cell again)")
