"""Which lines go into which figure, and what the figure says to somebody who cannot see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osm.compare.report import figures
from osm.compare.report.evidence import Evidence, Key
from osm.compare.report.figures import Line
from osm.compare.report.tables import PLACES, figure
from osm.compare.report.words import METRIC_NAMES, PLACE_NAMES, labels, points
from osm.compare.study import Study
from osm.detection.evaluate import interpolate_precision, precision_recall

_RECALLS = np.linspace(0, 1, 101, dtype=np.float64)
_MOST_POINTS = 400


@dataclass(frozen=True)
class Chart:
    """One figure of the page: an inline SVG, its caption and its description in words."""

    svg: str
    caption: str
    alt: str


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
                charts.append(Chart(svg, f"{detector}: {name}. A dot a seed, a bar at the mean.", f"{name}: {said}."))
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
                charts.append(Chart(svg, f"{detector}: {name}", f"{detector}, {name}: {'; '.join(reached)}."))
    return charts


def training_charts(study: Study, evidence: dict[Key, Evidence]) -> list[Chart]:
    """Loss over steps, a figure a detector, a smoothed line a cell."""
    charts = []
    for detector in study.detectors:
        lines = []
        ends = []
        for index, arm in enumerate(study.arms):
            for seed in study.seeds:
                found = evidence.get((detector, arm.name, seed))
                if found is None or found.steps is None or found.losses is None or not len(found.steps):
                    continue
                loss = figures.smooth(found.losses)
                chosen = np.unique(np.linspace(0, len(loss) - 1, min(len(loss), _MOST_POINTS)).astype(int))
                lines.append(Line(index, found.steps[chosen], loss[chosen]))
                ends.append(f"{arm.label}, seed {seed}: from {loss[0]:.3g} to {loss[-1]:.3g}")
        if lines:
            svg = figures.training_svg(f"training-{detector}", lines)
            charts.append(Chart(svg, f"{detector}: training loss", f"{detector}, loss by step: {'; '.join(ends)}."))
    return charts
