"""How sure each difference of a study is: the statistics of its cells, made once and kept by what they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from osm.compare.report.evidence import Evidence, Key
from osm.compare.report.kept import kept
from osm.compare.report.tables import compared
from osm.compare.statistics.difference import Difference
from osm.compare.statistics.holm import corrected
from osm.compare.statistics.ranking import CellRankings, cell_rankings
from osm.compare.statistics.spread import Spread
from osm.compare.statistics.study import Settings, differences
from osm.compare.study import ArmInfo, Study, is_placebo

#: What is tested if nothing else is asked for: one figure, of whole scenes. Every further one costs power.
PLACE = "scene"
METRICS = ("ap50",)
RESAMPLES, SWAPS, SEED = 10_000, 5_000, 0

#: Below this many cells a second process starts later than one is done.
_CELLS_A_WORKER = 24
_VERSION = 1


@dataclass(frozen=True)
class Certainty:
    """What could be tested of a study.

    Attributes:
        tested: Differences, corrected for their number where there are two seeds or more.
        untested: Why some or all cells took no part, a sentence each.
        metrics: Figures that were asked for.
    """

    tested: tuple[Difference, ...] = ()
    untested: tuple[str, ...] = ()
    metrics: tuple[str, ...] = METRICS

    def find(self, detector: str, arm: str, baseline: str, metric: str = "ap50") -> Difference | None:
        """The difference of these two arms."""
        wanted = (detector, arm, baseline, metric)
        return next((one for one in self.tested if (one.detector, one.arm, one.baseline, one.metric) == wanted), None)

    def family(self, difference: Difference) -> int:
        """Number of comparisons that a p-value was corrected for."""
        pair = (difference.arm, difference.baseline)
        return sum((one.arm, one.baseline) == pair and one.p_holm is not None for one in self.tested)


def claims(difference: Difference) -> bool:
    """Whether it says anything of runs and scenes to come: for that it takes two seeds and two scenes."""
    return difference.spread.n_seeds > 1 and difference.spread.n_scenes > 1


def settled(difference: Difference) -> bool:
    """Whether the corrected p-value is at most 0.05, and there are the seeds and scenes to say so."""
    return claims(difference) and difference.settled


def pairs(study: Study) -> list[tuple[str, str]]:
    """Arm and baseline of everything that is tested: all arms against the baselines, matched ones against a placebo."""
    found = [(arm.name, baseline.name) for arm, baseline in compared(study)]
    for arm in study.arms:
        placebo = placebo_of(study, arm)
        if placebo is not None:
            found.append((arm.name, placebo))
    return found


def placebo_of(study: Study, arm: ArmInfo) -> str | None:
    """The arm that was pretrained as this one was, but on shuffled pairs: the one of its name, or the only one."""
    if arm.kind != "osm" or is_placebo(arm.name):
        return None
    matched = [one.name for one in study.arms if one.kind == "osm" and not is_placebo(one.name)]
    placebos = [one.name for one in study.arms if one.kind == "osm" and is_placebo(one.name)]

    def owner(placebo: str) -> str | None:
        # osm-long-shuffled begins with osm- too, and is osm-long's
        names = [name for name in matched if placebo.startswith((f"{name}-", f"{name}_"))]
        return max(names, key=len) if names else None

    own = [name for name in placebos if owner(name) == arm.name]
    return min(own, key=len) if own else placebos[0] if len(placebos) == 1 else None


def measure(
    study: Study,
    evidence: dict[Key, Evidence],
    cache: Path | None = None,
    metrics: Sequence[str] = METRICS,
    workers: int = 1,
) -> Certainty:
    """Test what can be tested.

    Args:
        study: The comparison.
        evidence: Its cells.
        cache: Folder to keep the result in, by the SHA-256 of all predictions; None to keep nothing.
        metrics: Figures to test, of ``osm.compare.statistics.study.METRICS``; p-values are corrected for all of them.
        workers: Processes at most; more than one are started anew, so that a script has to guard its main part.

    Raises:
        DataError: Arms were scored on different scenes or ships.
    """
    wanted = pairs(study)
    have = {key: found for key, found in evidence.items() if found.predictions is not None}
    missing = len(evidence) - len(have)
    untested = [f"{missing} of {len(evidence)} cells left no predictions and took no part in the tests."] * bool(
        missing
    )
    usable: dict[Key, Evidence] = {}
    for detector in study.detectors:
        cells = {key: found for key, found in have.items() if key[0] == detector}
        if cells and not any(_ships(found) for found in cells.values()):
            untested.append(f"{detector}: the test scenes hold no ship, so there is nothing to test.")
        else:
            usable |= cells
    if not usable or not wanted:
        return Certainty((), tuple(untested), tuple(metrics))
    content = {
        "version": _VERSION,
        "settings": [RESAMPLES, SWAPS, SEED, PLACE, list(metrics)],
        "pairs": wanted,
        "cells": [[*key, found.predictions_sha256] for key, found in usable.items()],
    }
    values = kept(
        cache, "statistics", content, lambda: [asdict(one) for one in _test(usable, wanted, metrics, workers)]
    )
    return Certainty(tuple(_correct([_read(one) for one in values])), tuple(untested), tuple(metrics))


def _ships(found: Evidence) -> int:
    scenes = found.predictions.scenes if found.predictions is not None else ()
    return sum(int((~scene.ignore).sum()) for scene in scenes)


def _test(
    cells: dict[Key, Evidence], wanted: Sequence[tuple[str, str]], metrics: Sequence[str], workers: int
) -> list[Difference]:
    coco = any("coco" in metric for metric in metrics)
    judged: dict[Key, CellRankings] = {
        key: cell_rankings(found.predictions, PLACE, with_coco=coco)
        for key, found in cells.items()
        if found.predictions is not None
    }
    settings = Settings(RESAMPLES, SWAPS, SEED, min(workers, 1 + len(judged) // _CELLS_A_WORKER))
    return differences(judged, wanted, place=PLACE, metrics=metrics, settings=settings)


def _correct(found: list[Difference]) -> list[Difference]:
    """Holm's correction over what claims anything: one seed is no comparison to be counted."""
    counted = [index for index, one in enumerate(found) if claims(one)]
    for index, one in zip(counted, corrected([found[index] for index in counted]), strict=True):
        found[index] = one
    return found


def _read(values: dict[str, Any]) -> Difference:
    per_seed = tuple((int(seed), float(delta)) for seed, delta in values["per_seed"])
    return Difference(**{**values, "per_seed": per_seed, "spread": Spread(**values["spread"])})
