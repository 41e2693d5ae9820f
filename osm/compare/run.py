"""Running a comparison cell by cell: what is finished stays, what was interrupted runs again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from osm.compare import fairness, fusion
from osm.compare.arms import FLOOR
from osm.compare.cells import CELL, check_cells, fingerprint_of, is_finished, ran, read_cell
from osm.compare.dispatch import CellsLostError, Dispatch, run_tasks
from osm.compare.fractions import caveats as same_scenes
from osm.compare.fractions import cell_folder, describe, settings_of, whole
from osm.compare.fusion import fuse_cells, with_fusions
from osm.compare.groups import recall
from osm.compare.leaks import LeakReport, check_leaks
from osm.compare.plan import Cell, Plan
from osm.compare.scene_facts import scene_facts
from osm.compare.study import METRICS, ArmInfo, CellResult, SkippedCell, Study
from osm.compat.versions import git_revision, package_versions
from osm.data.scenes import Scene
from osm.detection.engines import remarks
from osm.detection.finetune import PROOFS, count_ships, finetune, read_split
from osm.detection.fingerprint import digest_scenes
from osm.detection.recipe import DataSettings
from osm.errors import DataError, OSMError
from osm.files import digests, exclusive, read_json, write_json, write_sealed

PLAN = "plan.json"
LOCKS = "locks"
LOGS = "jobs"
FORMAT = 1

HERE = Dispatch()

#: Called with the cell's number, what is under way in it, units done and units in all.
Progress = Callable[[int, str, int, int], None]


def run_plan(
    plan: Plan,
    *,
    data_root: Path,
    work_dir: Path,
    dispatch: Dispatch = HERE,
    progress: Progress = lambda cell, what, done, total: None,
    finished: Callable[[int, CellResult, bool], None] = lambda cell, result, fresh: None,
) -> Study:
    """Run every cell that is not finished, and return the study.

    Args:
        plan: The plan.
        data_root: Folder of the data set.
        work_dir: Folder of the comparison; may hold finished cells.
        dispatch: Where cells run. A cluster has to see the same ``work_dir`` and ``data_root``.
        progress: Told what is under way; of cells in other processes, nothing.
        finished: Told of each cell that is finished, and whether it ran just now.

    Raises:
        ConfigError: The folder holds a cell of other settings or data; or another run is in it.
        FairnessError: Two cells differ, or would differ, in more than the initialisation.
        CellsLostError: A cell in another process did not end well; the others did.
        OSMError: From a cell in this process.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    # other processes may stand elsewhere
    data_root, work_dir = data_root.resolve(), work_dir.resolve()
    with exclusive(work_dir):
        data, digest = describe_data(plan, data_root, work_dir / "cache")
        leaks = check_leaks(plan, data_root, work_dir, partial(progress, 0, "look for test scenes in what trains"))
        done = check_cells(plan.cells, digest, work_dir, dispatch.executor)
        write_plan(plan, data, leaks, data_root, work_dir)
        run_cells(plan.cells, done, digest, data_root, work_dir, dispatch, progress, finished)
        fuse_cells(load_study(work_dir, fused=False), plan.fusions, work_dir)
    return load_study(work_dir)


def run_cells(
    cells: Sequence[Cell],
    done: Sequence[bool],
    digest: str,
    data_root: Path,
    work_dir: Path,
    dispatch: Dispatch,
    progress: Progress,
    finished: Callable[[int, CellResult, bool], None],
) -> None:
    """Run those of some cells that are not finished, and hold all of them to the lock; as ``run_plan`` does.

    Args:
        cells: The cells.
        done: Which are finished.
        digest: Of the data, as ``describe_data`` gives it.
        data_root: Folder of the data set.
        work_dir: Folder of the comparison.
        dispatch: Where they run.
        progress: Told what is under way.
        finished: Told of each cell that is finished.

    Raises:
        FairnessError: Two cells differ in more than the initialisation.
    """
    tasks = [_Task(cell, fingerprint_of(cell, digest), data_root, work_dir) for cell in cells]
    if dispatch.executor == "here":
        for number, task in enumerate(tasks):
            if not done[number]:
                _run_cell(task, partial(progress, number))
            finished(number, read_cell(task.folder), not done[number])
    else:
        _run_elsewhere(tasks, done, dispatch, finished)
    fairness.check(ran(cells, work_dir), work_dir)


