"""Labels of the older AIR-SARShip-1.0 copies: ``.mbrect``, one quadrangle a line.

No description of the format is published; what is relied on is that a line holds eight coordinates in a row,
x1 y1 to x4 y4, with anything that is no number before and after them. A line of any other count is refused
instead of guessed at.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from osm.data.boxes import are_coordinates, as_boxes
from osm.data.scene import Label
from osm.errors import DataError

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_BETWEEN = re.compile(r"[\s,;()\[\]]+")


def parse_mbrect(path: Path) -> Label:
    """Read quadrangles as the upright boxes around them, to be cut to the image.

    Raises:
        DataError: The file is unreadable, holds no quadrangle, or a line with other numbers than one.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(
            path, found=f"an unreadable file ({error.strerror})", expected="a label", mend="write the label again"
        ) from error
    quads = []
    for number, line in enumerate(lines, start=1):
        runs = _runs(line)
        if not runs:
            continue
        whole = [run for run in runs if len(run) == 8]
        if len(whole) != 1:
            raise DataError(
                path,
                found=f"line {number} with {' + '.join(str(len(run)) for run in runs)} numbers",
                expected="eight coordinates in a row, x1 y1 to x4 y4",
                mend="correct this line",
            )
        if not are_coordinates(whole[0]):
            raise DataError(
                path,
                found=f"line {number} with a number that is too large",
                expected="eight coordinates in pixels",
                mend="correct this line",
            )
        quads.append(whole[0])
    if not quads:
        raise DataError(
            path,
            found="a label without boxes",
            expected="at least one quadrangle",
            mend="write the label again, or move this scene out of the data set",
        )
    corners = np.asarray(quads, dtype=np.float32).reshape(-1, 4, 2)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return Label(path, as_boxes(boxes), np.zeros(len(boxes), dtype=bool), clip=True)


def _runs(line: str) -> list[list[float]]:
    """Numbers of a line in unbroken runs: ``ship 1 2 x 3`` gives [[1, 2], [3]]."""
    runs: list[list[float]] = []
    inside = False
    for token in _BETWEEN.split(line):
        if _NUMBER.fullmatch(token):
            if not inside:
                runs.append([])
            runs[-1].append(float(token))
        inside = bool(_NUMBER.fullmatch(token)) or (inside and not token)
    return runs
