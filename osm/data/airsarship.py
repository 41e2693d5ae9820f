"""AIR-SARShip-1.0: 31 scenes of Gaofen-3, about 3000x3000 pixels, 16 bits.

Source: Sun et al., "AIR-SARShip-1.0: High-resolution SAR Ship Detection Dataset", Journal of Radars 8(6), 2019.
The copies in circulation differ in their folders (all images in one and all labels in another, or one folder a
scene) and in their labels (VOC XML beside TIFF, or ``.mbrect`` quadrangles beside PNG). The file names are the
same in all of them, so files are found by name wherever they lie below the root. Sizes come from the images.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from osm.data.mbrect import parse_mbrect
from osm.data.scene import Report, SceneFiles, check_test_ids, choose_split, missing_partner, natural_key
from osm.data.voc import parse_voc
from osm.errors import ConfigError, DataError

PAPER_TEST_IDS = ("5", "6", "8", "10", "12", "22", "24", "29", "30", "31")
"""Test scenes of Bao et al. (arXiv 2103.08251); the other 21 are for training."""

_IMAGE = re.compile(r"SARShip-1\.0-(\d+)\.(tiff|tif|png)", re.IGNORECASE)
_LABEL = re.compile(r"SARShip-1\.0-(\d+)(?:[-_]label)?\.(xml|mbrect)", re.IGNORECASE)
# where a scene comes in two forms the better one counts: 16 bits before a PNG, boxes before quadrangles
_RANK = {"tiff": 0, "tif": 0, "png": 1, "xml": 0, "mbrect": 1}
_LAYOUT = "SARShip-1.0-<n>.tiff (or .png) and SARShip-1.0-<n>-label.xml (or .mbrect), in this folder or below it"


def find_airsarship(root: Path, split: str | None, test_ids: Sequence[str] | None, report: Report) -> list[SceneFiles]:
    """Find the scenes in any of the folder forms; see ``osm.data.scenes.read_scenes``.

    Scene ids are the numbers as text.
    """
    images, labels = _find(root, _IMAGE, report), _find(root, _LABEL, report)
    if not images and not labels:
        empty = not any(root.iterdir())
        raise DataError(
            root,
            found="an empty folder" if empty else "no scene of AIR-SARShip-1.0",
            expected=_LAYOUT,
            mend="check the path, or unpack the data set again",
        )
    scenes = []
    for number in _select(root, sorted(images.keys() | labels.keys(), key=natural_key), split, test_ids):
        image, label = images.get(number), labels.get(number)
        if image is not None and label is not None:
            parse = parse_mbrect if label.suffix.lower() == ".mbrect" else parse_voc
            scenes.append(SceneFiles(number, image, label, parse))
            continue
        report(missing_partner(image, label, number, root, _LAYOUT))
    return scenes


def splits(root: Path) -> list[str]:
    """The parts of the paper, where the data set has all of its test scenes."""
    numbers = _find(root, _IMAGE, lambda problem: None)
    return ["train", "test"] if numbers.keys() >= set(PAPER_TEST_IDS) else []


def _find(root: Path, pattern: re.Pattern[str], report: Report) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        match = pattern.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        number = str(int(match[1]))
        other = found.get(number)
        ranks = [_RANK[entry.suffix.lower()[1:]] for entry in (path, other) if entry is not None]
        if other is not None and ranks[0] == ranks[1]:
            report(
                DataError(
                    path,
                    found=f"scene {number} a second time, beside {other}",
                    expected="each scene once",
                    mend="remove one of the two copies",
                )
            )
        elif other is None or ranks[0] < ranks[1]:
            found[number] = path
    return found


def _select(root: Path, numbers: list[str], split: str | None, test_ids: Sequence[str] | None) -> list[str]:
    if split is None:
        return numbers
    if split not in ("train", "test"):
        raise ConfigError(
            f"split {split!r}", found="no such part of air-sarship-1.0", expected="train or test", mend="correct it"
        )
    if test_ids is not None:
        check_test_ids(root, numbers, test_ids)
    wanted = PAPER_TEST_IDS if test_ids is None else test_ids
    chosen = choose_split(numbers, split, wanted)
    if not chosen:
        raise DataError(
            root,
            found=f"no scene in split {split!r} among {', '.join(numbers[:12])}",
            expected=f"at least one (test scenes: {', '.join(sorted(wanted, key=natural_key))})",
            mend="unpack the whole data set, or give test ids of your own",
        )
    return chosen
