"""The numbers of a report: figures by cell, their mean and spread by arm, differences paired by seed.

Everything here is a fraction in [0, 1], or None where there is nothing to say (no truth, no second seed).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from osm.compare.study import METRICS, ArmInfo, CellResult, Study

PLACES = ("tile", "scene")
COUNTS = ("truth_count", "detection_count")

#: Every figure of a cell, e.g. ``ap50_tile``.
FIGURES = tuple(f"{metric}_{place}" for place in PLACES for metric in METRICS)


@dataclass(frozen=True)
class Summary:
    """Mean and spread over seeds of one figure of one detector × arm.

    Attributes:
        metric: One of ``FIGURES``.
        mean: None where no seed has this figure.
        sd: Sample standard deviation; None for fewer than two seeds.
        n_seeds: Seeds that have this figure.
    """

    detector: str
    arm: str
    metric: str
    mean: float | None
    sd: float | None
    n_seeds: int


@dataclass(frozen=True)
class Delta:
    """Difference of one figure between two arms of one detector, paired by seed: ``arm`` minus ``baseline``.

    Attributes:
        per_seed: Seed and difference, of the seeds that both arms have.
        mean: Mean of the differences.
        sd: Their sample standard deviation; None for one seed.
        n_seeds: Number of pairs.
    """

    detector: str
    arm: str
    baseline: str
    metric: str
    mean: float
    sd: float | None
    n_seeds: int
    per_seed: tuple[tuple[int, float], ...]


def figure(cell: CellResult, name: str) -> float | None:
    """One figure of a cell by its report name (``ap50_tile``, ``truth_count_scene``); None for a missing or nan one."""
    metric, _, place = name.rpartition("_")
    value = (cell.tile if place == "tile" else cell.scene).get(metric)
    return None if value is None or not math.isfinite(value) else float(value)


def count(cell: CellResult, name: str) -> int | None:
    """The same for a count."""
    value = figure(cell, name)
    return None if value is None else round(value)


def ordered_cells(study: Study) -> list[CellResult]:
    """Cells by detector, arm (both in the order of the study) and seed."""
    detectors = {name: index for index, name in enumerate(study.detectors)}
    arms = {arm.name: index for index, arm in enumerate(study.arms)}

    def place(cell: CellResult) -> tuple[int, int, int]:
        return detectors.get(cell.detector, len(detectors)), arms.get(cell.arm, len(arms)), cell.seed

    return sorted(study.cells, key=place)


def summaries(study: Study) -> list[Summary]:
    """Mean ± spread of every figure of every detector × arm that has a cell."""
    rows = []
    for detector in study.detectors:
        for arm in study.arms:
            cells = _cells(study, detector, arm.name)
            for name in FIGURES if cells else ():
                values = _present(figure(cell, name) for cell in cells)
                rows.append(Summary(detector, arm.name, name, _mean(values), _sd(values), len(values)))
    return rows


def baselines(study: Study) -> list[ArmInfo]:
    """What the arms are compared with: the study's baseline, then every other ``imagenet`` arm."""
    named = [arm for arm in study.arms if arm.name == study.baseline]
    return named + [arm for arm in study.arms if arm.kind == "imagenet" and arm.name != study.baseline]


def deltas(study: Study) -> list[Delta]:
    """Every arm against every baseline of ``compared``, paired by the seeds that both have."""
    rows = []
    for arm, baseline in compared(study):
        for detector in study.detectors:
            floor = {cell.seed: cell for cell in _cells(study, detector, baseline.name)}
            cells = [cell for cell in _cells(study, detector, arm.name) if cell.seed in floor]
            for name in FIGURES:
                pairs = _differences(cells, floor, name)
                if pairs:
                    rows.append(_delta(detector, arm.name, baseline.name, name, pairs))
    return rows


def compared(study: Study) -> list[tuple[ArmInfo, ArmInfo]]:
    """Arm and baseline of every comparison, no two arms twice: all against the baselines, a fusion against its members.

    A ``scratch`` arm is a baseline only: its difference from ``imagenet`` is the other one with its sign turned.
    """
    found = [
        (arm, baseline)
        for baseline in baselines(study)
        for arm in study.arms
        if arm.name != baseline.name and arm.kind != "scratch" and not _is_mirror(study, arm, baseline)
    ]
    by_name = {arm.name: arm for arm in study.arms}
    members = [(arm, by_name[name]) for arm in study.arms for name in arm.members]
    return found + [pair for pair in members if pair not in found]


def _is_mirror(study: Study, arm: ArmInfo, baseline: ArmInfo) -> bool:
    """Whether the same two arms are already compared the other way round."""
    order = [one.name for one in baselines(study)]
    return arm.name in order and order.index(arm.name) < order.index(baseline.name)


def _differences(cells: Sequence[CellResult], floor: dict[int, CellResult], name: str) -> tuple[tuple[int, float], ...]:
    pairs = []
    for cell in sorted(cells, key=lambda cell: cell.seed):
        ours, theirs = figure(cell, name), figure(floor[cell.seed], name)
        if ours is not None and theirs is not None:
            pairs.append((cell.seed, ours - theirs))
    return tuple(pairs)


def _delta(detector: str, arm: str, baseline: str, name: str, pairs: tuple[tuple[int, float], ...]) -> Delta:
    values = [difference for _, difference in pairs]
    return Delta(detector, arm, baseline, name, statistics.fmean(values), _sd(values), len(values), pairs)


def _cells(study: Study, detector: str, arm: str) -> list[CellResult]:
    return [cell for cell in study.cells if cell.detector == detector and cell.arm == arm]


def _present(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _sd(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
