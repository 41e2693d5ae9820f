"""Running a comparison cell by cell: what is finished stays, what was interrupted runs again."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from osm.compare.dispatch import CellsLostError, Dispatch, run_tasks
from osm.compare.fractions import caveats as same_scenes
from osm.compare.fractions import cell_folder, describe, settings_of, whole
from osm.compare.groups import recall
from osm.compare.leaks import LeakReport, check_leaks
from osm.compare.plan import FLOOR, Cell, Plan
from osm.compare.scene_facts import scene_facts
from osm.compare.study import ArmInfo, CellResult, SkippedCell, Study
from osm.compat.versions import git_revision, package_versions
from osm.data.scenes import Scene
from osm.detection.engines import remarks
from osm.detection.finetune import PREDICTIONS, Finetuned, finetune, read_split
from osm.detection.fingerprint import digest_scenes
from osm.detection.train import CERTIFICATE, CONFIG, TRAINING
from osm.detection.validation import VALIDATION
from osm.errors import ConfigError, DataError
from osm.files import SEAL, check_seal, digests, exclusive, read_json, write_json, write_sealed

PLAN = "plan.json"
CELL = "cell.json"
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
        CellsLostError: A cell in another process did not end well; the others did.
        OSMError: From a cell in this process.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    # other processes may stand elsewhere
    data_root, work_dir = data_root.resolve(), work_dir.resolve()
    with exclusive(work_dir):
        data, digest = describe_data(plan, data_root, work_dir / "cache")
        leaks = check_leaks(plan, data_root, work_dir, partial(progress, 0, "look for test scenes in what trains"))
        fingerprints = [_fingerprint(cell, digest) for cell in plan.cells]
        done = finished_cells(plan, digest, work_dir)
        _write_plan(plan, data, leaks, data_root, work_dir)
        tasks = [_Task(*entry, data_root, work_dir) for entry in zip(plan.cells, fingerprints, strict=True)]
        if dispatch.executor == "here":
            for number, task in enumerate(tasks):
                if not done[number]:
                    _run_cell(task, partial(progress, number))
                finished(number, read_cell(task.folder), not done[number])
        else:
            _run_elsewhere(tasks, done, dispatch, finished)
    return load_study(work_dir)


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
            lost.append(f"{task.cell.folder.relative_to('cells')}: {why}")
    if lost:
        raise CellsLostError(
            tasks[0].work_dir,
            found=f"{len(lost)} of {len(left)} cells lost ({'; '.join(lost[:3])})",
            expected="every cell to end",
            mend="mend what the log names, and run the same command again: the other cells are kept",
        )


def _run_cell(task: _Task, progress: Callable[[str, int, int], None] = lambda what, done, total: None) -> None:
    """Run a cell, unless another process that was still at it has finished it meanwhile."""
    cell, folder = task.cell, task.folder
    with exclusive(task.work_dir / LOCKS / cell.folder, wait=True):
        if _finished(folder, task.fingerprint):
            return
        # what lies here without a cell.json was interrupted
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        result = finetune(
            cell.recipe,
            init=cell.init,
            data_root=task.data_root,
            work_dir=folder,
            seed=cell.seed,
            min_coverage=cell.min_coverage,
            allow_contract_mismatch=cell.allow_contract_mismatch,
            cache=task.work_dir / "cache",
            keep_weights=False,
            progress=progress,
        )
        # what a report reads of a cell, beside its figures
        files = digests(folder, (PREDICTIONS, CERTIFICATE, TRAINING, VALIDATION, CONFIG))
        write_sealed(folder / CELL, {**_cell_json(cell, task.fingerprint, result), "files": files})


def _cell_json(cell: Cell, fingerprint: str, result: Finetuned) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "detector": cell.recipe.detector,
        "arm": cell.arm,
        "seed": cell.seed,
        "init": str(cell.init),
        "fingerprint": fingerprint,
        **result.to_json(),
    }


def _fingerprint(cell: Cell, data_digest: str) -> str:
    return hashlib.sha256(f"{cell.fingerprint} {data_digest}".encode()).hexdigest()


def finished_cells(plan: Plan, digest: str, work_dir: Path) -> list[bool]:
    """Which cells of a plan are finished.

    Args:
        plan: The plan.
        digest: Of the data, as ``describe_data`` gives it.
        work_dir: Folder of the comparison.

    Raises:
        ConfigError: A cell of other settings, weights or data is there.
    """
    return [_finished(work_dir / cell.folder, _fingerprint(cell, digest)) for cell in plan.cells]


def _finished(folder: Path, fingerprint: str) -> bool:
    path = folder / CELL
    if not path.is_file():
        return False
    found = read_json(path).get("fingerprint")
    if found != fingerprint:
        raise ConfigError(
            path,
            found="a finished cell of other settings, weights or data",
            expected="the present ones",
            mend="use another --work-dir, or delete that cell's folder to run it again",
        )
    return True


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
    for recipe in plan.recipes:
        train, test = read_split(whole(recipe), data_root, cache)
        if not any(np.count_nonzero(~scene.ignore) for scene in test):
            raise DataError(
                data_root, found="test scenes without a ship", expected="at least one", mend="correct data.test_split"
            )
        if (fraction := describe(recipe, train, plan.seeds)) is not None:
            at.append(fraction)
        seen += [*train, *test]
        parts[recipe.detector] = {
            "kind": recipe.data.kind,
            "train_scenes": len(train),
            "train_ships": _ships(train),
            "test_scenes": len(test),
            "test_ships": _ships(test),
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


def _ships(scenes: Sequence[Scene]) -> int:
    return sum(int(np.count_nonzero(~scene.ignore)) for scene in scenes)


def _write_plan(plan: Plan, data: dict[str, Any], leaks: LeakReport, data_root: Path, work_dir: Path) -> None:
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
            },
            "versions": {**package_versions(), "git revision": git_revision()},
            "baseline": FLOOR,
            "leakage": {"setting": plan.leakage, "parts": leaks.summary()},
            **scene_facts(plan, data_root),
            "caveats": [*plan.caveats, *caveats(plan, data), *leaks.caveats],
        },
    )


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
    return found


def read_cell(folder: Path) -> CellResult:
    """Read a finished cell.

    Raises:
        DataError: A file of it is missing, or is not what the cell left.
    """
    values = read_json(folder / CELL)
    if SEAL in values:  # cells of earlier versions have no hashes
        check_seal(folder / CELL, values)
        found = digests(folder, values["files"])
        for name, digest in values["files"].items():
            if found.get(name) != digest:
                raise DataError(
                    folder / name,
                    found="a file that was changed or damaged" if name in found else "no such file",
                    expected=f"SHA-256 {digest[:12]}…, as {CELL} says",
                    mend="copy it again, or delete the cell's folder to run it again",
                )
    return CellResult(
        detector=values["detector"],
        arm=values["arm"],
        seed=values["seed"],
        tile=values["tile"],
        scene=values["scene"],
        seconds=values["seconds"],
        coverage=values["coverage"],
        folder=folder,
    )


def load_study(work_dir: Path) -> Study:
    """Read a comparison back from its folder: the plan, and the cells that are finished.

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
    return Study(
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
    )
