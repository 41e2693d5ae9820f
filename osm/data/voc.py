"""Pascal VOC labels: one XML a scene.

VOC's own tools count pixels from 1 and include the last one; AIR-SARShip-1.0 and SSDD were drawn with other
tools and are read by everybody as they stand. So is it here: a coordinate as written is the continuous edge of
the box (``osm.data.boxes``), no one is added or taken away. At an IoU of 0.5 the difference is one pixel at most.
``difficult`` = 1 marks a box to ignore.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from osm.data.boxes import are_coordinates, as_boxes
from osm.data.scene import Label
from osm.errors import DataError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def parse_voc(path: Path) -> Label:
    """Read one VOC file.

    Raises:
        DataError: The file is missing, no XML, hostile (entities), or holds no or unreadable boxes.
    """
    root = parse_xml(path)
    objects = root.findall("object")
    if not objects:
        raise DataError(
            path,
            found="an XML without boxes (no <object>)",
            expected="at least one <object> with a <bndbox>",
            mend="write the label again, or move this scene out of the data set",
        )
    boxes = [_corners(path, number, element) for number, element in enumerate(objects, start=1)]
    ignore = [(element.findtext("difficult") or "0").strip() == "1" for element in objects]
    return Label(
        path, as_boxes(boxes), np.asarray(ignore, dtype=bool), _size(path, root, "width"), _size(path, root, "height")
    )


def parse_xml(path: Path, expected: str = "a VOC label (XML)") -> Element:
    """The root of an XML file; ``expected`` is what the error names.

    Raises:
        DataError: The file is missing, no XML, or declares entities.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, parse

    try:
        root = parse(path).getroot()
    except FileNotFoundError as error:
        raise DataError(path, found="no such file", expected=expected, mend="check the path") from error
    except DefusedXmlException as error:
        raise DataError(
            path,
            found=f"XML with entity declarations ({type(error).__name__})",
            expected=f"{expected} without entities",
            mend="get the label from its authors again; this one is refused",
        ) from error
    except (ParseError, ValueError, LookupError, OSError) as error:
        raise DataError(path, found=f"broken XML ({error})", expected=expected, mend="write the label again") from error
    if root is None:
        raise DataError(path, found="an empty XML", expected=expected, mend="write the label again")
    return root  # type: ignore[no-any-return]


def _corners(path: Path, number: int, element: Element) -> list[float]:
    texts = [element.findtext(f"bndbox/{name}") for name in _CORNERS]
    try:
        values = [float(text or "") for text in texts]
        if not are_coordinates(values):
            raise ValueError("not finite")
    except ValueError as error:
        shown = ", ".join(f"{name}={text!r}" for name, text in zip(_CORNERS, texts, strict=True))
        raise DataError(
            path,
            found=f"object {number} with {shown}",
            expected="four numbers in <bndbox>",
            mend="correct this box",
        ) from error
    return values


def _size(path: Path, root: Element, name: str) -> int | None:
    """The stated size; None where the label states none (or 0, as some drawing tools do)."""
    text = (root.findtext(f"size/{name}") or "0").strip()
    try:
        return int(float(text)) or None
    except (ValueError, OverflowError) as error:
        raise DataError(
            path, found=f"<{name}> {text!r}", expected="a number of pixels", mend="correct <size> in the XML"
        ) from error
