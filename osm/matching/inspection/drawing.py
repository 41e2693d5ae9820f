"""The figures: drawn on white, small enough to be read on a phone, the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from osm.matching.charts import FONT_PT, INK, PALE
from osm.matching.inspection.embeddings import Embedded
from osm.matching.inspection.filters import Filters
from osm.matching.inspection.maps import StageActivation, upsample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Bytes = npt.NDArray[np.uint8]

#: Okabe and Ito's, which most colour-blind readers can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
#: Narrow, so that letters are still 9 px high where a phone shows the figure 360 px wide.
_WIDTH_IN = 4.2
#: Percent of the values of a map that lie within its scale.
_SHARE = 99.5


def heat_table(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]]) -> Figure:
    """CKA as a table of coloured cells from 0 to 1.

    Args:
        rows: Names of the rows.
        columns: Names of the columns.
        values: One list a row; None where nothing can be said.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, 0.75 + 0.36 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    grid = np.array([[np.nan if value is None else value for value in row] for row in values], dtype=float)
    picture = axes.imshow(grid, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            light = value is not None and value < 0.5
            axes.text(
                j, i, "–" if value is None else f"{value:.2f}", ha="center", va="center", fontsize=FONT_PT,
                color="white" if light else "black",
            )  # fmt: skip
    axes.set_xticks(range(len(columns)), [_short_stage(name) for name in columns], fontsize=FONT_PT)
    axes.set_yticks(range(len(rows)), [_short_stage(name) for name in rows], fontsize=FONT_PT)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(picture, ax=axes, fraction=0.04, pad=0.02, ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=FONT_PT - 1, length=2)
    return figure


def filter_sheet(filters: Filters) -> Figure:
    """The filters as SAR sees them, and beside them in colour; each scaled to its own largest value."""
    from matplotlib.figure import Figure

    grey, count = filters.as_sar, len(filters.weights)
    columns = int(np.ceil(np.sqrt(count)))
    lines = -(-count // columns)
    figure = Figure(figsize=(_WIDTH_IN, 0.3 + _WIDTH_IN / 2 * lines / columns), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, title, pictures, shades in (
        (left, "as SAR sees them", grey, "gray"),
        (right, "red, green and blue", np.moveaxis(filters.weights, 1, -1), None),
    ):
        unit = 0.5 + 0.5 * _to_unit(pictures)
        axes.imshow(_mosaic(unit, columns), cmap=shades, vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(title, fontsize=FONT_PT, color=INK)
        axes.axis("off")
        _cross_out(axes, filters, columns)
    return figure


def map_sheet(tile: Bytes, stages: Sequence[StageActivation]) -> Figure:
    """Per stage the mean absolute activation and the strongest channels, under the tile; each with its range."""
    from matplotlib.figure import Figure

    columns = 1 + max(len(stage.channels) for stage in stages)
    cell_in = _WIDTH_IN / columns
    height_in, title_in = 0.94 * cell_in * tile.shape[0] / tile.shape[1], 0.2
    lines = len(stages) + 1
    whole_in = lines * (height_in + title_in)
    figure = Figure(figsize=(_WIDTH_IN, whole_in))
    grid = figure.add_gridspec(
        lines, columns, left=0.06, right=0.995, top=1 - title_in / whole_in, bottom=0.01 / whole_in,
        wspace=0.04, hspace=title_in / height_in,
    )  # fmt: skip
    first = figure.add_subplot(grid[0, 0])
    _image(first, tile, "the tile", cmap="gray", vmin=0, vmax=255)
    _scales(figure, grid[0, 1:])
    for line, stage in enumerate(stages, start=1):
        top = _limit(stage.mean_abs)
        axes = figure.add_subplot(grid[line, 0])
        _image(axes, upsample(stage.mean_abs, *tile.shape), f"mean, to {top:.2g}", cmap="magma", vmin=0, vmax=top)
        axes.set_ylabel(_short_stage(stage.stage), fontsize=FONT_PT - 1, color=INK, labelpad=2)
        for place, (number, values) in enumerate(zip(stage.channels, stage.strongest, strict=True), start=1):
            axes = figure.add_subplot(grid[line, place])
            limit = _limit(values)
            title = f"#{number}, ±{limit:.2g}"
            _image(axes, upsample(values, *tile.shape), title, cmap="PuOr", vmin=-limit, vmax=limit)
    return figure


def embedding_chart(embedded: Embedded) -> Figure:
    """SAR and optical patches as t-SNE places them; a line joins partners, a colour is a scene."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    if embedded.points is None:
        raise ValueError("there are no points to draw")
    figure = Figure(figsize=(_WIDTH_IN, 4.6), layout="constrained")
    axes = figure.add_subplot()
    sar, optical = embedded.points
    scenes = embedded.chosen.scenes or ("",) * len(sar)
    ids = list(dict.fromkeys(scenes))
    colour_of = {scene: COLOURS[place % len(COLOURS)] for place, scene in enumerate(ids)}
    for start, end, scene in zip(sar, optical, scenes, strict=True):
        axes.plot(*np.stack([start, end]).T, color=colour_of[scene], linewidth=0.7, alpha=0.45, zorder=1)
    colours = [colour_of[scene] for scene in scenes]
    axes.scatter(sar[:, 0], sar[:, 1], s=20, c=colours, marker="o", linewidths=0, zorder=2)
    axes.scatter(
        optical[:, 0], optical[:, 1], s=22, facecolors="white", edgecolors=colours, marker="s", linewidths=1.1, zorder=2
    )
    axes.set(xticks=[], yticks=[])
    axes.margins(0.03)
    for spine in axes.spines.values():
        spine.set_color(PALE)
    handles = [
        Line2D([], [], color=INK, marker="o", linestyle="", markersize=5, label="SAR"),
        Line2D([], [], color=INK, marker="s", markerfacecolor="white", linestyle="", markersize=5, label="optical"),
    ]
    if embedded.chosen.scenes is not None:
        handles += [
            Line2D([], [], color=colour_of[scene], linewidth=4, label=f"scene {scene}".replace("$", r"\$"))
            for scene in ids
        ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3, fontsize=FONT_PT - 1, frameon=False)
    return figure


def _short_stage(name: str) -> str:
    """Darknet's stages have long names, and columns are narrow."""
    return name.replace("conv_res_block", "block")


def _limit(values: npt.NDArray[np.float32]) -> float:
    """Where the scale of a map ends: a few bright points would make all else pale."""
    sizes = np.abs(values)
    return float(np.percentile(sizes, _SHARE)) or float(sizes.max()) or 1.0


def _to_unit(pictures: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(K, h, w) or (K, h, w, 3) divided by the largest absolute value of each."""
    largest = np.abs(pictures).reshape(len(pictures), -1).max(axis=1)
    largest = np.where(largest > 0, largest, 1.0)
    return np.asarray(pictures / largest.reshape(-1, *[1] * (pictures.ndim - 1)))


def _mosaic(pictures: npt.NDArray[np.float64], columns: int) -> npt.NDArray[np.float64]:
    """(K, h, w, …) in rows of ``columns``, white lines between."""
    count, height, width = pictures.shape[:3]
    lines = -(-count // columns)
    sheet = np.ones((lines * (height + 1) + 1, columns * (width + 1) + 1, *pictures.shape[3:]))
    for number, picture in enumerate(pictures):
        line, column = divmod(number, columns)
        sheet[1 + line * (height + 1) :, 1 + column * (width + 1) :][:height, :width] = picture
    return sheet


def _cross_out(axes: Axes, filters: Filters, columns: int) -> None:
    height, width = filters.weights.shape[2:]
    for number in np.flatnonzero(filters.dead).tolist():
        line, column = divmod(number, columns)
        x, y = 0.5 + column * (width + 1), 0.5 + line * (height + 1)
        axes.plot([x, x + width], [y, y + height], color=COLOURS[1], linewidth=1.6)


def _image(axes: Axes, pixels: npt.NDArray[Any], title: str, **shades: Any) -> None:
    axes.imshow(pixels, interpolation="antialiased", **shades)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=FONT_PT - 1.5, color=INK, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _scales(figure: Figure, place: Any) -> None:
    """The two scales of colour, beside the tile."""
    grid = place.subgridspec(5, 1, height_ratios=[0.7, 0.5, 1.2, 0.5, 1.2])
    for row, (shades, ends, words) in enumerate((
        ("magma", ("0", "its limit"), "mean over channels of |activation|"),
        ("PuOr", ("–limit", "0", "+limit"), "one channel"),
    )):  # fmt: skip
        axes = figure.add_subplot(grid[1 + 2 * row])
        axes.imshow(np.linspace(0, 1, 256)[None], cmap=shades, aspect="auto")
        axes.set_yticks([])
        axes.set_xticks(np.linspace(0, 255, len(ends)), ends, fontsize=FONT_PT - 1.5)
        labels = axes.get_xticklabels()
        # the outer ones stay inside
        labels[0].set_horizontalalignment("left")
        labels[-1].set_horizontalalignment("right")
        axes.tick_params(length=2)
        axes.set_title(words, fontsize=FONT_PT - 1.5, color=INK, pad=2, loc="left")
