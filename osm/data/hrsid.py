"""HRSID: 5,604 images of 800x800 pixels with labels in COCO's JSON.

Source: Wei et al., "HRSID: A High-Resolution SAR Images Dataset for Ship Detection and Instance Segmentation", IEEE
Access 8, 2020. Layout: ``JPEGImages/`` and ``annotations/{train2017,test2017}.json``, also below ``HRSID_JPG/``. Any
other file in ``annotations`` is a list too, by its name. Boxes are taken as COCO writes them (x, y, width, height, in
continuous pixels); outlines are not read. ``iscrowd`` = 1 marks a box to ignore.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from osm.data.coco import CocoImage, read_coco
from osm.data.images import IMAGE_SUFFIXES
from osm.data.scene import (
    Label,
    Report,
    SceneFiles,
    check_test_ids,
    choose_split,
    missing_partner,
    natural_key,
    nothing_there,
)
from osm.errors import ConfigError, DataError

KIND = "hrsid"
PARTS = ("train", "test")
_BASES = (".", "HRSID_JPG", "HRSID_png", "HRSID")
_LAYOUT = "JPEGImages/ and annotations/{train2017,test2017}.json, in this folder or below HRSID_JPG/"


def find_hrsid(root: Path, split: str | None, test_ids: Sequence[str] | None, report: Report) -> list[SceneFiles]:
    """Find the scenes of one list, or of both parts; see ``osm.data.scenes.read_scenes``.

    Scene ids are the names of the images without suffix.
    """
    base = base_folder(root)
    if base is None:
        raise nothing_there(root, KIND, _LAYOUT)
    lists = find_lists(base)
    if not lists:
        raise DataError(
            base / "annotations", found="no JSON", expected="train2017.json and test2017.json", mend="unpack it again"
        )
    whole = [lists[name] for name in PARTS if name in lists] or list(lists.values())
    if split is None or test_ids is not None:
        listed = _merge(whole, report)
        if split is None:
            _report_unlisted(base, listed, report)
        elif split not in PARTS:
            raise _no_split(base, split, list(PARTS))
        else:
            ids = sorted((Path(name).stem for name in listed), key=natural_key)
            check_test_ids(base, ids, test_ids or ())
            chosen = set(choose_split(ids, split, test_ids or ()))
            listed = {name: entry for name, entry in listed.items() if Path(name).stem in chosen}
    elif split in lists:
        listed = _merge([lists[split]], report)
    else:
        raise _no_split(base, split, sorted(lists))
    scenes = []
    for name, (label_path, entry) in listed.items():
        image = base / "JPEGImages" / name
        if image.is_file():
            scenes.append(SceneFiles(image.stem, image, label_path, partial(_label, entry=entry)))
        else:
            report(missing_partner(None, image, image.stem, base, f"the image that {label_path.name} lists"))
    return scenes


def splits(root: Path) -> list[str]:
    """Names of the lists."""
    base = base_folder(root)
    return [] if base is None else list(find_lists(base))


def base_folder(root: Path) -> Path | None:
    """The folder that holds images and lists."""
    for name in _BASES:
        if (root / name / "JPEGImages").is_dir() and (root / name / "annotations").is_dir():
            return root / name if name != "." else root
    return None


def find_lists(base: Path) -> dict[str, Path]:
    """The files of ``annotations`` by the names of their lists, COCO's year left out: ``train`` for train2017.json."""
    found: dict[str, Path] = {}
    for path in sorted((base / "annotations").glob("*.json")):
        found.setdefault(re.sub(r"_?20\d\d$", "", path.stem).lower(), path)
    return found


def _label(path: Path, entry: CocoImage) -> Label:
    return Label(path, entry.boxes, entry.crowd, entry.width_px, entry.height_px, slack_px=1.0)


def _merge(paths: Sequence[Path], report: Report) -> dict[str, tuple[Path, CocoImage]]:
    listed: dict[str, tuple[Path, CocoImage]] = {}
    for path in paths:
        for entry in read_coco(path, report):
            other = listed.get(entry.file_name)
            if other is None:
                listed[entry.file_name] = (path, entry)
            else:
                report(
                    DataError(
                        path,
                        found=f"{entry.file_name}, which {other[0].name} lists too",
                        expected="each image in one part",
                        mend="correct the lists: the same image would train and judge",
                    )
                )
    return listed


def _report_unlisted(base: Path, listed: dict[str, tuple[Path, CocoImage]], report: Report) -> None:
    there = {path.name for path in (base / "JPEGImages").iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}
    for name in sorted(there - listed.keys(), key=natural_key):
        report(
            DataError(
                base / "JPEGImages" / name,
                found="an image that no list names",
                expected="each image in train2017.json or test2017.json",
                mend="add it to a list, or remove it",
            )
        )


def _no_split(base: Path, split: str, known: list[str]) -> ConfigError:
    return ConfigError(
        f"split {split!r} of {base}",
        found="no such list",
        expected=" or ".join(known),
        mend=f"or write {base / 'annotations' / split}.json",
    )
