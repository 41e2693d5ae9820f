"""Choosing a learning rate for each arm by the same trials: same grid, same seeds, same scenes that no test touches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from osm.compare.cells import CELL, check_cells, read_cell
from osm.compare.dispatch import Dispatch
from osm.compare.grid import Grid
from osm.compare.held_out import choose_held_out
from osm.compare.leaks import LeakReport, check_leaks
from osm.compare.plan import Cell, Plan
from osm.compare.run import HERE, PLAN, Progress, describe_data, run_cells, write_plan
from osm.compare.study import CellResult
from osm.data.scene import Scene
from osm.detection.conditions import read_conditions
from osm.detection.engines import find_engine
from osm.detection.finetune import read_split
from osm.detection.fingerprint import digest_run, digest_scenes
from osm.detection.recipe import Recipe
from osm.errors import ConfigError
from osm.files import exclusive, read_json

RULE = (
    "the highest mean over the seeds of AP50 of whole held-out scenes; of equal ones the lowest learning rate; a "
    "training that diverged counts as AP 0"
)
#: AP that differs by less is equal.
_EQUAL = 1e-9


def tune_plan(
    plan: Plan,
    *,
    data_root: Path,
    work_dir: Path,
    dispatch: Dispatch = HERE,
    progress: Progress = lambda cell, what, done, total: None,
    started: Callable[[Sequence[Cell]], None] = lambda cells: None,
    finished: Callable[[int, CellResult, bool], None] = lambda cell, result, fresh: None,
) -> Plan:
    """Try every learning rate of the grid in every arm, and return the plan with the best of each.

    The trials are cells like others, in ``tune/``: finished ones are kept, lost ones run again.

    Args:
        plan: A plan with a grid.
        data_root: Folder of the data set.
        work_dir: Folder of the comparison.
        dispatch: Where cells run.
        progress: Told what is under way.
        started: Told of the trials before the first of them runs.
        finished: Told of each trial that is finished, and whether it ran just now.

    Raises:
        OSMError: As ``osm.compare.run.run_plan`` does; or no training scenes can be held out.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    data_root, work_dir = data_root.resolve(), work_dir.resolve()
    with exclusive(work_dir):
        data, digest = describe_data(plan, data_root, work_dir / "cache")
        leaks = check_leaks(plan, data_root, work_dir, partial(progress, 0, "look for test scenes in what trains"))
        looking = partial(progress, 0, "look for training scenes of one place")
        held_out = held_out_scenes(plan, leaks, data_root, work_dir, looking)
        check_finished(plan, held_out, work_dir)
        cells = trials(plan, held_out)
        started(cells)
        done = check_cells(cells, digest, work_dir, dispatch.executor)
        if not (work_dir / PLAN).is_file():
            write_plan(plan, data, leaks, data_root, work_dir)
        run_cells(cells, done, digest, data_root, work_dir, dispatch, progress, finished)
    return with_choice(plan, held_out, cells, work_dir)


def check_finished(plan: Plan, held_out: Mapping[str, Sequence[Scene]], work_dir: Path) -> None:
    """Before any trial runs: cells that were finished without this tuning would be of no use after it.

    Raises:
        ConfigError: There are such.
    """
    assert plan.grid is not None
    facts = {recipe.detector: _facts(plan.grid, recipe, held_out[recipe.detector]) for recipe in plan.recipes}
    for cell in plan.cells:
        folder = work_dir / cell.folder
        conditions = read_conditions(folder) if (folder / CELL).is_file() else None
        if conditions is not None and conditions.get("tuning") != facts[cell.recipe.detector]:
            how = "with a learning rate that was tuned otherwise" if conditions.get("tuning") else "without tuning"
            raise ConfigError(
                folder,
                found=f"a cell that was finished {how}",
                expected="none but those of this tuning",
                mend="use another --work-dir, or delete the cells there",
            )


def held_out_scenes(
    plan: Plan,
    leaks: LeakReport,
    data_root: Path,
    work_dir: Path,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[Scene]]:
    """The scenes to choose by, for each detector; the same for all of its arms.

    None of them is a test scene, or shows one: the learning rate would else be chosen by the test.

    Raises:
        DataError: There are none.
    """
    assert plan.grid is not None
    shown = {name for part in leaks.parts if "detectors" in part for name in part["train_images"]}
    found: dict[str, list[Scene]] = {}
    seen: dict[str, list[Scene]] = {}
    for recipe in plan.recipes:
        train, _ = read_split(recipe, data_root, work_dir / "cache")
        same = digest_scenes(train)
        if same not in seen:
            seen[same] = choose_held_out(
                train, plan.grid, data_root, never=shown, cache=work_dir / "cache", progress=progress
            )
        found[recipe.detector] = seen[same]
    return found


