"""How fast each arm learns: AP on validation scenes by epoch, and the epochs that a goal takes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.compare.breakdown.epochs_to import epochs_to
from osm.compare.report import figures
from osm.compare.report.charts import Chart
from osm.compare.report.evidence import Key, key
from osm.compare.report.figures import Line
from osm.compare.report.words import Column, Table, points
from osm.compare.study import Study
from osm.detection.validation import VALIDATION
from osm.errors import DataError
from osm.files import read_json

#: Shares of the baseline's final AP.
GOALS = (0.5, 0.75, 0.9, 1.0)

NOTE = (
    "AP50 per scene on validation scenes: a part of the training scenes that no cell trains on, the same in all, and "
    "none of them a test scene. Looked at while the detector trains: nothing is chosen by it, nothing of it is tested."
)
GOAL_NOTE = (
    "Epochs until AP50 on the validation scenes first reaches a share of what {baseline} ends with (mean over its "
    "seeds), read off between two looks: mean ± standard deviation over seeds. Where not every seed reaches it, the "
    "mean is of those that do, which flatters the arm; their number stands behind it."
)


@dataclass(frozen=True, eq=False)
class Looks:
    """What one cell's training saw on the validation scenes.

    Attributes:
        epochs: (K,) rising.
        tile: (K,) AP50 per tile, nan without ships.
        scene: (K,) the same per scene.
    """

    epochs: NDArray[np.float64]
    tile: NDArray[np.float64]
    scene: NDArray[np.float64]


def read_looks(study: Study) -> dict[Key, Looks]:
    """``validation.json`` of every cell that has one.

    Raises:
        DataError: A file is broken.
    """
    found = {}
    for cell in study.cells:
        path = cell.folder / VALIDATION
        if not path.is_file():
            continue
        try:
            rows = [
                [float(one["epoch"]), *(_number(one[f"ap50_{place}"]) for place in ("tile", "scene"))]
                for one in read_json(path)
            ]
        except (TypeError, KeyError, ValueError) as error:
            raise DataError(
                path,
                found=f"{type(error).__name__} {error}",
                expected="a list of epoch, ap50_tile and ap50_scene",
                mend="run the cell again",
            ) from error
        values = np.array(sorted(rows), dtype=np.float64).reshape(-1, 3)
        if len(values):
            found[key(cell)] = Looks(*values.T)
    return found


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def learning_charts(study: Study, looks: dict[Key, Looks]) -> list[Chart]:
    """AP50 over epochs, a figure a detector: a pale line a seed, a bold one for their mean."""
    charts = []
    for detector in study.detectors:
        lines: list[Line] = []
        numbers, said = [], []
        for index, arm in enumerate(study.arms):
            own = _of(study, looks, detector, arm.name)
            if not own:
                continue
            epochs, mean = mean_of(own)
            lines += [Line(index, one.epochs, 100 * one.scene, thin=True) for one in own if len(own) > 1]
            lines.append(Line(index, epochs, 100 * mean))
            count = str(len(own))
            numbers += [(arm.label, count, f"{e:g}", points(v)) for e, v in zip(epochs, mean, strict=True)]
            begin, end = (f"{100 * mean[k]:.1f} after epoch {epochs[k]:g}" for k in (0, -1))
            said.append(f"{arm.label} from {begin} to {end}")
        if lines:
            svg = figures.learning_svg(f"learning-{detector}", lines)
            columns = (
                Column("Arm", number=False), Column("Seeds"), Column("Epoch"), Column("AP50, validation scenes"),
            )  # fmt: skip
            caption = f"{detector}: AP50 on validation scenes while it trains"
            charts.append(Chart(svg, caption, f"{caption}: {'; '.join(said)}.", Table(columns, tuple(numbers))))
    return charts


def mean_of(own: Sequence[Looks]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of several trainings at every epoch at which one was looked at and that all have come to.

    Trainings with few labels differ in how many epochs make their steps; between two looks AP is taken for a line.

    Returns:
        Epochs and AP50 per scene.
    """
    first, last = max(one.epochs[0] for one in own), min(one.epochs[-1] for one in own)
    epochs = np.unique(np.concatenate([one.epochs for one in own]))
    epochs = epochs[(epochs >= first) & (epochs <= last)]
    if not len(epochs):  # one has ended before another was looked at
        epochs = np.array([last])
    return epochs, np.mean([np.interp(epochs, one.epochs, one.scene) for one in own], axis=0)


def goal_table(study: Study, looks: dict[Key, Looks]) -> Table:
    """Epochs that each arm takes to a share of the baseline's final AP."""
    columns = [Column(name, number=False) for name in ("Detector", "Arm")] + [Column("Seeds")]
    columns += [Column(f"{100 * share:g} %", f"Epochs to … of {study.baseline}'s final AP50") for share in GOALS]
    lines = []
    for detector in study.detectors:
        goals = [_goal(study, looks, detector, share) for share in GOALS]
        for arm in study.arms:
            own = _of(study, looks, detector, arm.name)
            if own and None not in goals:
                cells = [_words([_epochs(one, goal) for one in own]) for goal in goals]
                lines.append((detector, arm.label, str(len(own)), *cells))
    return Table(tuple(columns), tuple(lines))


def _goal(study: Study, looks: dict[Key, Looks], detector: str, share: float) -> float | None:
    ends = [float(one.scene[-1]) for one in _of(study, looks, detector, study.baseline)]
    known = [value for value in ends if math.isfinite(value)]
    final = statistics.fmean(known) if known else 0.0
    # a baseline that finds nothing sets no goal
    return share * final if final > 0 else None


def _epochs(one: Looks, goal: float | None) -> float | None:
    # a mean of equal figures may end a bit above all of them
    return None if goal is None else epochs_to(one.epochs.tolist(), one.scene.tolist(), goal - 1e-9)


def _words(found: list[float | None]) -> str:
    reached = [value for value in found if value is not None]
    if not reached:
        return "never"
    text = f"{statistics.fmean(reached):.1f}" + (f" ± {statistics.stdev(reached):.1f}" if len(reached) > 1 else "")
    return text if len(reached) == len(found) else f"{text} ({len(reached)} of {len(found)})"


def _of(study: Study, looks: dict[Key, Looks], detector: str, arm: str) -> list[Looks]:
    return [looks[detector, arm, seed] for seed in study.seeds if (detector, arm, seed) in looks]


def to_json(study: Study, looks: dict[Key, Looks]) -> list[dict[str, Any]]:
    """One object a cell that was looked at; AP is null without ships, an epoch where a goal is never reached."""
    made = []
    for (detector, arm, seed), one in looks.items():
        goals = []
        for share in GOALS:
            goal = _goal(study, looks, detector, share)
            goals.append({"share": share, "goal": goal, "epochs": _epochs(one, goal)})
        made.append({
            "detector": detector, "arm": arm, "seed": seed, "epochs": one.epochs.tolist(),
            "ap50_tile": _known(one.tile), "ap50_scene": _known(one.scene), "goals": goals,
        })  # fmt: skip
    return made


def _known(values: NDArray[np.float64]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]
