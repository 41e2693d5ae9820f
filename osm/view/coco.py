"""COCO JSON as ``osm detect`` writes it, or as truth: images with the boxes in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from osm.data.boxes import are_coordinates
from osm.detection.predictions import ScenePrediction
from osm.errors import DataError
from osm.files import read_json

SUFFIX = ".coco.json"
_MEND = "write the file again, or leave it out"


def is_coco(content: Any) -> bool:
    """Whether a JSON value has the lists of COCO."""
    return isinstance(content, dict) and all(isinstance(content.get(key), list) for key in ("images", "annotations"))


def read_coco(path: Path) -> list[ScenePrediction]:
    """The images of a file; annotations with a score are detections, those without are truth.

    A scene's id is the name of its image without folder and suffix, or with its folder where several have that name;
    of ``ID.coco.json`` with one image, that ID.

    Raises:
        DataError: The file is missing, no COCO, or an entry of it is broken or there twice.
    """
    return parse_coco(path, read_json(path))


def parse_coco(path: Path, content: Any) -> list[ScenePrediction]:
    """``read_coco`` of a file's content."""
    if not is_coco(content):
        raise DataError(path, found="no lists images and annotations", expected="COCO's JSON", mend=_MEND)
    info = content.get("info")
    radiometry = info.get("radiometry", "") if isinstance(info, dict) else ""
    place = "images"
    try:
        images: dict[Any, dict[str, Any]] = {}
        for index, entry in enumerate(content["images"]):
            place = f"images[{index}]"
            if entry["id"] in images:
                raise ValueError(f"id {entry['id']!r} a second time")
            images[entry["id"]] = entry
        found: dict[Any, list[dict[str, Any]]] = {number: [] for number in images}
        for index, entry in enumerate(content["annotations"]):
            place = f"annotations[{index}]"
            found[entry["image_id"]].append(_checked(entry))
        scenes = []
        for index, (number, entry) in enumerate(images.items()):
            place = f"images[{index}]"
            scenes.append(_scene(entry, found[number], str(entry.get("radiometry", radiometry))))
    except KeyError as error:
        raise DataError(
            path, found=f"{place} without {error}", expected="every entry of COCO's format", mend=_MEND
        ) from error
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DataError(
            path, found=f"{place} with {str(error)[:120]}", expected="numbers and texts as in COCO's format", mend=_MEND
        ) from error
    if len(scenes) == 1 and path.name.endswith(SUFFIX):
        return [replace(scenes[0], scene_id=path.name.removesuffix(SUFFIX))]
    count = Counter(scene.scene_id for scene in scenes)
    named = [replace(one, scene_id=one.image_path) if count[one.scene_id] > 1 else one for one in scenes]
    if len({scene.scene_id for scene in named}) < len(named):
        raise DataError(path, found="one file_name twice", expected="each image once", mend=_MEND)
    return named


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    numbers = [*entry["bbox"], *([entry["score"]] if "score" in entry else [])]
    if len(entry["bbox"]) != 4 or any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
        raise ValueError(f"bbox {entry['bbox']!r}")
    if not are_coordinates(numbers):
        raise ValueError("a number that is not finite, or no place in an image")
    return entry


def _scene(image: dict[str, Any], annotations: list[dict[str, Any]], radiometry: str) -> ScenePrediction:
    name = image["file_name"]
    if not isinstance(name, str) or not name or "\0" in name:
        raise ValueError(f"file_name {name!r}")
    name.encode()  # half of a surrogate pair is no text
    for key in ("width", "height"):
        if not isinstance(image[key], int) or not 0 < image[key] < 10**7:
            raise ValueError(f"{key} {image[key]!r}")
    truth = [entry for entry in annotations if "score" not in entry]
    detections = sorted((entry for entry in annotations if "score" in entry), key=lambda entry: -entry["score"])
    return ScenePrediction(
        scene_id=scene_name(name),
        image_path=name,
        width_px=image["width"],
        height_px=image["height"],
        radiometry=radiometry,
        truth=_corners(truth),
        ignore=np.array([bool(entry.get("iscrowd")) or bool(entry.get("ignore")) for entry in truth], dtype=bool),
        boxes=_corners(detections),
        scores=np.array([entry["score"] for entry in detections], dtype=np.float64),
    )


def scene_name(image_path: str) -> str:
    """The name of an image's file without folder and suffix, whichever system wrote the path."""
    name = PureWindowsPath(image_path).name if "\\" in image_path else PurePosixPath(image_path).name
    return PurePosixPath(name).stem or image_path


def _corners(entries: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    boxes = np.array([entry["bbox"] for entry in entries], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes
