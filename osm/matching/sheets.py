"""Contact sheets: patches side by side, with what the network said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from osm.matching.charts import FONT_PT, INK, MATCH, NONMATCH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Bytes = npt.NDArray[np.uint8]

_CELL_IN = 1.35


@dataclass(frozen=True, eq=False)
class PairRow:
    """A SAR and an optical patch, with words.

    Attributes:
        sar: (H, W) uint8.
        optical: (H, W, 3) uint8.
        title: First line beside them, in bold.
        lines: Lines below it.
        good: Colours the title: blue, vermillion where False, dark where nothing is known.
    """

    sar: Bytes
    optical: Bytes
    title: str
    lines: tuple[str, ...]
    good: bool | None = None


@dataclass(frozen=True, eq=False)
class QueryRow:
    """A query and what was found for it.

    Attributes:
        query: (H, W) or (H, W, 3) uint8.
        label: Below the query.
        found: Patches, nearest first.
        labels: Below each of them.
        true: Which of them is the partner; None if none is.
    """

    query: Bytes
    label: str
    found: tuple[Bytes, ...]
    labels: tuple[str, ...]
    true: int | None


def pair_sheet(rows: Sequence[PairRow], columns: int = 2) -> Figure:
    """SAR | optical | words, in ``columns`` columns, filled column by column."""
    from matplotlib.figure import Figure

    columns = min(columns, max(1, len(rows)))
    height = -(-len(rows) // columns)
    words_in = 1.9
    figure = Figure(figsize=(columns * (2 * _CELL_IN + words_in), max(1, height) * (_CELL_IN + 0.08)))
    # a column in units of a cell: SAR, optical, words
    widths = [_CELL_IN, _CELL_IN, words_in] * columns
    grid = figure.add_gridspec(
        max(1, height), 3 * columns, width_ratios=widths, left=0.005, right=0.995, top=0.995, bottom=0.005,
        wspace=0.04, hspace=0.06,
    )  # fmt: skip
    for number, row in enumerate(rows):
        column, line = divmod(number, height)
        for place, pixels in enumerate((row.sar, row.optical)):
            _picture(figure.add_subplot(grid[line, 3 * column + place]), pixels)
        words = figure.add_subplot(grid[line, 3 * column + 2])
        words.axis("off")
        colour = INK if row.good is None else MATCH if row.good else NONMATCH
        words.text(0.02, 0.9, row.title, color=colour, fontsize=FONT_PT, weight="bold", va="top", parse_math=False)
        below = 0.9 - 0.16 * (1 + row.title.count("\n"))
        words.text(0.02, below, "\n".join(row.lines), color=INK, fontsize=FONT_PT, va="top", parse_math=False)
    return figure


def query_sheet(rows: Sequence[QueryRow]) -> Figure:
    """Query | nearest | second …; the partner has a blue frame."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0.02, hspace=0.02)
    columns = 1 + max((len(row.found) for row in rows), default=0)
    figure = Figure(figsize=(columns * (_CELL_IN + 0.08), max(1, len(rows)) * (_CELL_IN + 0.42)), layout=layout)
    for line, row in enumerate(rows):
        for place, (pixels, label) in enumerate(zip((row.query, *row.found), (row.label, *row.labels), strict=True)):
            axes = figure.add_subplot(max(1, len(rows)), columns, line * columns + place + 1)
            _picture(axes, pixels)
            partner = row.true is not None and place == row.true + 1
            axes.set_xlabel(
                label, fontsize=FONT_PT - 1, color=MATCH if partner else INK, weight="bold" if partner else "normal",
                labelpad=2, parse_math=False,
            )  # fmt: skip
            if partner:
                for spine in axes.spines.values():
                    spine.set(visible=True, color=MATCH, linewidth=3.5)
    return figure


def short(name: str, length: int = 22) -> str:
    """A name that fits beside a patch: its end, which tells files apart."""
    return name if len(name) <= length else f"…{name[1 - length :]}"


def _picture(axes: Axes, pixels: Bytes) -> None:
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
