"""Curves for plotly.js, which the page carries compressed; where it cannot run, the drawn figures stay."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from osm.compare.report.figures import DASHES, LIGHT, Line

#: Pixels a line is wide: the unit of its dashes.
_WIDTH_PX = 2.4


@dataclass(frozen=True)
class Plot:
    """What the page draws with plotly.js, as JSON values."""

    values: dict[str, Any]


def unit_plot(lines: Sequence[Line], names: Sequence[str], x: str, y: str) -> Plot:
    """Lines over one even grid of [0, 1].

    Args:
        lines: All at the same places.
        names: Label of each line's arm.
        x: Name of the axis.
        y: Name of the axis.
    """
    grid = lines[0].x
    return Plot({
        "x": x,
        "y": y,
        "x0": float(grid[0]),
        "dx": round(float(grid[1] - grid[0]), 6),
        "lines": [
            {
                "name": _plain(name),
                "arm": line.arm,
                "colour": line.arm % len(LIGHT),
                "dash": ",".join(f"{_WIDTH_PX * part:g}px" for part in DASHES[line.arm % len(DASHES)]) or "solid",
                "thin": line.thin,
                "y": [round(float(value), 3 if line.thin else 4) for value in line.y],
            }
            for line, name in zip(lines, names, strict=True)
        ],
    })  # fmt: skip


def library() -> str:
    """plotly.js as the installed package has it, as base64 of gzip: 4.8 MB become 2."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode("ascii")


def _plain(text: str) -> str:
    """Text in which plotly.js finds no markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
