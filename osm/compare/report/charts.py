"""Which lines go into which figure, and what the figure says to somebody who cannot see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osm.compare.report import figures
from osm.compare.report.evidence import Evidence, Key
from osm.compare.report.figures import Line
from osm.compare.report.interactive import Plot, unit_plot
from osm.compare.report.tables import PLACES, figure
from osm.compare.report.words import METRIC_NAMES, PLACE_NAMES, Column, Table, labels, points
from osm.compare.study import Study
from osm.detection.evaluate import interpolate_precision, precision_recall

_RECALLS = np.linspace(0, 1, 101, dtype=np.float64)
_MOST_POINTS = 200
_TENTHS = np.arange(0, 101, 10)
_LOSS_HEADS = (
    Column("Arm", number=False),
    Column("Seed"),
    *(Column(f"{share} %", "Loss after … of the steps") for share in (0, 25, 50, 75, 100)),
)


@dataclass(frozen=True)
class Chart:
    """One figure of the page.

    Attributes:
        svg: Inline SVG.
        caption: What it shows.
        alt: The same in words, for somebody who cannot see it.
        numbers: What is drawn, as a table.
        plot: The same for plotly.js, where a pointer may ask for values.
    """

    svg: str
    caption: str
    alt: str
    numbers: Table
    plot: Plot | None = None


def seed_charts(study: Study) -> list[Chart]:
    """AP50 of every seed, a figure a detector × place."""
    charts = []
    label = labels(study)
    for detector in study.detectors:
        for place in PLACES:
            groups = []
            for index, arm in enumerate(study.arms):
                cells = [cell for cell in study.cells if (cell.detector, cell.arm) == (detector, arm.name)]
                values = [value for cell in cells if (value := figure(cell, f"ap50_{place}")) is not None]
                if values:
                    groups.append((index, arm.label, values))
            if groups:
                name = f"{METRIC_NAMES['ap50']} {PLACE_NAMES[place]}"
                said = "; ".join(
                    f"{label[study.arms[index].name]}: {', '.join(points(value) for value in values)}"
                    for index, _, values in groups
                )
                svg = figures.seeds_svg(f"seeds-{detector}-{place}", groups, f"{name}, points")
                caption = f"{detector}: {name}. A dot a seed, a bar at the mean."
                charts.append(Chart(svg, caption, f"{name}: {said}.", _seed_numbers(study, detector, f"ap50_{place}")))
    return charts


def precision_recall_charts(study: Study, evidence: dict[Key, Evidence]) -> list[Chart]:
    """Precision over recall at IoU 0.5, a figure a detector × place: a pale line a seed, a bold one for their mean."""
    charts = []
    for detector in study.detectors:
        for place in PLACES:
            lines: list[Line] = []
            reached = []
            for index, arm in enumerate(study.arms):
                curves = []
                for seed in study.seeds:
                    found = evidence.get((detector, arm.name, seed))
                    if found is None or found.predictions is None:
                        continue
                    predictions = found.predictions
                    results = predictions.tile_results() if place == "tile" else predictions.scene_results()
                    recall, precision = precision_recall(results)
                    if any(len(result.truth) and not result.ignore.all() for result in results):
                        curves.append(interpolate_precision(recall, precision, _RECALLS))
                if curves:
                    mean = np.mean(curves, axis=0)
                    lines += [Line(index, _RECALLS, curve, thin=True) for curve in curves if len(curves) > 1]
                    lines.append(Line(index, _RECALLS, mean))
                    reached.append(f"{arm.label} reaches a recall of {_RECALLS[mean > 0].max(initial=0):.2f}")
            if lines:
                name = f"precision and recall {PLACE_NAMES[place]}"
                svg = figures.precision_recall_svg(f"pr-{detector}-{place}", lines)
                alt = f"{detector}, {name}: {'; '.join(reached)}."
                plot = unit_plot(lines, [study.arms[line.arm].label for line in lines], "recall", "precision")
                charts.append(Chart(svg, f"{detector}: {name}", alt, _precisions(study, lines), plot))
    return charts


def training_charts(study: Study, evidence: dict[Key, Evidence]) -> list[Chart]:
    """Loss over steps, a figure a detector, a smoothed line a cell."""
    charts = []
    for detector in study.detectors:
        lines = []
        ends = []
        numbers = []
        for index, arm in enumerate(study.arms):
            for seed in study.seeds:
                found = evidence.get((detector, arm.name, seed))
                if found is None or found.steps is None or found.losses is None or not len(found.steps):
                    continue
                count = len(found.losses)
                chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(np.int64))
                loss = figures.smooth(found.losses, at=chosen)
                drawn = slice((len(loss) - 1) % 2, None, 2)  # the last among them
                lines.append(Line(index, found.steps[chosen][drawn], loss[drawn]))
                quarters = np.linspace(0, len(loss) - 1, 5).round().astype(int)
                numbers.append((arm.label, str(seed), *(f"{value:.3g}" for value in loss[quarters])))
                ends.append(f"{arm.label}, seed {seed}: from {loss[0]:.3g} to {loss[-1]:.3g}")
        if lines:
            svg = figures.training_svg(f"training-{detector}", lines)
            alt = f"{detector}, loss by step: {'; '.join(ends)}."
            charts.append(Chart(svg, f"{detector}: training loss", alt, Table(_LOSS_HEADS, tuple(numbers))))
    return charts


def _seed_numbers(study: Study, detector: str, name: str) -> Table:
    columns = (Column("Arm", number=False), *(Column(str(seed), "Seed") for seed in study.seeds))
    rows = []
    for arm in study.arms:
        cells = {cell.seed: cell for cell in study.cells if (cell.detector, cell.arm) == (detector, arm.name)}
        if cells:
            values = [points(figure(cells[seed], name)) if seed in cells else "–" for seed in study.seeds]
            rows.append((arm.label, *values))
    return Table(columns, tuple(rows))


def _precisions(study: Study, lines: list[Line]) -> Table:
    columns = (
        Column("Arm", number=False),
        *(Column(f"{_RECALLS[k]:.1f}", "Precision at a recall of") for k in _TENTHS),
    )
    rows = [(study.arms[line.arm].label, *(f"{line.y[k]:.3f}" for k in _TENTHS)) for line in lines if not line.thin]
    return Table(columns, tuple(rows))
