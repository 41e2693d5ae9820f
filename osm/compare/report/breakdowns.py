"""Where the difference is: AP by size of ship and group of scenes, kinds of errors, and false alarms."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osm.compare.breakdown.error_kinds import KINDS, error_kinds
from osm.compare.breakdown.false_alarms import false_alarm_rate
from osm.compare.breakdown.subsets import COCO_SIZES, by_group, by_size
from osm.compare.report.evidence import Evidence, Key
from osm.compare.report.kept import kept
from osm.compare.report.words import Column, Table, points, spread
from osm.compare.study import ArmInfo, Study
from osm.detection.predictions import Predictions

#: Least score that raises an alarm, for the rate of false ones.
MIN_SCORE = 0.5
_VERSION = 1

NOTE = (
    "All of whole scenes and at IoU 0.5: the mean ± sample standard deviation over seeds. Nothing here is tested; with "
    "so many parts, some differ by chance."
)
SIZE_NOTE = "AP50 of ships by the area of their box; a detection that hits no ship counts in the class of its own size."
GROUP_NOTE = "AP50 by group of scenes."
NO_GROUPS = (
    "No list of inshore and offshore scenes is known for these data, and none was given (--groups, --land-mask), so "
    "they are not told apart."
)
ERROR_NOTE = (
    "Kinds of errors after TIDE: badly localised (IoU with a ship from 0.1 to below 0.5), duplicate (of a ship that is "
    "found already), background (below 0.1) and missed ships. Points: what AP50 would gain if errors of this kind "
    "alone were mended."
)
ALARM_NOTE = f"False alarms with a score of {MIN_SCORE} or more, and the share of ships found at that score."
NO_AREA = " The ground size of a pixel is not known for every test scene, so there is no number per km²."


@dataclass(frozen=True)
class CellBreakdown:
    """The figures of one cell, taken apart.

    Attributes:
        sizes: AP50 (None without a ship) and number of ships by class of size.
        groups: The same by group of scenes, with the number of scenes.
        errors: Number and AP50 lost (None without a ship) by kind.
        false_alarms: At ``MIN_SCORE``.
        per_km2: Their number per km²; None where an area is not known.
        recall: At ``MIN_SCORE``; None without ships.
    """

    sizes: dict[str, tuple[float | None, int]]
    groups: dict[str, tuple[float | None, int, int]]
    errors: dict[str, tuple[int, float | None]]
    false_alarms: int
    per_km2: float | None
    recall: float | None


def break_down(study: Study, evidence: dict[Key, Evidence], cache: Path | None = None) -> dict[Key, CellBreakdown]:
    """Take every cell apart that left predictions; kept in ``cache`` by the SHA-256 of them."""
    made = {}
    for key, found in evidence.items():
        predictions = found.predictions
        if predictions is None:
            continue
        names = {scene.scene_id for scene in predictions.scenes}
        groups = {name: group for name, group in study.groups.items() if name in names}
        pixel_m = {name: size for name, size in study.pixel_m.items() if name in names}
        content = [_VERSION, found.predictions_sha256, sorted(groups.items()), sorted(pixel_m.items()), MIN_SCORE]

        def make(
            predictions: Predictions = predictions, groups: dict[str, str] = groups, pixel_m: dict[str, float] = pixel_m
        ) -> dict[str, Any]:
            return _take_apart(predictions, groups, pixel_m)

        made[key] = CellBreakdown(**kept(cache, "breakdown", content, make))
    return made


def _take_apart(predictions: Predictions, groups: dict[str, str], pixel_m: dict[str, float]) -> dict[str, Any]:
    results = predictions.scene_results()
    members = {group: [name for name, own in groups.items() if own == group] for group in sorted(set(groups.values()))}
    rate = false_alarm_rate(predictions.scenes, dict(pixel_m), min_score=MIN_SCORE)
    return {
        "sizes": {one.name: (one.ap50, one.ships) for one in by_size(results)},
        "groups": {one.name: (one.ap50, one.ships, one.scenes) for one in by_group(results, dict(members))},
        "errors": {one.kind: (one.count, one.delta_ap) for one in error_kinds(results)},
        "false_alarms": rate.false_alarms,
        "per_km2": rate.per_km2,
        "recall": rate.recall,
    }


def size_table(study: Study, found: dict[Key, CellBreakdown]) -> Table:
    """AP50 by size of ship."""
    limits = {one.name: f"{one.name}: {_limits(one.least_px2, one.most_px2)}" for one in COCO_SIZES}
    held = [{name: (_ships(ships),) for name, (_, ships) in one.sizes.items()} for one in found.values()]
    return _parted(study, found, lambda one: one.sizes, held, limits)


def group_table(study: Study, found: dict[Key, CellBreakdown]) -> Table:
    """AP50 by group of scenes; without rows where no group is known."""
    held = [
        {name: (_scenes(scenes), _ships(ships)) for name, (_, ships, scenes) in one.groups.items()}
        for one in found.values()
    ]
    if not any(held):
        return Table((Column("Detector", number=False),), ())
    return _parted(study, found, lambda one: one.groups, held, {})


def _parted(
    study: Study,
    found: dict[Key, CellBreakdown],
    parts: Callable[[CellBreakdown], Mapping[str, tuple[Any, ...]]],
    held: Sequence[Mapping[str, tuple[str, ...]]],
    titles: Mapping[str, str],
) -> Table:
    """AP50 by part of the test set. What a part holds stands in its head, or where detectors differ in it, nowhere."""
    names = list(dict.fromkeys(name for one in held for name in one))
    columns = []
    for name in names:
        told = {one.get(name) for one in held}
        words = told.pop() if len(told) == 1 else None
        title = titles.get(name, name)
        columns.append(Column(f"{title}{', ' if name in titles else ': '}{', '.join(words)}" if words else title))

    def row(own: Sequence[CellBreakdown]) -> list[str]:
        return [_points([parts(one)[name][0] if name in parts(one) else None for one in own]) for name in names]

    return _table(study, found, columns, row)


def error_table(study: Study, found: dict[Key, CellBreakdown]) -> Table:
    """Number of errors and points lost by kind."""
    columns = [Column(name, kind) for kind in KINDS for name in ("errors", "points")]

    def row(own: Sequence[CellBreakdown]) -> list[str]:
        cells = []
        for kind in KINDS:
            cells.append(_number([float(one.errors[kind][0]) for one in own], 1))
            cells.append(_points([one.errors[kind][1] for one in own]))
        return cells

    return _table(study, found, columns, row)


def alarm_table(study: Study, found: dict[Key, CellBreakdown]) -> Table:
    """False alarms, per km² where areas are known, and the share of ships found."""
    areas = bool(found) and all(one.per_km2 is not None for one in found.values())
    columns = [Column("False alarms"), *([Column("per km²")] if areas else []), Column("Ships found, %")]

    def row(own: Sequence[CellBreakdown]) -> list[str]:
        rate = [_number([one.per_km2 for one in own], 3)] if areas else []
        return [_number([float(one.false_alarms) for one in own], 1), *rate, _points([one.recall for one in own])]

    return _table(study, found, columns, row)


def areas_known(found: dict[Key, CellBreakdown]) -> bool:
    """Whether every cell has a number of false alarms per km²."""
    return all(one.per_km2 is not None for one in found.values())


def to_json(found: dict[Key, CellBreakdown]) -> list[dict[str, Any]]:
    """One object a cell."""
    return [
        {
            "detector": detector,
            "arm": arm,
            "seed": seed,
            "sizes": [{"name": name, "ap50": ap, "ships": ships} for name, (ap, ships) in one.sizes.items()],
            "groups": [
                {"name": name, "ap50": ap, "ships": ships, "scenes": scenes}
                for name, (ap, ships, scenes) in one.groups.items()
            ],
            "errors": [{"kind": kind, "count": count, "delta_ap": ap} for kind, (count, ap) in one.errors.items()],
            "false_alarms": {
                "min_score": MIN_SCORE, "count": one.false_alarms, "per_km2": one.per_km2, "recall": one.recall,
            },
        }
        for (detector, arm, seed), one in found.items()
    ]  # fmt: skip


def _table(study: Study, found: dict[Key, CellBreakdown], columns: Sequence[Column], row: Any) -> Table:
    lines = []
    for detector in study.detectors:
        for arm in study.arms:
            own = _cells(study, found, detector, arm)
            if own:
                lines.append((detector, arm.label, str(len(own)), *row(own)))
    heads = (Column("Detector", number=False), Column("Arm", number=False), Column("Seeds"))
    return Table((*heads, *columns), tuple(lines))


def _cells(study: Study, found: dict[Key, CellBreakdown], detector: str, arm: ArmInfo) -> list[CellBreakdown]:
    return [found[detector, arm.name, seed] for seed in study.seeds if (detector, arm.name, seed) in found]


def _points(values: Sequence[float | None]) -> str:
    have = [value for value in values if value is not None]
    return spread(statistics.fmean(have), statistics.stdev(have) if len(have) > 1 else None) if have else points(None)


def _number(values: Sequence[float | None], places: int) -> str:
    have = [value for value in values if value is not None]
    if not have:
        return "–"
    text = f"{statistics.fmean(have):.{places}f}"
    return f"{text} ± {statistics.stdev(have):.{places}f}" if len(have) > 1 else text


def _scenes(number: int) -> str:
    return f"{number} scene{'' if number == 1 else 's'}"


def _ships(number: int) -> str:
    return f"{number} ship{'' if number == 1 else 's'}"


def _limits(least: float, most: float) -> str:
    if most == float("inf"):
        return f"≥ {least**0.5:.0f}² px"
    return f"< {most**0.5:.0f}² px" if least == 0 else f"{least**0.5:.0f}² to {most**0.5:.0f}² px"