def trials(plan: Plan, held_out: Mapping[str, Sequence[Scene]]) -> list[Cell]:
    """A cell for each seed × detector × learning rate × arm, in this order.

    Raises:
        ConfigError: An engine does not take a learning rate of the grid.
    """
    assert plan.grid is not None
    grid = plan.grid
    own = {(cell.recipe.detector, cell.arm): cell for cell in plan.cells}
    for cell in own.values():
        for lr in grid.lrs[cell.recipe.detector]:
            recipe = _at(cell, lr).recipe
            find_engine(recipe.engine, recipe.path).check(recipe)
    return [
        _at(replace(cell, seed=seed, held_out=tuple(s.scene_id for s in held_out[recipe.detector])), lr)
        for seed in grid.seeds
        for recipe in plan.recipes
        for lr in grid.lrs[recipe.detector]
        for (detector, _), cell in own.items()
        if detector == recipe.detector
    ]


def with_choice(plan: Plan, held_out: Mapping[str, Sequence[Scene]], cells: Sequence[Cell], work_dir: Path) -> Plan:
    """The plan with the learning rate that each arm did best with.

    Args:
        plan: The plan.
        held_out: As ``held_out_scenes`` gives them.
        cells: The trials, all finished.
        work_dir: Folder of the comparison.
    """
    assert plan.grid is not None
    grid = plan.grid
    rows = tried(grid, cells, work_dir)
    best = {(row["detector"], row["arm"]): row["lr"] for row in rows if row["chosen"]}
    facts = {recipe.detector: _facts(grid, recipe, held_out[recipe.detector]) for recipe in plan.recipes}
    tuned = tuple(
        _at(replace(cell, tuning=facts[cell.recipe.detector]), best[cell.recipe.detector, cell.arm])
        for cell in plan.cells
    )
    tuning = {
        "rule": RULE,
        "fraction": grid.fraction,
        "split_seed": grid.split_seed,
        "detectors": {
            name: {**facts[name], "held_out": [scene.scene_id for scene in held_out[name]]} for name in facts
        },
        "trials": rows,
    }
    return replace(plan, cells=tuned, tuning=tuning, caveats=(*plan.caveats, *edges(rows)))


def tried(grid: Grid, cells: Sequence[Cell], work_dir: Path) -> list[dict[str, Any]]:
    """What came of each detector × arm × learning rate, by the rule ``RULE``.

    Returns:
        ``detector``, ``arm``, ``lr``, ``ap50`` (mean over seeds, in [0, 1]), ``per_seed``, ``chosen``, and ``edge``:
        whether it was chosen and is the lowest or the highest of the grid.
    """
    found: dict[tuple[str, str, float], list[dict[str, Any]]] = {}
    for cell in cells:
        folder = work_dir / cell.folder
        scene = read_cell(folder).scene
        lost = read_json(folder / CELL).get("diverged")
        entry = {"seed": cell.seed, "ap50": scene["ap50"], "diverged": bool(lost)}
        found.setdefault((cell.recipe.detector, cell.arm, cell.lr), []).append(entry)
    rows = []
    for detector, arm in dict.fromkeys((detector, arm) for detector, arm, _ in found):
        means = {lr: mean(entry["ap50"] for entry in found[detector, arm, lr]) for lr in grid.lrs[detector]}
        chosen = choose(means)
        for lr in grid.lrs[detector]:
            rows.append(
                {
                    "detector": detector,
                    "arm": arm,
                    "lr": lr,
                    "ap50": means[lr],
                    "per_seed": found[detector, arm, lr],
                    "chosen": lr == chosen,
                    "edge": lr == chosen and lr in (grid.lrs[detector][0], grid.lrs[detector][-1]),
                }
            )
    return rows


def choose(means: Mapping[float, float]) -> float:
    """The learning rate of the highest mean; of equal ones the lowest."""
    best = max(means.values())
    return min(lr for lr, value in means.items() if value >= best - _EQUAL)


def edges(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What must stand beside the figures of arms whose best learning rate is the lowest or the highest tried."""
    return [
        f"Tuning: the best learning rate of {row['arm']} with {row['detector']}, {row['lr']:g}, lies at the edge of "
        "the grid; a better one may lie beyond it."
        for row in rows
        if row["edge"]
    ]


def _facts(grid: Grid, recipe: Recipe, held_out: Sequence[Scene]) -> dict[str, Any]:
    """What the cells of all arms of a detector must have in common for their learning rates to differ."""
    return {
        "lrs": list(grid.lrs[recipe.detector]),
        "seeds": list(grid.seeds),
        "rule": RULE,
        "scenes": len(held_out),
        "scenes_sha256": digest_scenes(held_out),
    }


def _at(cell: Cell, lr: float) -> Cell:
    """A cell with another learning rate."""
    train = cell.recipe.train
    recipe = replace(cell.recipe, train=replace(train, optimizer={**train.optimizer, "lr": lr}))
    digest = digest_run(recipe, cell.init, kind=cell.init.kind, seed=cell.seed, min_coverage=cell.min_coverage)
    return replace(cell, recipe=recipe, fingerprint=digest)
