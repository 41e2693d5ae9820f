"""Every difference of a study, from the judged detections of its cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from osm.compare.statistics.difference import Difference, interval, permutation_p
from osm.compare.statistics.ranking import CellRankings, Ranking
from osm.compare.statistics.resample import resampled_ap, scene_draws, scene_swaps, swapped_difference
from osm.detection.evaluate import area_under_curve, coco_points, curve_of, eleven_points
from osm.errors import DataError

#: Detector, arm and seed of a cell.
Key = tuple[str, str, int]

#: Figures by name: which rankings they are the mean of, and how the curve is summed.
METRICS = {
    "ap50": ("voc", "area"),
    "ap50_voc07": ("voc", "eleven"),
    "ap50_coco": ("coco50", "coco"),
    "ap_coco": ("coco", "coco"),
}

_SUMS = {"area": area_under_curve, "eleven": eleven_points, "coco": coco_points}

Floats32 = NDArray[np.float32]
Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Settings:
    """How much is drawn, and from which seed.

    Attributes:
        resamples: Draws of the bootstrap.
        swaps: Draws of the permutation test; each stands for its mirror too.
        seed: Of all draws.
        workers: Processes.
    """

    resamples: int = 10_000
    swaps: int = 5_000
    seed: int = 0
    workers: int = 1


def cell_figures(cell: CellRankings, metrics: Iterable[str] = tuple(METRICS)) -> dict[str, float]:
    """AP of one cell as the evaluator has it, a fraction by metric; nan without truth."""
    return {metric: _mean([_figure(one, METRICS[metric][1]) for one in _rankings(cell, metric)]) for metric in metrics}


def differences(
    cells: Mapping[Key, CellRankings],
    pairs: Sequence[tuple[str, str]],
    *,
    place: str,
    metrics: Sequence[str] = ("ap50",),
    settings: Settings | None = None,
) -> list[Difference]:
    """Every arm against its baseline, for every detector that has both with one seed at least.

    Not corrected for their number: see ``osm.compare.statistics.holm.corrected``.

    Args:
        cells: Judged detections of the cells.
        pairs: Arm and baseline.
        place: What the cells were judged by, ``tile`` or ``scene``; only handed on.
        metrics: Of ``METRICS``.
        settings: Draws.

    Raises:
        DataError: Cells of one detector were scored on different scenes or ships, or there is no ship.
    """
    chosen = settings or Settings()
    wanted = [pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1]]
    detectors = list(dict.fromkeys(detector for detector, _, _ in cells))
    for detector in detectors:
        _check({key: cell for key, cell in cells.items() if key[0] == detector})
    jobs = []
    for arm, baseline in wanted:
        for detector in detectors:
            have = {name: {seed for d, one, seed in cells if (d, one) == (detector, name)} for name in (arm, baseline)}
            if shared := sorted(have[arm] & have[baseline]):
                jobs.append((detector, arm, baseline, shared))
    used = list(
        dict.fromkeys((d, name, seed) for d, arm, baseline, seeds in jobs for name in (arm, baseline) for seed in seeds)
    )
    with _mapping(chosen.workers) as in_all:
        found = in_all(partial(_draw, metrics=tuple(metrics), settings=chosen), [cells[key] for key in used])
        drawn = dict(zip(used, found, strict=True))
        both = [(cells[d, arm, seed], cells[d, baseline, seed]) for d, arm, baseline, seeds in jobs for seed in seeds]
        swapped = iter(in_all(partial(_swap, metrics=tuple(metrics), settings=chosen), both))
        made = []
        for detector, arm, baseline, seeds in jobs:
            swaps = [next(swapped) for _ in seeds]
            scenes = len(cells[detector, arm, seeds[0]].scene_ids)
            for metric in metrics:
                ours = [drawn[detector, arm, seed][metric] for seed in seeds]
                theirs = [drawn[detector, baseline, seed][metric] for seed in seeds]
                deltas = np.array([a.figure - b.figure for a, b in zip(ours, theirs, strict=True)])
                draws = np.array([a.draws.astype(np.float64) - b.draws for a, b in zip(ours, theirs, strict=True)])
                rng = np.random.default_rng([chosen.seed, 3])
                low, high, spread = interval(deltas, draws, scenes, rng)
                p = permutation_p(deltas, np.array([one[metric] for one in swaps], dtype=np.float64), scenes, rng)
                per_seed = tuple((seed, float(delta)) for seed, delta in zip(seeds, deltas, strict=True))
                estimate = float(deltas.mean())
                made.append(
                    Difference(detector, arm, baseline, metric, place, per_seed, estimate, low, high, p, None, spread)
                )
    return made


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One figure of one cell, and the same in every resample (B,)."""

    figure: float
    draws: Floats32


