"""What the fairness lock said, and the learning rates that were tried, for the report."""

from __future__ import annotations

from typing import Any

from osm.compare.fairness import Verdict
from osm.compare.report.settings import flatten
from osm.compare.report.words import Column, Table, labels, points
from osm.compare.study import Study


def shared_settings(verdict: Verdict) -> list[tuple[str, list[tuple[str, str]]]]:
    """A title and the settings that all cells of a detector ran with, one a detector."""
    return [(f"What every cell of {detector} ran with", flatten(values)) for detector, values in verdict.shared.items()]


def tuning_note(study: Study) -> str:
    """How the learning rates were chosen; empty where they were not."""
    if not study.tuning:
        return ""
    parts = []
    for detector, facts in study.tuning["detectors"].items():
        count, seeds = facts["scenes"], ", ".join(map(str, facts["seeds"]))
        scenes = f"{count} training scene{'' if count == 1 else 's'}"
        parts.append(f"{detector} on {scenes}, with seed{'' if len(facts['seeds']) == 1 else 's'} {seeds}")
    return (
        f"Every arm of a detector was tried with the same learning rates: {'; '.join(parts)}. What a trial is scored "
        "on was held out of its training; no such scene is a test scene, or was found to show one. Chosen was "
        f"{study.tuning['rule']}."
    )


def tuning_table(study: Study) -> Table:
    """Detector × arm × learning rate, and what each trial found."""
    label = labels(study)
    columns = [Column("Detector", number=False), Column("Arm", number=False), Column("Learning rate")]
    columns += [Column("AP50 of held-out scenes"), Column("By seed", number=False), Column("Chosen", number=False)]
    rows = []
    for one in study.tuning.get("trials", ()):
        name = label.get(one["arm"], one["arm"])
        each = ", ".join(_by_seed(entry) for entry in one["per_seed"])
        rows.append((one["detector"], name, f"{one['lr']:g}", points(one["ap50"]), each, _chosen(one)))
    return Table(tuple(columns), tuple(rows))


def _by_seed(entry: dict[str, Any]) -> str:
    return "diverged" if entry["diverged"] else points(entry["ap50"])


def _chosen(one: dict[str, Any]) -> str:
    if not one["chosen"]:
        return "–"
    return "chosen, at the edge of the grid" if one["edge"] else "chosen"
