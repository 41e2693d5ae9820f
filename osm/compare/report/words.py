"""The report in words and tables for people: AP in points (×100), one decimal, spread over seeds beside every mean."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from osm.compare.fractions import parse_name
from osm.compare.report import paper
from osm.compare.report.tables import PLACES, Delta, Summary, count, deltas, figure, ordered_cells, summaries
from osm.compare.study import METRICS, ArmInfo, Study

METRIC_NAMES = {
    "ap50": "AP50",
    "ap50_voc07": "AP50 VOC07",
    "ap50_coco": "AP50 COCO",
    "ap_coco": "AP[.5:.95] COCO",
}
PLACE_NAMES = {"tile": "per tile", "scene": "per scene"}

AP_NOTE = (
    "AP in points (×100): mean ± sample standard deviation over seeds, the value alone for one seed. Per tile, a "
    "detection is judged in the tile it was made in; per scene, detections of overlapping tiles are merged first. "
    "AP50 is the area under the monotone precision-recall curve at IoU 0.5, VOC07 its 11-point form; COCO's figures "
    "take the 1000 surest detections an image."
)
DELTA_NOTE = (
    "Every figure in points (×100), paired by seed: that of an arm minus that of its baseline with the same seed, then "
    "mean ± sample standard deviation over the seeds that both have. The spread is that between seeds alone; what is "
    "sure of a difference stands in the table above."
)
RANDOM_PARTS = {
    True: "What stayed random is bit for bit the same in all arms of one detector and seed.",
    False: "What stayed random is NOT the same in all arms of one detector and seed: the comparison is not fair.",
}


@dataclass(frozen=True)
class Column:
    """A column of a table; neighbours of one group stand under a common head."""

    name: str
    group: str = ""
    number: bool = True

    @property
    def full_name(self) -> str:
        """The name where there is only one row of heads."""
        return f"{self.name}, {self.group}" if self.group else self.name


@dataclass(frozen=True)
class Table:
    """A table as text, the same for HTML and Markdown."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def grouped(self) -> bool:
        """Whether rows belong to detectors, named in the first column."""
        return self.columns[0].name == "Detector"

    def blocks(self) -> list[tuple[str, list[tuple[str, ...]]]]:
        """Neighbouring rows of one detector, under its name; all rows in one block where there is no such column."""
        if not self.grouped:
            return [("", list(self.rows))]
        return [(name, list(rows)) for name, rows in itertools.groupby(self.rows, key=lambda row: row[0])]

    def groups(self, first: int = 0) -> list[tuple[str, int]]:
        """Heads of the column groups with their widths, from column ``first`` on; columns of no group stand alone."""
        heads: list[tuple[str, int]] = []
        for column in self.columns[first:]:
            if heads and column.group and heads[-1][0] == column.group:
                heads[-1] = (column.group, heads[-1][1] + 1)
            else:
                heads.append((column.group, 1))
        return heads


def points(value: float | None) -> str:
    """A fraction in points with one decimal: 0.872 is 87.2."""
    return "–" if value is None else f"{100 * value:.1f}"


def signed(value: float) -> str:
    """A difference in points with its sign; what rounds to zero has none."""
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def signed_number(value: float) -> str:
    """A number with its sign, one decimal where it has one; what rounds to zero has no sign."""
    text = f"{value:+.1f}".removesuffix(".0")
    return "0" if text in ("+0", "-0") else text.replace("-", "−")


def spread(mean: float | None, sd: float | None) -> str:
    """Mean ± standard deviation in points; the mean alone for one seed."""
    return points(mean) if sd is None else f"{points(mean)} ± {points(sd)}"


def labels(study: Study) -> dict[str, str]:
    """Arm name → label."""
    return {arm.name: arm.label for arm in study.arms}


def seed_words(number: int) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{number} seed" if number == 1 else f"{number} seeds"


def ap_table(study: Study) -> Table:
    """Mean ± sd over seeds of every figure by detector × arm, beside the published AP."""
    rows = summaries(study)
    columns = [Column("Detector", number=False), Column("Arm", number=False), Column("Seeds")]
    columns += [Column(METRIC_NAMES[metric], PLACE_NAMES[place]) for place in PLACES for metric in METRICS]
    columns.append(Column("AP, other data", "Bao et al."))
    lines = []
    for detector in study.detectors:
        for arm in study.arms:
            own = {row.metric: row for row in rows if (row.detector, row.arm) == (detector, arm.name)}
            if own:
                lines.append(_ap_row(detector, arm, own))
    return Table(tuple(columns), tuple(lines))


