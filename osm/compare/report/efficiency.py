"""Label efficiency: AP of each arm by the fraction of the training scenes that are labelled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from osm.compare.fractions import parse_name
from osm.compare.report import figures
from osm.compare.report.answers import ends
from osm.compare.report.certainty import PLACE, Certainty, claims, pairs, settled
from osm.compare.report.charts import Chart
from osm.compare.report.tables import summaries
from osm.compare.report.words import METRIC_NAMES, PLACE_NAMES, Column, Table, labels, signed, spread
from osm.compare.study import Study

METRIC = f"ap50_{PLACE}"
NAME = f"{METRIC_NAMES['ap50']} {PLACE_NAMES[PLACE]}"

NOTE = (
    "Every arm of a seed has the same labelled scenes, drawn by that seed, and a smaller fraction is a part of every "
    "larger one. The spread between seeds therefore holds the choice of the labels too; at 100 % there is none. Test "
    "scenes are the same at every fraction. Few labels are seen more often: every cell trains train.min_steps steps at "
    "least, the same in every arm."
)
GAIN_NOTE = (
    "Differences in points with their 95 % intervals, by fraction; settled are those whose p-value, corrected for all "
    "fractions and detectors of this arm and baseline, is at most 0.05. The table above has the p-values."
)


@dataclass(frozen=True)
class Fraction:
    """A fraction of the training scenes, of one detector.

    Attributes:
        name: What the study calls the detector at this fraction.
        fraction: In (0, 1].
        train_scenes: Scenes; None where nobody says.
    """

    name: str
    detector: str
    fraction: float
    train_scenes: int | None

    @property
    def head(self) -> str:
        """``5 %, 41 scenes``."""
        scenes = "" if self.train_scenes is None else f", {self.train_scenes} scene{'s' * (self.train_scenes != 1)}"
        return f"{100 * self.fraction:g} %{scenes}"


def fractions_of(study: Study) -> dict[str, list[Fraction]]:
    """Fractions of each detector, rising; empty for a comparison without."""
    scenes = {one["name"]: one["train_scenes"] for one in study.data.get("label_fractions", ())}
    found: dict[str, list[Fraction]] = {}
    for name in study.detectors:
        detector, fraction = parse_name(name)
        if fraction is not None:
            found.setdefault(detector, []).append(Fraction(name, detector, fraction, scenes.get(name)))
    return {detector: sorted(own, key=lambda one: one.fraction) for detector, own in found.items()}


def efficiency_charts(study: Study) -> list[Chart]:
    """AP50 over the fraction, a figure a detector: a line an arm, bars of one standard deviation between seeds."""
    rows = {(row.detector, row.arm): row for row in summaries(study) if row.metric == METRIC}
    charts = []
    for detector, own in fractions_of(study).items():
        curves, numbers, said = [], [], []
        for index, arm in enumerate(study.arms):
            found = [rows.get((one.name, arm.name)) for one in own]
            known = [
                (one, row) for one, row in zip(own, found, strict=True) if row is not None and row.mean is not None
            ]
            if not known:
                continue
            points = [(one.fraction, row.mean or 0.0, row.sd or 0.0) for one, row in known]
            curves.append((index, points))
            numbers.append((arm.label, *("–" if row is None else spread(row.mean, row.sd) for row in found)))
            at = [f"{100 * value:.1f} at {one.head}" for (one, _), (_, value, _) in zip(known, points, strict=True)]
            said.append(f"{arm.label} from {at[0]} to {at[-1]}")
        if curves:
            svg = figures.fractions_svg(f"fractions-{detector}", curves, f"{NAME}, points")
            columns = (Column("Arm", number=False), *(Column(one.head, NAME) for one in own))
            caption = f"{detector}: {NAME} by the fraction of training scenes. Bars: one standard deviation over seeds."
            charts.append(Chart(svg, caption, f"{NAME}: {'; '.join(said)}.", Table(columns, tuple(numbers))))
    return charts


def gain_table(study: Study, certainty: Certainty) -> Table:
    """Differences between arms by fraction, with their intervals."""
    label = labels(study)
    found = fractions_of(study)
    shares = sorted({one.fraction for own in found.values() for one in own})
    columns = [Column("Detector", number=False), Column("Difference", number=False)]
    columns += [Column(f"{100 * share:g} %", "Points [95 % interval] at") for share in shares]
    lines = []
    for detector, own in found.items():
        names = {one.fraction: one.name for one in own}
        for arm, baseline in pairs(study):
            cells = [_gain(certainty, names.get(share), arm, baseline) for share in shares]
            if any(cell != "–" for cell in cells):
                lines.append((detector, f"{label[arm]} − {label[baseline]}", *cells))
    return Table(tuple(columns), tuple(lines))


def _gain(certainty: Certainty, name: str | None, arm: str, baseline: str) -> str:
    one = None if name is None else certainty.find(name, arm, baseline)
    if one is None:
        return "–"
    if not claims(one):
        return f"{signed(one.estimate)} (not tested)"
    return f"{signed(one.estimate)} {ends(one)}{', settled' if settled(one) else ''}"


def to_json(study: Study) -> list[dict[str, Any]]:
    """One object a detector × fraction × arm."""
    rows = {(row.detector, row.arm): row for row in summaries(study) if row.metric == METRIC}
    return [
        {
            "detector": one.detector, "name": one.name, "fraction": one.fraction, "train_scenes": one.train_scenes,
            "arm": arm.name, "mean": row.mean, "sd": row.sd, "n_seeds": row.n_seeds,
        }
        for own in fractions_of(study).values() for one in own for arm in study.arms
        if (row := rows.get((one.name, arm.name))) is not None and (row.mean is None or math.isfinite(row.mean))
    ]  # fmt: skip
