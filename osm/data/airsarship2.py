"""AIR-SARShip-2.0: 300 images of Gaofen-3, 1000x1000 pixels, 16 bits.

Layout: ``AIR-SARShip-2.0-data/<n>.tiff`` and ``AIR-SARShip-2.0-xml/<n>.xml``. The labels are XML, but not VOC: an
object lists the corners of its box, ``objects/object/points/point``, each a text "x, y"; the class stands in
``possibleresult/name``. There is no official split (see ``osm.data.scene.listed_split``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from osm.data.boxes import are_coordinates, as_boxes
from osm.data.scene import (
    Label,
    Report,
    SceneFiles,
    by_stem,
    listed_split,
    missing_partner,
    natural_key,
    nothing_there,
)
from osm.data.voc import parse_xml
from osm.errors import DataError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

KIND = "air-sarship-2.0"
_LAYOUT = "AIR-SARShip-2.0-data/<n>.tiff and AIR-SARShip-2.0-xml/<n>.xml, in this folder or below it"
_IMAGE = re.compile(r"\d+\.tiff?", re.IGNORECASE)
_LABEL = re.compile(r"\d+\.xml", re.IGNORECASE)


def find_airsarship2(root: Path, split: str | None, test_ids: Sequence[str] | None, report: Report) -> list[SceneFiles]:
    """Find the scenes, in whatever folders they lie; see ``osm.data.scenes.read_scenes``.

    Scene ids are the names without suffix.
    """
    files = [path for path in root.rglob("*") if path.is_file()]
    images = by_stem((path for path in files if _IMAGE.fullmatch(path.name)), report)
    labels = by_stem((path for path in files if _LABEL.fullmatch(path.name)), report)
    if not images and not labels:
        raise nothing_there(root, KIND, _LAYOUT)
    names = sorted(images.keys() | labels.keys(), key=natural_key)
    scenes = []
    for name in names if split is None else listed_split(root, names, split, test_ids, KIND):
        if name in images and name in labels:
            scenes.append(SceneFiles(name, images[name], labels[name], parse_points))
        else:
            report(missing_partner(images.get(name), labels.get(name), name, root, _LAYOUT))
    return scenes


def parse_points(path: Path) -> Label:
    """Read one label: the upright box around the corners of each object.

    Raises:
        DataError: The file is missing, no XML, hostile (entities), or holds no or unreadable objects.
    """
    root = parse_xml(path, "a label of AIR-SARShip-2.0 (XML)")
    objects = root.findall("objects/object")
    if not objects:
        raise DataError(
            path,
            found="a VOC label" if root.find("object") is not None else "an XML without boxes (no <objects>/<object>)",
            expected="at least one <object> in <objects>, with its <points>",
            mend="use the kind ssdd or air-sarship-1.0 for VOC labels, or write the label again",
        )
    boxes = [_box(path, number, element) for number, element in enumerate(objects, start=1)]
    return Label(path, as_boxes(boxes), np.zeros(len(boxes), dtype=bool), slack_px=1.0)


def _box(path: Path, number: int, element: Element) -> list[float]:
    texts = [(point.text or "").strip() for point in element.findall("points/point")]
    try:
        corners = np.array([[float(part) for part in text.split(",")] for text in texts])
        if corners.ndim != 2 or corners.shape[0] < 2 or corners.shape[1] != 2 or not are_coordinates(corners):
            raise ValueError("no corners")
    except ValueError as error:
        raise DataError(
            path,
            found=f"object {number} with the points {'; '.join(texts[:5]) or 'none'}",
            expected='at least two corners in <points>, each a <point> "x, y"',
            mend="correct this object",
        ) from error
    return [*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()]