def _ap_row(detector: str, arm: ArmInfo, own: dict[str, Summary]) -> tuple[str, ...]:
    figures = [own[f"{metric}_{place}"] for place in PLACES for metric in METRICS]
    seeds = max(row.n_seeds for row in figures)
    # Table III has all of the labels
    published = paper.published(detector, arm) if parse_name(detector)[1] in (None, 1) else None
    return (detector, arm.label, str(seeds), *(spread(row.mean, row.sd) for row in figures), points(published))


def delta_table(study: Study) -> Table:
    """Differences paired by seed."""
    label = labels(study)
    found = deltas(study)
    columns = [Column("Detector", number=False), Column("Difference", number=False), Column("Seeds")]
    columns += [Column(METRIC_NAMES[metric], PLACE_NAMES[place]) for place in PLACES for metric in METRICS]
    lines = []
    by_detector = sorted(found, key=lambda delta: study.detectors.index(delta.detector))
    for detector, arm, baseline in dict.fromkeys((d.detector, d.arm, d.baseline) for d in by_detector):
        own = {d.metric: d for d in found if (d.detector, d.arm, d.baseline) == (detector, arm, baseline)}
        cells = [_delta_cell(own.get(f"{metric}_{place}")) for place in PLACES for metric in METRICS]
        number = str(max(delta.n_seeds for delta in own.values()))
        lines.append((detector, f"{label[arm]} − {label[baseline]}", number, *cells))
    return Table(tuple(columns), tuple(lines))


def _delta_cell(delta: Delta | None) -> str:
    if delta is None:
        return "–"
    return signed(delta.mean) if delta.sd is None else f"{signed(delta.mean)} ± {points(delta.sd)}"


def cell_table(study: Study) -> Table:
    """Every cell by itself."""
    label = labels(study)
    columns = [Column("Detector", number=False), Column("Arm", number=False), Column("Seed")]
    for place in PLACES:
        columns += [Column(METRIC_NAMES[metric], PLACE_NAMES[place]) for metric in METRICS]
        columns += [Column("ships", PLACE_NAMES[place]), Column("detections", PLACE_NAMES[place])]
    columns += [Column("Backbone filled"), Column("Minutes")]
    lines = []
    for cell in ordered_cells(study):
        line = [cell.detector, label.get(cell.arm, cell.arm), str(cell.seed)]
        for place in PLACES:
            line += [points(figure(cell, f"{metric}_{place}")) for metric in METRICS]
            line += [_count(count(cell, f"{name}_{place}")) for name in ("truth_count", "detection_count")]
        line += [percent(cell.coverage), f"{cell.seconds / 60:.1f}"]
        lines.append(tuple(line))
    return Table(tuple(columns), tuple(lines))


def arm_table(study: Study) -> Table:
    """What the arms are."""
    names = ("Arm", "Kind", "Weights from", "Note")
    rows = tuple((arm.label, arm.kind, arm.source or "nowhere: drawn at random", arm.note) for arm in study.arms)
    return Table(tuple(Column(name, number=False) for name in names), rows)


def arms_caption(study: Study) -> str:
    """What the rows of ``arm_table`` are."""
    what = "One way each to initialise the same detector"
    fused = any(arm.members for arm in study.arms)
    return f"{what}; a fusion is none, it puts the boxes of two of them together" if fused else what


def skipped_table(study: Study) -> Table:
    """What was not run, and why."""
    label = labels(study)
    names = ("Detector", "Arm", "Reason")
    rows = tuple((one.detector, label.get(one.arm, one.arm), one.reason) for one in study.skipped)
    return Table(tuple(Column(name, number=False) for name in names), rows)


def paper_table() -> Table:
    """Table III."""
    columns = (Column("Arm", number=False), Column("Faster R-CNN"), Column("YOLOv3"))
    return Table(columns, tuple((r.arm, points(r.faster_rcnn), points(r.yolov3)) for r in paper.TABLE_III))


def modules(names: Sequence[str], everything: bool, most: int = 6) -> str:
    """The modules that tensors belong to (``layer4.0.conv1``), shortened where there are many."""
    if everything:
        return "all of it"
    owners = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
    text = ", ".join(owners[:most])
    return f"{text} and {len(owners) - most} more" if len(owners) > most else text or "nothing"


def percent(fraction: float | None) -> str:
    """A fraction in percent; 100 % only for all of it."""
    if fraction is None:
        return "–"
    return f"{min(100 * fraction, 100 if fraction >= 1 else 99.9):.1f} %"


def _count(value: int | None) -> str:
    return "–" if value is None else str(value)
