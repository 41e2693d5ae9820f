"""COCO's JSON of boxes, checked entry by entry: what is wrong is named, and nothing of any size or type passes."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from osm.data.boxes import are_coordinates, as_boxes
from osm.data.images import IMAGE_SUFFIXES
from osm.data.scene import Report
from osm.errors import DataError

MAX_BYTES = 256 * 2**20
"""Largest file that is parsed: 256 MiB. HRSID's lists, outlines included, have some 10 MB; in memory a JSON takes about
ten times its size."""

_EXPECTED = "COCO's JSON: an object with the lists images and annotations"
_MEND = "get the file again, or write it anew"


@dataclass(frozen=True, eq=False)
class CocoImage:
    """An image of the list, with its boxes.

    Attributes:
        file_name: Name of the file, without folder.
        width_px: Width as stated.
        height_px: Height as stated.
        boxes: ``(N, 4)`` float32 x1 y1 x2 y2; without any for an image without ships.
        crowd: ``(N,)`` bool: ``iscrowd``.
    """

    file_name: str
    width_px: int
    height_px: int
    boxes: npt.NDArray[np.float32]
    crowd: npt.NDArray[np.bool_]


def read_coco(path: Path, report: Report) -> list[CocoImage]:
    """Read the images of a file and their boxes, whatever the category: the data sets read here know one class.

    Entries that cannot be used are reported and left out.

    Raises:
        DataError: The file is missing, too large, no JSON, or no COCO.
    """
    content = _read(path)
    images: dict[int, tuple[str, int, int]] = {}
    names: set[str] = set()
    for place, entry in _entries(path, content, "images", report):
        image = _image(path, place, entry, report)
        if image is None:
            continue
        number, (name, *_) = image
        if number in images or name in names:
            twice = f"id {number}" if number in images else repr(name)
            report(_wrong(path, place, f"{twice} a second time", "each image once"))
            continue
        images[number] = image[1]
        names.add(name)
    found: dict[int, list[tuple[list[float], bool]]] = {number: [] for number in images}
    seen: set[int] = set()
    for place, entry in _entries(path, content, "annotations", report):
        box = _annotation(path, place, entry, report)
        if box is None:
            continue
        image_id, corners, crowd = box
        own = entry.get("id")
        if _is_whole(own) and own in seen:
            report(_wrong(path, place, f"id {own} a second time", "each annotation once"))
        elif image_id not in found:
            report(_wrong(path, place, f"image_id {image_id}, which is no image's", "an id of images"))
        else:
            found[image_id].append((corners, crowd))
        if _is_whole(own):
            seen.add(own)
    return [
        CocoImage(
            *images[number],
            as_boxes([corners for corners, _ in own]),
            np.array([crowd for _, crowd in own], dtype=bool),
        )
        for number, own in found.items()
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(
                path,
                found=f"{size / 2**20:,.0f} MiB",
                expected=f"at most {MAX_BYTES / 2**20:.0f} MiB of JSON",
                mend="divide the list into parts",
            )
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(path, found="no such file", expected=_EXPECTED, mend="check the path") from error
    except OSError as error:
        raise DataError(path, found=f"an unreadable file ({error.strerror})", expected=_EXPECTED, mend=_MEND) from error
    except (ValueError, RecursionError) as error:
        # also numbers of thousands of digits, and lists within lists without end
        raise DataError(path, found=f"broken JSON ({str(error)[:120]})", expected=_EXPECTED, mend=_MEND) from error
    if not isinstance(content, dict):
        raise DataError(path, found=f"{_type(content)} at its top", expected=_EXPECTED, mend=_MEND)
    for key in ("images", "annotations"):
        if not isinstance(content.get(key), list):
            found = f"no {key}" if key not in content else f"{_type(content[key])} for {key}"
            raise DataError(path, found=found, expected=_EXPECTED, mend=_MEND)
    return content


def _entries(path: Path, content: dict[str, Any], key: str, report: Report) -> list[tuple[str, dict[str, Any]]]:
    entries = []
    for number, entry in enumerate(content[key]):
        if isinstance(entry, dict):
            entries.append((f"{key}[{number}]", entry))
        else:
            report(_wrong(path, f"{key}[{number}]", _type(entry), "an object"))
    return entries


def _image(path: Path, place: str, entry: dict[str, Any], report: Report) -> tuple[int, tuple[str, int, int]] | None:
    number, name = entry.get("id"), entry.get("file_name")
    width, height = entry.get("width"), entry.get("height")
    if not _is_whole(number):
        report(_wrong(path, place, f"id = {_shown(number)}", "a whole number"))
    # a name with a folder could point anywhere
    elif not isinstance(name, str) or Path(name).name != name or Path(name).suffix.lower() not in IMAGE_SUFFIXES:
        report(_wrong(path, place, f"file_name = {_shown(name)}", "the name of a PNG, JPEG or TIFF, without folder"))
    elif not (_is_whole(width) and _is_whole(height) and 0 < width < 10**6 and 0 < height < 10**6):
        found = f"width = {_shown(width)}, height = {_shown(height)}"
        report(_wrong(path, place, found, "whole numbers of pixels"))
    else:
        return number, (name, width, height)
    return None


def _annotation(path: Path, place: str, entry: dict[str, Any], report: Report) -> tuple[int, list[float], bool] | None:
    image_id, box, crowd = entry.get("image_id"), entry.get("bbox"), entry.get("iscrowd", 0)
    if not _is_whole(image_id):
        report(_wrong(path, place, f"image_id = {_shown(image_id)}", "a whole number"))
    elif not isinstance(box, list) or len(box) != 4 or not all(map(_is_finite, box)) or not are_coordinates(box):
        report(_wrong(path, place, f"bbox = {_shown(box)}", "four numbers: x, y, width, height"))
    elif crowd not in (0, 1):
        report(_wrong(path, place, f"iscrowd = {_shown(crowd)}", "0 or 1"))
    else:
        x, y, width, height = (float(value) for value in box)
        return image_id, [x, y, x + width, y + height], bool(crowd)
    return None


def _wrong(path: Path, place: str, found: str, expected: str) -> DataError:
    return DataError(path, found=f"{place} with {found}", expected=expected, mend="correct this entry or remove it")


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    # a whole number beyond the range of floats has no float
    return (_is_whole(value) and abs(value) < 2**53) or (isinstance(value, float) and math.isfinite(value))


def _type(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, (dict, list)) or len(value) < 8 else _type(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
