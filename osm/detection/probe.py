"""The transfer probe: a small fixed detector, few labels and a few seeds say what a start is worth.

A matching score does not tell how a backbone transfers; this does, roughly and soon. Every start gets the same
labelled scenes, the same draws and the same steps, so that starts may be compared seed by seed.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from osm.compat.versions import git_revision, package_versions
from osm.data.radiometry import Radiometry
from osm.data.scenes import Scene, read_scenes
from osm.detection.arms import Init
from osm.detection.engines import Progress
from osm.detection.finetune import read_split
from osm.detection.fingerprint import digest_run, digest_scenes
from osm.detection.recipe import Recipe
from osm.detection.starts import Start, check_start
from osm.detection.tiles import SceneStore, held_back_scenes
from osm.detection.train import train_and_search
from osm.detection.workers import run_each
from osm.errors import ConfigError, DataError
from osm.files import exclusive, read_json, write_json, write_sums

FORMAT = 1
REPORT = "probe.json"
RUNS = "runs"

#: What a probe may be scored on. ``val`` is for reporting; settings and epochs are chosen on ``held-back``.
SCORE_ON = ("val", "held-back")


@dataclass(frozen=True)
class Run:
    """One finished run: one start × one seed.

    Attributes:
        fingerprint: Of everything that decides the figures.
        seed: Seed of what is random in the detector, of the order of tiles and of their turns.
        ap50: VOC AP at IoU 0.5 over whole scenes, in [0, 1].
        ap50_tile: The same over tiles.
        seconds: Wall time of training, search and scoring.
        cpu_seconds: Time of all threads in it.
        threads: Compute threads it had.
    """

    fingerprint: str
    seed: int
    ap50: float
    ap50_tile: float
    seconds: float
    cpu_seconds: float
    threads: int


@dataclass(frozen=True)
class ProbeResult:
    """What a probe says of one start.

    Attributes:
        start: The start.
        score_on: ``val`` or ``held-back``.
        runs: One a seed, in the order of the seeds.
    """

    start: Start
    score_on: str
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(run.seed for run in self.runs)

    @property
    def ap50(self) -> tuple[float, ...]:
        """AP50 over whole scenes, one a seed, in [0, 1]."""
        return tuple(run.ap50 for run in self.runs)

    @property
    def mean(self) -> float:
        """Mean of ``ap50``."""
        return mean(self.ap50)

    @property
    def sd(self) -> float | None:
        """Standard deviation of ``ap50`` over seeds (n - 1); None for one seed."""
        return stdev(self.ap50) if len(self.ap50) > 1 else None

    @property
    def seconds(self) -> float:
        """Wall time of all runs, as measured when they ran."""
        return sum(run.seconds for run in self.runs)


def probe_scenes(recipe: Recipe, data_root: Path, score_on: str) -> tuple[list[Scene], list[Scene]]:
    """The labelled few, and the scenes to score.

    The few are ``data.train_fraction`` of ``data.train_split``, by ``data.subset_seed``. ``val`` is
    ``data.test_split``; ``held-back`` are as many other scenes of ``data.train_split``, always the same.

    Raises:
        ConfigError: Another ``score_on``, or no scene is left to hold back.
        DataError: The data are broken, or the scenes to score show no ship.
    """
    if score_on not in SCORE_ON:
        raise ConfigError("score_on", found=repr(score_on), expected=" or ".join(SCORE_ON), mend="correct the spelling")
    few, scored = read_split(recipe, data_root)
    data = recipe.data
    if score_on == "held-back":
        pool = read_scenes(data.kind, data_root, data.train_split, data.test_ids)
        scored = held_back_scenes(pool, data.train_fraction, data.subset_seed, len(scored))
        if not scored:
            raise ConfigError(
                recipe.path,
                found=f"data.train_fraction = {data.train_fraction}, which holds no scene back",
                expected="less",
                mend="lower data.train_fraction",
            )
    if all(scene.ignore.all() for scene in scored):
        raise DataError(
            data_root, found=f"no ship in {score_on}", expected="at least one", mend="use another part of the data"
        )
    return few, scored


def probe(
    weights: Path | None,
    recipe: Recipe,
    *,
    data_root: Path,
    seeds: Sequence[int],
    score_on: str,
    work_dir: Path,
    min_coverage: float | None = None,
    allow_contract_mismatch: bool = False,
    jobs: int = 1,
    progress: Progress = lambda what, done, total: None,
) -> ProbeResult:
    """Probe one file of weights, e.g. one that a pretraining run has just written.

    Args:
        weights: The file; None for scratch.
        recipe: The probe's recipe.
        data_root: Folder of the labelled data.
        seeds: The seeds.
        score_on: ``val`` or ``held-back``; a pretraining run that stops by the probe must use the latter.
        work_dir: Folder of the probe, with the results of earlier calls.
        min_coverage: In place of the 1.0 of our own exports.
        allow_contract_mismatch: Whether weights that were trained on other input are taken all the same.
        jobs: As in ``probe_starts``.
        progress: Told what is under way.

    Raises:
        OSMError: As ``probe_starts`` does.
    """
    init = Init("scratch") if weights is None else Init("osm", weights)
    start = check_start(init, recipe, min_coverage, allow_contract_mismatch=allow_contract_mismatch)
    (result,) = probe_starts(
        [start],
        recipe,
        data_root=data_root,
        seeds=seeds,
        score_on=score_on,
        work_dir=work_dir,
        jobs=jobs,
        progress=progress,
    )
    return result


def probe_starts(
    starts: Sequence[Start],
    recipe: Recipe,
    *,
    data_root: Path,
    seeds: Sequence[int],
    score_on: str,
    work_dir: Path,
    jobs: int = 1,
    progress: Progress = lambda what, done, total: None,
) -> list[ProbeResult]:
    """Probe every start with every seed, and write ``probe.json``.

    A run is kept in ``runs/`` under its fingerprint (settings, bytes of the weights, seed, data) and never done
    twice; one that was interrupted starts anew. How many threads it had changes the last bits of a sum, and so the
    figures by less than another seed does: it is recorded, and does not count as another run.

    Args:
        starts: From ``check_start``.
        recipe: The probe's recipe.
        data_root: Folder of the labelled data.
        seeds: The same for every start.
        score_on: ``val`` or ``held-back``.
        work_dir: Folder of the probe.
        jobs: Processes at a time, which share the cores; 0 runs in this process, whose random state and loggers
            are then no longer what they were.
        progress: Told what is under way.

    Raises:
        ConfigError: A setting is wrong.
        DataError: The data are broken.
        InUseError: Another probe is at work in ``work_dir``.
    """
    chosen = tuple(dict.fromkeys(seeds))
    if not chosen or not starts:
        raise ConfigError("probe", found="no seed or no start", expected="at least one of each", mend="give some")
    few, scored = probe_scenes(recipe, data_root, score_on)
    data = digest_scenes([*few, *scored])
    keys = {
        (start, seed): _fingerprint(recipe, start, seed, f"{score_on} {len(few)} {data}")
        for seed in chosen
        for start in starts
    }
    work_dir.mkdir(parents=True, exist_ok=True)
    with exclusive(work_dir):
        # the same weights under two names are one run
        tasks = {
            mark: _Task(recipe, start, seed, mark, few, scored, work_dir)
            for (start, seed), mark in keys.items()
            if not _path(work_dir, mark).is_file()
        }
        done = len(set(keys.values())) - len(tasks)
        total = done + len(tasks)
        progress("probe", done, total)
        for _ in run_each(_run, list(tasks.values()), jobs, progress):
            done += 1
            progress("probe", done, total)
        results = [
            ProbeResult(start, score_on, tuple(_read(work_dir, keys[start, seed]) for seed in chosen))
            for start in starts
        ]
        write_json(work_dir / REPORT, _report(results, recipe, len(few), len(scored), data))
        write_sums(work_dir, [REPORT])
    return results


def paired_difference(result: ProbeResult, baseline: ProbeResult) -> tuple[float, float | None]:
    """Mean over seeds of ``result`` minus ``baseline`` of the same seed, and its standard deviation (None for one)."""
    gains = [one - other for one, other in zip(result.ap50, baseline.ap50, strict=True)]
    return mean(gains), stdev(gains) if len(gains) > 1 else None


@dataclass(frozen=True, eq=False)
class _Task:
    recipe: Recipe
    start: Start
    seed: int
    fingerprint: str
    few: list[Scene]
    scored: list[Scene]
    work_dir: Path


def _fingerprint(recipe: Recipe, start: Start, seed: int, data: str) -> str:
    run = digest_run(recipe, start.init, kind=start.init.kind, seed=seed, min_coverage=start.min_coverage)
    return hashlib.sha256(f"{run} {data}".encode()).hexdigest()


def _path(work_dir: Path, fingerprint: str) -> Path:
    return work_dir / RUNS / f"{fingerprint[:16]}.json"


def _read(work_dir: Path, fingerprint: str) -> Run:
    values = read_json(_path(work_dir, fingerprint))
    return Run(**values["run"])


def _run(task: _Task, progress: Progress) -> None:
    """Train, search and score; what lies in the run's folder was interrupted."""
    import torch

    from osm.detection.evaluate import average_precision

    final = _path(task.work_dir, task.fingerprint)
    folder = final.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wall, cpu = time.monotonic(), time.process_time()
    found = train_and_search(
        task.recipe,
        init=task.start.init,
        train_scenes=task.few,
        test_scenes=task.scored,
        store=SceneStore(task.work_dir / "cache", Radiometry.parse(task.recipe.data.radiometry)),
        work_dir=folder,
        seed=task.seed,
        min_coverage=task.start.min_coverage,
        allow_contract_mismatch=bool(task.start.mismatches),
        progress=_named(progress, f"{task.start.label}, seed {task.seed}"),
    ).predictions
    run = Run(
        fingerprint=task.fingerprint,
        seed=task.seed,
        ap50=average_precision(found.scene_results()).ap50,
        ap50_tile=average_precision(found.tile_results()).ap50,
        seconds=round(time.monotonic() - wall, 1),
        cpu_seconds=round(time.process_time() - cpu, 1),
        threads=torch.get_num_threads(),
    )
    write_json(final, {"format": FORMAT, "start": task.start.label, "run": asdict(run)})
    shutil.rmtree(folder)


def _named(progress: Progress, name: str) -> Progress:
    return lambda what, done, total: progress(f"{name}: {what}", done, total)


def _report(results: Sequence[ProbeResult], recipe: Recipe, few: int, scored: int, data: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "detector": recipe.detector,
        "score_on": results[0].score_on,
        "seeds": list(results[0].seeds),
        "data": {"labelled_scenes": few, "scored_scenes": scored, "sha256": data},
        "settings": recipe.settings(),
        "versions": {**package_versions(), "git revision": git_revision()},
        "starts": [_start_json(result, results[0]) for result in results],
    }


def _start_json(result: ProbeResult, baseline: ProbeResult) -> dict[str, Any]:
    difference, spread = paired_difference(result, baseline)
    return {
        "start": result.start.label,
        "init": str(result.start.init),
        "sha256": result.start.sha256,
        "coverage": result.start.coverage,
        "contract_mismatches": list(result.start.mismatches),
        "ap50": result.mean,
        "ap50_sd": result.sd,
        "difference_to": baseline.start.label,
        "difference": difference,
        "difference_sd": spread,
        "runs": [asdict(run) for run in result.runs],
    }
