"""Everything that a report is rendered from, read and computed once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from osm.compare.cells import ran_with
from osm.compare.fairness import Verdict, check
from osm.compare.report import breakdowns, disagree
from osm.compare.report.breakdowns import CellBreakdown
from osm.compare.report.certainty import METRICS, Certainty, measure
from osm.compare.report.disagree import Disputed
from osm.compare.report.evidence import Evidence, Key, random_parts_agree, read_evidence
from osm.compare.report.learning import Looks, read_looks
from osm.compare.report.words import RANDOM_PARTS, Table
from osm.compare.study import Study


@dataclass(frozen=True, eq=False)
class Contents:
    """A study with all that was found about it."""

    study: Study
    evidence: dict[Key, Evidence]
    certainty: Certainty
    breakdown: dict[Key, CellBreakdown]
    disputed: list[Disputed]
    fairness: Verdict
    looks: dict[Key, Looks] = field(default_factory=dict)

    @property
    def random_parts(self) -> str:
        """A sentence about what stayed random, empty where nothing is known of it."""
        agree = random_parts_agree(self.study, self.evidence)
        return "" if agree is None else RANDOM_PARTS[agree]

    @property
    def random_parts_differ(self) -> bool:
        """Whether the arms of one detector and seed started from different random parts."""
        return random_parts_agree(self.study, self.evidence) is False


@dataclass(frozen=True)
class Section:
    """A table with what has to be said of it."""

    title: str
    note: str
    caption: str
    table: Table | None


def gather(study: Study, cache: Path | None = None, metrics: Sequence[str] = METRICS, workers: int = 1) -> Contents:
    """Read the cells of a study and measure what can be measured.

    Args:
        study: The comparison.
        cache: Folder for what takes long, by content; None to keep nothing.
        metrics: Figures to test.
        workers: Processes at most.

    Raises:
        DataError: A file of a cell is there but broken, or arms were scored on different scenes.
        FairnessError: Cells differ in more than the initialisation.
    """
    # before anything else: what may not be compared is not measured
    fairness = check(ran_with(study), study.title)
    evidence = read_evidence(study)
    with ThreadPoolExecutor(1) as beside:
        # resampling happens in processes of its own: what is made here need not wait for it
        certainty = beside.submit(measure, study, evidence, cache, metrics, workers)
        breakdown = breakdowns.break_down(study, evidence, cache)
        disputed = disagree.disputes(study, evidence)
        looks = read_looks(study)
    return Contents(study, evidence, certainty.result(), breakdown, disputed, fairness, looks)


def where_it_is(contents: Contents) -> list[Section]:
    """The parts of the difference; none without predictions."""
    study, found = contents.study, contents.breakdown
    if not found:
        return []
    groups = breakdowns.group_table(study, found)
    alarms = breakdowns.ALARM_NOTE + ("" if breakdowns.areas_known(found) else breakdowns.NO_AREA)
    grouped = bool(groups.rows)
    return [
        Section("By size of ship", breakdowns.SIZE_NOTE, "AP50 in points by size", breakdowns.size_table(study, found)),
        Section(
            "Inshore and offshore",
            f"{breakdowns.GROUP_NOTE} {study.groups_note}".strip() if grouped else breakdowns.NO_GROUPS,
            "AP50 in points by group",
            groups if grouped else None,
        ),
        Section("Kinds of errors", breakdowns.ERROR_NOTE, "Errors by kind", breakdowns.error_table(study, found)),
        Section("False alarms", alarms, "False alarms", breakdowns.alarm_table(study, found)),
    ]