def _draw(cell: CellRankings, metrics: tuple[str, ...], settings: Settings) -> dict[str, _Drawn]:
    truth = tuple(cell.voc.truth_counts.tolist())
    drawn = _scene_draws(truth, settings.resamples, settings.seed)
    made = _by_metric([cell], metrics, lambda rankings, kinds: resampled_ap(rankings[0], drawn, kinds))
    figures = cell_figures(cell, metrics)
    return {metric: _Drawn(figures[metric], made[metric]) for metric in metrics}


@lru_cache(maxsize=2)
def _scene_draws(truth_counts: tuple[int, ...], resamples: int, seed: int) -> Floats32:
    """The same draws for every cell of a test set: they take longer than what is done with them."""
    rng = np.random.default_rng([seed, 1])
    drawn = scene_draws(len(truth_counts), resamples, rng, np.array(truth_counts, dtype=np.int64))
    drawn.setflags(write=False)
    return drawn


def _swap(both: tuple[CellRankings, CellRankings], metrics: tuple[str, ...], settings: Settings) -> dict[str, Floats32]:
    ours, theirs = both
    swaps = scene_swaps(len(ours.scene_ids), settings.swaps, np.random.default_rng([settings.seed, 2]))
    return _by_metric(
        [theirs, ours], metrics, lambda rankings, kinds: swapped_difference(rankings[0], rankings[1], swaps, kinds)
    )


def _by_metric(
    cells: Sequence[CellRankings],
    metrics: Sequence[str],
    work: Callable[[Sequence[Ranking], tuple[str, ...]], dict[str, Floats32]],
) -> dict[str, Floats32]:
    """Each ranking is worked on once for all the metrics that are made of it."""
    made: dict[str, Floats32] = {}
    kinds = tuple(dict.fromkeys(METRICS[metric][1] for metric in metrics if METRICS[metric][0] == "voc"))
    if kinds:
        found = work([cell.voc for cell in cells], kinds)
        made |= {metric: found[METRICS[metric][1]] for metric in metrics if METRICS[metric][0] == "voc"}
    if "ap_coco" in metrics:
        levels = [work([cell.coco[level] for cell in cells], ("coco",))["coco"] for level in range(len(cells[0].coco))]
        made["ap_coco"] = np.mean(levels, axis=0, dtype=np.float32)
        if "ap50_coco" in metrics:
            made["ap50_coco"] = levels[0]
    elif "ap50_coco" in metrics:
        made["ap50_coco"] = work([cell.coco[0] for cell in cells], ("coco",))["coco"]
    return made


def _rankings(cell: CellRankings, metric: str) -> tuple[Ranking, ...]:
    source = METRICS[metric][0]
    return (cell.voc,) if source == "voc" else cell.coco[:1] if source == "coco50" else cell.coco


def _figure(ranking: Ranking, kind: str) -> float:
    truth = int(ranking.truth_counts.sum())
    return _SUMS[kind](*curve_of(ranking.hit.astype(np.int8), truth)) if truth else float("nan")


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("COCO's rankings were not made")
    return float(np.mean(values))


def _check(cells: Mapping[Key, CellRankings]) -> None:
    first_key, first = next(iter(cells.items()))
    for key, cell in cells.items():
        if cell.scene_ids != first.scene_ids or (cell.voc.truth_counts != first.voc.truth_counts).any():
            raise DataError(
                f"predictions of {_name(key)}",
                found="other scenes or other ships",
                expected=f"those of {_name(first_key)}",
                mend="score all arms of a comparison on the same test scenes",
            )
    if first.voc.truth_counts.sum() == 0:
        raise DataError(
            f"predictions of {_name(first_key)}", found="no ship", expected="one at least", mend="check the labels"
        )


def _name(key: Key) -> str:
    return f"{key[0]}, {key[1]}, seed {key[2]}"


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[[Callable[[Item], Made], Sequence[Item]], list[Made]]]:
    """Maps a function over items, in processes where more than one is asked for."""
    if workers < 2:
        yield lambda function, items: [function(item) for item in items]
        return
    # spawned, not forked: the caller may hold threads of torch
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield lambda function, items: list(pool.map(function, items, chunksize=4))
