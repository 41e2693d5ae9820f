"""Figures as inline SVG: drawn by matplotlib, coloured by the page, so that they follow light and dark.

Colours are Okabe and Ito's, which stay apart for most colour-blind readers; dashes tell lines apart without colour.
The page defines ``--arm-0`` … and draws the legend.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

#: Okabe-Ito for light pages and, lightened where it would drown, for dark ones.
LIGHT = ("#0072b2", "#d55e00", "#009e73", "#b8609a", "#8a6d00", "#3f8fc4", "#555555")
DARK = ("#56b4e9", "#ff8a3d", "#2fc79b", "#e39bc6", "#f0e442", "#9fd3f5", "#bbbbbb")

#: (offset, on, off, …) in units of the line width; the first is solid.
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (5, 2),
    (1.5, 1.5),
    (6, 2, 1.5, 2),
    (9, 3),
    (3, 1.5, 1, 1.5, 1, 1.5),
    (1, 3),
)

_INK = "#010203"
_MARKS = tuple(f"#0a0b{index:02x}" for index in range(len(LIGHT)))


@dataclass(frozen=True, eq=False)
class Line:
    """One line of a figure.

    Attributes:
        arm: Place of its arm in the study: decides colour and dashes.
        x: (K,).
        y: (K,).
        thin: Drawn thin and pale, beside a mean or smoothed one.
    """

    arm: int
    x: Floats
    y: Floats
    thin: bool = False


def precision_recall_svg(name: str, lines: Sequence[Line]) -> str:
    """Precision over recall, both 0 to 1; ``name`` is unique on the page."""
    figure, axes = _axes("recall", "precision")
    _draw(axes, lines)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    return _svg(figure, name)


def training_svg(name: str, lines: Sequence[Line]) -> str:
    """Loss over training steps, logarithmic where losses are positive and far apart; ``name`` is unique on the page."""
    figure, axes = _axes("training step", "loss")
    _draw(axes, lines)
    values = np.concatenate([np.empty(0), *(line.y for line in lines)])
    if len(values) and values.min() > 0 and values.max() > 5 * values.min():
        axes.set_yscale("log")
        from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.01)
    return _svg(figure, name)


def learning_svg(name: str, lines: Sequence[Line]) -> str:
    """AP in points over epochs; ``name`` is unique on the page."""
    figure, axes = _axes("epoch", "AP50, validation scenes")
    _draw(axes, lines)
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    return _svg(figure, name)


def fractions_svg(name: str, curves: Sequence[tuple[int, Sequence[tuple[float, float, float]]]], label: str) -> str:
    """AP in points over the fraction of scenes, which is logarithmic, with bars of the spread between seeds.

    Args:
        name: Unique on the page.
        curves: Arm (its place in the study) and its points: fraction, mean and standard deviation, all in [0, 1].
        label: Name of the figure, for the axis.
    """
    figure, axes = _axes("labelled training scenes, %", label)
    shares = sorted({point[0] for _, points in curves for point in points})
    for place, (arm, points) in enumerate(curves):
        share, mean, sd = 100 * np.array(points, dtype=np.float64).T
        # side by side, since bars upon each other cannot be told apart
        share = share * 1.035 ** (place - (len(curves) - 1) / 2)
        colour, dashes = _MARKS[arm % len(_MARKS)], _dashes(arm)
        axes.plot(share, mean, color=colour, linewidth=1.8, linestyle=(0, dashes) if dashes else "solid")
        axes.plot(share, mean, "o", color=colour, markersize=4.5, markeredgewidth=0)
        axes.vlines(share, mean - sd, mean + sd, color=colour, linewidth=1.1)
    axes.set_xscale("log")
    axes.set_xticks([100 * share for share in shares], [f"{100 * share:g}" for share in shares])
    axes.minorticks_off()
    return _svg(figure, name)


def seeds_svg(name: str, groups: Sequence[tuple[int, str, Sequence[float]]], label: str) -> str:
    """AP in points of each seed as dots, one row an arm, with the mean as a bar.

    Args:
        name: Unique on the page.
        groups: Arm (its place in the study), its label and its figures as fractions, one a seed.
        label: Name of the figure, for the axis.
    """
    figure, axes = _axes(label, "", height_in=0.62 + 0.3 * len(groups))
    for row, (arm, _, values) in enumerate(groups):
        scaled = 100 * np.asarray(values, dtype=np.float64)
        colour = _MARKS[arm % len(_MARKS)]
        axes.plot([scaled.mean()] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=2.5, solid_capstyle="butt")
        axes.plot(scaled, [row] * len(scaled), "o", color=colour, markersize=6, alpha=0.65, markeredgewidth=0)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    shorter = [words if len(words) < 24 else f"{words[:22]}…" for _, words, _ in groups]
    axes.set_yticks(range(len(groups)), shorter)
    for text in axes.get_yticklabels():
        # a label is what a user typed: a dollar sign in it is no formula
        text.set_parse_math(False)
    axes.grid(visible=False, axis="y")
    return _svg(figure, name)


def legend_svg(arm: int) -> str:
    """A short piece of an arm's line, for the page's legend."""
    dashes = ",".join(f"{2 * length:g}" for length in _dashes(arm))
    pattern = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<svg class="key" viewBox="0 0 34 10" width="34" height="10" aria-hidden="true"><path d="M1 5H33" fill="none" '
        f'stroke="var(--arm-{arm % len(LIGHT)})" stroke-width="2.4"{pattern}/></svg>'
    )


def smooth(values: Floats, share: float = 0.05, at: NDArray[np.int64] | None = None) -> Floats:
    """Running median over a ``share`` of all steps (an odd number of them), shorter towards both ends.

    Args:
        values: (K,).
        share: Of the steps.
        at: Indices at which it is wanted; everywhere if not given.
    """
    half = int(len(values) * share / 2)
    chosen = range(len(values)) if at is None else at
    return np.asarray([np.median(values[max(0, i - half) : i + half + 1]) for i in chosen], dtype=np.float64)


def _axes(x_label: str, y_label: str, height_in: float = 2.7) -> tuple[Figure, Axes]:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(4.1, height_in), layout="constrained")
        axes = figure.add_subplot()
    figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)
    axes.set_xlabel(x_label, color=_INK)
    axes.set_ylabel(y_label, color=_INK)
    axes.tick_params(colors=_INK)
    axes.grid(visible=True, color=_INK, alpha=0.15, linewidth=0.6)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(_INK)
    return figure, axes


def _draw(axes: Axes, lines: Sequence[Line]) -> None:
    for line in lines:
        style: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.35} if line.thin else {"linewidth": 1.8}
        dashes = () if line.thin else _dashes(line.arm)
        style["linestyle"] = (0, dashes) if dashes else "solid"
        axes.plot(line.x, line.y, color=_MARKS[line.arm % len(_MARKS)], **style)


def _dashes(arm: int) -> tuple[float, ...]:
    return DASHES[arm % len(DASHES)]


def _svg(figure: Figure, name: str) -> str:
    """The figure as an ``<svg>`` element without ids of its own, fixed colours or references to anything outside."""
    import matplotlib

    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "svg.id": None}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r' d="[^"]*"', _shorter, text)
    # the page's font; its own sizes stay
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", text)
    text = text.replace(_INK, "currentColor")
    for index, mark in enumerate(_MARKS):
        text = text.replace(mark, f"var(--arm-{index})")
    # aria: the page names the figure around it
    return re.sub(r"<svg ([^>]*)>", r'<svg aria-hidden="true" focusable="false" \1>', text, count=1)


def _shorter(path: re.Match[str]) -> str:
    """A path to a tenth of a point; where all are lines, as steps from corner to corner: a third of its bytes."""
    text = re.sub(r"\s+", " ", path[0])
    steps = re.sub(r"M ([\d .+-]+(?:L [\d .+-]+)*)", _steps, text) if "C" not in text and "Q" not in text else text
    return re.sub(r"(\d\.\d)\d+", r"\1", steps).replace(' d=" ', ' d="')


def _steps(line: re.Match[str]) -> str:
    corners = np.array(line[1].replace("L", " ").split(), dtype=np.float64).reshape(-1, 2)
    tenths = np.floor(10 * corners).astype(np.int64)  # cut, as the digits of other paths are
    moves = np.diff(tenths, axis=0)
    moves = moves[(moves != 0).any(axis=1)]
    if len(moves) > 1:
        # corners on the way straight ahead need not be drawn
        cross = moves[:-1, 0] * moves[1:, 1] - moves[:-1, 1] * moves[1:, 0]
        ends = np.append((cross != 0) | ((moves[:-1] * moves[1:]).sum(axis=1) < 0), True)
        moves = np.diff(np.cumsum(moves, axis=0)[ends], axis=0, prepend=0)
    start = " ".join(_tenth(value) for value in tenths[0])
    return f"M {start}l{' '.join(_tenth(value) for value in moves.ravel())} " if len(moves) else line[0]


def _tenth(value: int) -> str:
    """``-0.5`` as ``-.5``, ``12.0`` as ``12``."""
    whole, rest = divmod(abs(int(value)), 10)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole or ''}.{rest}" if rest else f"{sign}{whole}"