@dataclass(frozen=True)
class _Task:
    """A cell with all that another process needs to run it."""

    cell: Cell
    fingerprint: str
    data_root: Path
    work_dir: Path

    @property
    def folder(self) -> Path:
        return self.work_dir / self.cell.folder


def _run_elsewhere(
    tasks: Sequence[_Task],
    done: Sequence[bool],
    dispatch: Dispatch,
    finished: Callable[[int, CellResult, bool], None],
) -> None:
    left = []
    for number, task in enumerate(tasks):
        if done[number]:
            finished(number, read_cell(task.folder), False)
        else:
            left.append((number, task))
    lost = []
    logs = tasks[0].work_dir / LOGS
    for index, why in run_tasks(_run_cell, [task for _, task in left], dispatch, logs):
        number, task = left[index]
        if why is None:
            finished(number, read_cell(task.folder), True)
        else:
            lost.append(f"{task.cell.name}: {why}")
    if lost:
        raise CellsLostError(
            tasks[0].work_dir,
            found=f"{len(lost)} of {len(left)} cells lost ({'; '.join(lost[:3])})",
            expected="every cell to end",
            mend="mend what the log names, and run the same command again: the other cells are kept",
        )


def _run_cell(task: _Task, progress: Callable[[str, int, int], None] = lambda what, done, total: None) -> None:
    """Run a cell, unless another process that was still at it has finished it meanwhile."""
    from osm.detection.hooks import DivergedError

    cell, folder = task.cell, task.folder
    with exclusive(task.work_dir / LOCKS / cell.folder, wait=True):
        if is_finished(cell, task.fingerprint, folder):
            return
        # what lies here without a cell.json was interrupted
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            result = finetune(
                cell.recipe,
                init=cell.init,
                data_root=task.data_root,
                work_dir=folder,
                seed=cell.seed,
                min_coverage=cell.min_coverage,
                allow_contract_mismatch=cell.allow_contract_mismatch,
                held_out=cell.held_out,
                tuning=cell.tuning,
                cache=task.work_dir / "cache",
                keep_weights=False,
                progress=progress,
            ).to_json()
        except DivergedError as error:
            # a learning rate that is too high for an arm is an answer, where that was the question
            if not cell.held_out:
                raise
            result = diverged(error)
        write_sealed(folder / CELL, {**_cell_json(cell, task.fingerprint), **result, "files": digests(folder, PROOFS)})


def diverged(error: OSMError) -> dict[str, Any]:
    """The figures of a training whose loss is no longer a number: nothing was found."""
    nothing = {**dict.fromkeys(METRICS, 0.0), "truth_count": 0, "detection_count": 0}
    return {"tile": nothing, "scene": nothing, "coverage": None, "seconds": 0.0, "diverged": error.line}


def _cell_json(cell: Cell, fingerprint: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "detector": cell.recipe.detector,
        "arm": cell.arm,
        "seed": cell.seed,
        "init": str(cell.init),
        "fingerprint": fingerprint,
    }


def describe_data(plan: Plan, data_root: Path, cache: Path | None = None) -> tuple[dict[str, Any], str]:
    """Facts of the data for the report, and a digest of labels and image sizes.

    Args:
        plan: The plan.
        data_root: Folder of the data set.
        cache: Where to keep which training scenes show a test scene, if a recipe drops those.

    Raises:
        DataError: The data are broken, or no ship is to be found in the test scenes.
    """
    seen: list[Scene] = []
    parts = {}
    at: list[dict[str, Any]] = []
    # a detector at several fractions is several recipes of the same data
    read: dict[DataSettings, tuple[list[Scene], list[Scene]]] = {}
    for recipe in plan.recipes:
        settings = whole(recipe).data
        if settings not in read:
            read[settings] = read_split(whole(recipe), data_root, cache)
        train, test = read[settings]
        if not count_ships(test):
            raise DataError(
                data_root, found="test scenes without a ship", expected="at least one", mend="correct data.test_split"
            )
        if (fraction := describe(recipe, train, plan.seeds)) is not None:
            at.append(fraction)
        seen += [*train, *test]
        parts[recipe.detector] = {
            "kind": recipe.data.kind,
            "train_scenes": len(train),
            "train_ships": count_ships(train),
            "test_scenes": len(test),
            "test_ships": count_ships(test),
            "test_split": recipe.data.test_split,
            "radiometry": recipe.data.radiometry,
        }
    first = parts[plan.recipes[0].detector]
    simulated = (data_root / "SIMULATED.json").is_file()
    facts = {**first, "root": data_root.resolve().name, "simulated": simulated}
    if at:
        facts["label_fractions"] = at
    if any(part != first for part in parts.values()):
        facts["by_detector"] = parts
    return facts, digest_scenes(seen)


