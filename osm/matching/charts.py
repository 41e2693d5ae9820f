"""Distances as pictures: how far matches and non-matches lie apart, and what each threshold would give.

Colours are Okabe and Ito's, which stay apart for most colour-blind readers; shape and hatching say the same again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from osm.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]

MATCH, NONMATCH, INK, PALE = "#0072b2", "#d55e00", "#333333", "#8c8c8c"
FONT_PT = 9
_BINS = 20


def histogram(match: Floats, nonmatch: Floats) -> tuple[npt.NDArray[np.float64], Counts, Counts]:
    """Edges (21,) of 20 equal steps of distance from 0 to 1, and how many matches and non-matches (20,) lie in each."""
    edges = np.linspace(0, 1, _BINS + 1)
    # h is at most 1 but for rounding
    near, far = (np.histogram(np.clip(part, 0, 1), edges)[0].astype(np.int64) for part in (match, nonmatch))
    return edges.astype(np.float64), near, far


def accuracies(match: Floats, nonmatch: Floats, thresholds: Floats) -> npt.NDArray[np.float64]:
    """Accuracy at each of some thresholds (K,)."""
    hits = np.searchsorted(np.sort(match), thresholds, side="right")
    false_alarms = np.searchsorted(np.sort(nonmatch), thresholds, side="right")
    return np.asarray((hits + len(nonmatch) - false_alarms) / (len(match) + len(nonmatch)), dtype=np.float64)


def histogram_chart(match: Floats, nonmatch: Floats, fixed: float, chosen: float) -> Figure:
    """Histogram of the distances of matches and of non-matches, with both thresholds."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _axes("distance", "pairs")
    edges, near, far = histogram(match, nonmatch)
    width = edges[1] - edges[0]
    axes.bar(
        edges[:-1], near, width, align="edge", facecolor="none", edgecolor=MATCH, linewidth=1.2, hatch="////",
        label="matches", zorder=2,
    )  # fmt: skip
    axes.bar(edges[:-1], far, width, align="edge", color=NONMATCH, alpha=0.45, label="non-matches", zorder=1)
    _thresholds(axes, fixed, chosen)
    axes.set_xlim(0, 1)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes)
    return figure


def accuracy_chart(match: Floats, nonmatch: Floats, fixed: float, chosen: float) -> Figure:
    """Accuracy over the threshold, with both thresholds."""
    figure, axes = _axes("threshold", "accuracy")
    thresholds = np.linspace(0, 1, 501)
    axes.plot(thresholds, accuracies(match, nonmatch, thresholds), color=MATCH, linewidth=1.8, label="accuracy")
    axes.axhline(0.5, color=PALE, linewidth=1, linestyle=(0, (1, 2)), label="guessing")
    marked = np.array([fixed, chosen])
    for x, y, marker in zip(marked, accuracies(match, nonmatch, marked), "os", strict=True):
        axes.plot(x, y, marker, color=INK, markersize=6)
    _thresholds(axes, fixed, chosen)
    axes.set_xlim(0, 1)
    axes.set_ylim(min(0.45, axes.get_ylim()[0]), 1.0)
    _legend(axes)
    return figure


def save(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write a figure as PNG, atomically; the same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": None})


def _axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label, fontsize=FONT_PT + 1)
    axes.set_ylabel(y_label, fontsize=FONT_PT + 1)
    axes.tick_params(labelsize=FONT_PT)
    axes.grid(visible=True, color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _thresholds(axes: Axes, fixed: float, chosen: float) -> None:
    axes.axvline(fixed, color=INK, linewidth=1.4, linestyle=(0, (5, 2)), label=f"threshold {fixed:.3f}, fixed")
    axes.axvline(chosen, color=INK, linewidth=1.4, label=f"threshold {chosen:.3f}, chosen")


def _legend(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    # what is plotted, then the thresholds
    order = sorted(range(len(labels)), key=lambda place: labels[place].startswith("threshold"))
    # above the plot, where it hides nothing
    axes.legend(
        [handles[place] for place in order], [labels[place] for place in order],
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, fontsize=FONT_PT, frameon=False, handlelength=2.2,
        borderaxespad=0.2,
    )  # fmt: skip
