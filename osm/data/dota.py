"""DOTA: optical aerial images with slanted boxes, of which the ships are read.

Source: Xia et al., "DOTA: A Large-scale Dataset for Object Detection in Aerial Images", CVPR 2018. Layout: folders
``train`` and ``val``, each with ``images/<name>.png`` and ``labelTxt/<name>.txt`` (also ``labelTxt-v1.0`` and others,
also one deeper), or ``images`` and ``labelTxt`` alone. A label begins with ``imagesource:`` and ``gsd:`` (metres a
pixel, or null), then has a line an object: four corners, category, and 1 or 2 where it is difficult. A category that
DOTA does not have is a fault of the file, since a misspelt ship would be missed without a word.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from osm.data.boxes import are_coordinates, as_boxes
from osm.data.images import IMAGE_SUFFIXES
from osm.data.scene import (
    Label,
    Report,
    SceneFiles,
    by_stem,
    listed_split,
    listed_splits,
    missing_partner,
    natural_key,
    nothing_there,
)
from osm.errors import ConfigError, DataError

KIND = "dota"
SHIP = "ship"
_LAYOUT = "images/<name>.png and labelTxt/<name>.txt, in this folder or in train/ and val/"
_LABELS = re.compile(r"labelTxt(-v\d+(\.\d+)?)?")
_HEADER = re.compile(r"(imagesource|gsd|acquisition dates?)\s*:\s*(.*)", re.IGNORECASE)
#: Categories of DOTA v1.0, v1.5 and v2.0.
CATEGORIES = (
    *("plane", "ship", "storage-tank", "baseball-diamond", "tennis-court", "basketball-court", "ground-track-field"),
    *("harbor", "bridge", "large-vehicle", "small-vehicle", "helicopter", "roundabout", "soccer-ball-field"),
    *("swimming-pool", "container-crane", "airport", "helipad"),
)
_MAX_BYTES = 64 * 2**20  # a label of DOTA has some 100 kB


def find_dota(root: Path, split: str | None, test_ids: Sequence[str] | None, report: Report) -> list[SceneFiles]:
    """Find the images of one part or of all; see ``osm.data.scenes.read_scenes``.

    Scene ids are the names without suffix. An image without ships is a scene without boxes.
    """
    parts = _parts(root)
    if not parts:
        raise nothing_there(root, KIND, _LAYOUT)
    if split in parts and test_ids is None:
        chosen = {split: parts[split]}
    elif split is None or test_ids is not None or "" in parts:
        chosen = parts
    else:
        raise ConfigError(
            f"split {split!r} of {root}",
            found="no such folder with images and labels",
            expected=" or ".join(parts),
            mend="set data.train_split and data.test_split to these",
        )
    found: dict[str, SceneFiles] = {}
    for folder in chosen.values():
        for files in _find(folder, report):
            if files.scene_id in found:
                report(
                    DataError(
                        files.image_path,
                        found=f"scene {files.scene_id} a second time, beside {found[files.scene_id].image_path}",
                        expected="each scene once",
                        mend="remove one of the two copies",
                    )
                )
            else:
                found[files.scene_id] = files
    if split is None or (split in parts and test_ids is None):
        return list(found.values())
    names = sorted(found, key=natural_key)
    return [found[name] for name in listed_split(root, names, split, test_ids, f"{KIND} without train/ and val/")]


def splits(root: Path) -> list[str]:
    """Names of the folders, or of the lists beside the only one."""
    parts = _parts(root)
    return listed_splits(root) if "" in parts else list(parts)


def _parts(root: Path) -> dict[str, Path]:
    """Folders with images and labels by the name of the part; the name is empty where the root is one itself."""
    if (root / "images").is_dir():
        return {"": root} if _label_folders(root) else {}
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir())
    return {entry.name: entry for entry in folders if (entry / "images").is_dir() and _label_folders(entry)}


def _label_folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and _LABELS.fullmatch(entry.name))


def _find(folder: Path, report: Report) -> Iterator[SceneFiles]:
    labels_in = _label_folders(folder)
    if len(labels_in) > 1:
        # versions differ in their boxes: which one counts must not hang on the alphabet
        raise DataError(
            folder,
            found=f"{len(labels_in)} versions of the labels: {', '.join(entry.name for entry in labels_in)}",
            expected="one",
            mend="move the others out of this folder",
        )
    images = by_stem((p for p in (folder / "images").rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES), report)
    labels = by_stem(labels_in[0].rglob("*.txt"), report)
    for name in sorted(images.keys() | labels.keys(), key=natural_key):
        if name in images and name in labels:
            yield SceneFiles(name, images[name], labels[name], parse_label_txt, optical=True)
        else:
            report(missing_partner(images.get(name), labels.get(name), name, folder, _LAYOUT))


def parse_label_txt(path: Path) -> Label:
    """Read the ships of a label as the upright boxes around their corners, to be cut to the image.

    Raises:
        DataError: The file cannot be read, or a line is neither a header nor an object.
    """
    corners, difficult, pixel_m, objects = [], [], None, 0
    for number, line in enumerate(_lines(path), start=1):
        header = _HEADER.fullmatch(line)
        if header is not None:
            if objects:
                raise DataError(
                    path,
                    found=f"line {number}: {_shown(line)} after {objects} objects",
                    expected="one head, before the first object",
                    mend="two labels may have been joined: get the label again",
                )
            if header[1].lower() == "gsd":
                pixel_m = _pixel_m(path, number, header[2])
            continue
        words = line.split()
        if not words:
            continue
        points, flag = _object(path, number, words)
        objects += 1
        if words[8].lower() == SHIP:
            corners.append(points)
            difficult.append(flag)
    quads = np.asarray(corners, dtype=np.float32).reshape(-1, 4, 2)
    boxes = np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)
    return Label(path, as_boxes(boxes), np.asarray(difficult, dtype=bool), clip=True, pixel_m=pixel_m)


def _lines(path: Path) -> list[str]:
    expected = "a label of DOTA (text)"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(path, found="more than 64 MiB", expected=expected, mend="get the label again")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(path, found="no text in UTF-8", expected=expected, mend="get the label again") from error
    except OSError as error:
        raise DataError(
            path, found=f"an unreadable file ({error.strerror})", expected=expected, mend="get the label again"
        ) from error
    return [line.strip() for line in text.splitlines()]


def _object(path: Path, number: int, words: list[str]) -> tuple[list[float], bool]:
    try:
        points = [float(word) for word in words[:8]]
        if len(words) not in (9, 10) or not are_coordinates(points):
            raise ValueError("no object")
        difficult = int(words[9]) if len(words) == 10 else 0
        if difficult not in (0, 1, 2):
            raise ValueError("no such difficulty")
    except ValueError as error:
        raise DataError(
            path,
            found=f"line {number}: {_shown(' '.join(words))}",
            expected="x1 y1 x2 y2 x3 y3 x4 y4 category difficult",
            mend="correct this line",
        ) from error
    if words[8].lower() not in CATEGORIES:
        near = difflib.get_close_matches(words[8].lower(), CATEGORIES, n=1)
        raise DataError(
            path,
            found=f"line {number}: a category {_shown(words[8])!r}",
            expected=f"one of DOTA's {len(CATEGORIES)}",
            mend=f"write {near[0]!r} if that is meant" if near else "correct or remove this line",
        )
    return points, difficult > 0


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"


def _pixel_m(path: Path, number: int, text: str) -> float | None:
    if text.strip().lower() in ("", "null", "none", "nan"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise DataError(
            path, found=f"line {number}: gsd {text!r}", expected="metres a pixel, or null", mend="correct this line"
        )
    return value