def write_plan(plan: Plan, data: dict[str, Any], leaks: LeakReport, data_root: Path, work_dir: Path) -> None:
    """Write ``plan.json``, which a report is rendered from."""
    write_json(
        work_dir / PLAN,
        {
            "format": FORMAT,
            "title": plan.title,
            "data": data,
            "arms": [asdict(arm) for arm in plan.arms],
            "detectors": [recipe.detector for recipe in plan.recipes],
            "seeds": list(plan.seeds),
            "skipped": [asdict(entry) for entry in plan.skipped],
            "settings": {
                "min_coverage": plan.min_coverage,
                "detectors": {recipe.detector: settings_of(recipe) for recipe in plan.recipes},
                **({"tuned_lr": tuned_rates(plan)} if plan.tuning else {}),
            },
            "versions": {**package_versions(), "git revision": git_revision()},
            "baseline": FLOOR,
            "fusions": fusion.to_json(plan.fusions),
            "leakage": {"setting": plan.leakage, "parts": leaks.summary()},
            "tuning": plan.tuning,
            **scene_facts(plan, data_root),
            "caveats": [*plan.caveats, *caveats(plan, data), *leaks.caveats],
        },
    )


def tuned_rates(plan: Plan) -> dict[str, dict[str, float]]:
    """The learning rates that arms run with, by detector, where each has its own."""
    found: dict[str, dict[str, float]] = {}
    for cell in plan.cells:
        found.setdefault(cell.recipe.detector, {})[cell.arm] = cell.lr
    return found


def caveats(plan: Plan, data: dict[str, Any]) -> list[str]:
    """What must stand beside the figures, from the facts of the plan."""
    found = []
    if data["simulated"]:
        found.append("Simulated data: the figures show that the chain works and say nothing about real SAR images.")
    if len(plan.seeds) < 3:
        count = "One seed" if len(plan.seeds) == 1 else f"{len(plan.seeds)} seeds"
        found.append(f"{count}: too few to tell a difference between arms from the spread between runs.")
    found.extend(same_scenes(data.get("label_fractions", ())))
    found.extend(remarks(plan.recipes))
    found.extend(f"Arm {arm.label}: {arm.note}." for arm in plan.arms if arm.note and arm.kind != FLOOR)
    return [*found, *fusion.caveats(plan.fusions, plan.arms)]


def load_study(work_dir: Path, *, fused: bool = True) -> Study:
    """Read a comparison back from its folder: the plan, the cells that are finished and, if asked, those fused of them.

    Raises:
        DataError: There is no plan.
    """
    plan = read_json(work_dir / PLAN)
    told = recall(work_dir)
    cells = [
        read_cell(folder)
        for detector in plan["detectors"]
        for arm in plan["arms"]
        for seed in plan["seeds"]
        if (folder := work_dir / cell_folder(detector, arm["name"], seed)).joinpath(CELL).is_file()
    ]
    study = Study(
        title=plan["title"],
        data=plan["data"],
        arms=tuple(ArmInfo(**arm) for arm in plan["arms"]),
        detectors=tuple(plan["detectors"]),
        seeds=tuple(plan["seeds"]),
        cells=tuple(cells),
        skipped=tuple(SkippedCell(**entry) for entry in plan["skipped"]),
        settings=plan["settings"],
        versions=plan["versions"],
        baseline=plan["baseline"],
        caveats=tuple(plan["caveats"]),
        # plans of earlier versions have none of these
        leakage=plan.get("leakage", {}),
        groups=plan.get("groups", {}) if told is None else told.groups,
        groups_note="" if told is None else told.note,
        pixel_m=plan.get("pixel_m", {}),
        tuning=plan.get("tuning") or {},
    )
    return with_fusions(study, fusion.from_json(plan.get("fusions", ())), work_dir) if fused else study
