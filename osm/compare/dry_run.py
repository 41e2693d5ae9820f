"""What a comparison will cost, from a timed warm-up: a few steps and one search a detector, and nothing is kept."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osm.compare.cells import check_cells
from osm.compare.fractions import parse_name
from osm.compare.leaks import LeakReport, check_leaks
from osm.compare.plan import Cell, Plan
from osm.compare.run import Progress, describe_data
from osm.data.radiometry import Radiometry
from osm.data.scene import Scene
from osm.detection.engines import DEFAULT, Engine, Job, find_engine
from osm.detection.finetune import hold_out, read_split, read_validation
from osm.detection.recipe import Recipe
from osm.detection.schedule import lengthened, steps_in_all
from osm.detection.tiles import SceneStore, Tile, cut, training_tiles
from osm.transfer.certificate import Certificate

STEPS = 3
"""Steps that are timed, after one that is not: the first pays for memory and for the choice of kernels."""


@dataclass(frozen=True)
class Cost:
    """What a cell of one detector takes.

    Attributes:
        detector: Name of the detector.
        steps: Training steps of a cell.
        step_s: Seconds a step: the median of ``STEPS``.
        tiles: Tiles to search.
        tile_s: Seconds a tile.
        device: Where that was measured.
        looked_at: Tiles of all looks at the validation scenes, while it trains.
        trial: Whether it is of the cells that try a learning rate.
    """

    detector: str
    steps: int
    step_s: float
    tiles: int
    tile_s: float
    device: str
    looked_at: int = 0
    trial: bool = False

    @property
    def cell_s(self) -> float:
        """Seconds a cell; reading images for the first time and scoring come on top."""
        return self.steps * self.step_s + (self.tiles + self.looked_at) * self.tile_s


@dataclass(frozen=True)
class DryRun:
    """A comparison before it runs.

    Attributes:
        cells: The cells, and whether each is finished.
        costs: One a detector, and one more of its trials if a learning rate is to be chosen.
        jobs: Cells that run at a time.
        leaks: What the leakage check found.
    """

    cells: tuple[tuple[Cell, bool], ...]
    costs: tuple[Cost, ...]
    jobs: int
    leaks: LeakReport

    def cost(self, cell: Cell) -> Cost:
        """The cost of a cell."""
        kind = cell.recipe.detector, bool(cell.held_out)
        return next(cost for cost in self.costs if (cost.detector, cost.trial) == kind)

    @property
    def left_s(self) -> float:
        """Seconds until the last unfinished cell ends: their sum by the jobs, but never less than the longest."""
        times = [self.cost(cell).cell_s for cell, done in self.cells if not done]
        return max(sum(times) / self.jobs, max(times, default=0.0))


def dry_run(
    plan: Plan,
    *,
    data_root: Path,
    work_dir: Path,
    jobs: int = 1,
    executor: str = "here",
    progress: Progress = lambda cell, what, done, total: None,
) -> DryRun:
    """Check everything that a comparison checks before its first cell, and time its detectors.

    Nothing is trained but the steps that are timed, and their weights are thrown away. Only the cache in ``work_dir``
    and the list of leaks are written.

    Args:
        plan: The plan.
        data_root: Folder of the data set.
        work_dir: Folder of the comparison; may hold finished cells.
        jobs: Cells that will run at a time, each as fast as the one that is timed here.
        executor: Where they will run, as ``osm.compare.dispatch`` calls it.
        progress: Told what is under way.

    Raises:
        OSMError: As from ``osm.compare.run.run_plan``, before anything has run.
    """
    from osm.compat.runner import open_log

    work_dir.mkdir(parents=True, exist_ok=True)
    _, digest = describe_data(plan, data_root, work_dir / "cache")

    def looking(done: int, total: int) -> None:
        progress(0, "look for test scenes in what trains", done, total)

    leaks = check_leaks(plan, data_root, work_dir, looking)
    cells, done, held_out = _cells(plan, leaks, data_root, work_dir, digest, executor)
    # mmengine would write a line for every tensor of every detector to the terminal
    open_log(work_dir / "cache" / "dry-run.log")
    costs: list[Cost] = []
    # at every fraction a detector takes the same steps, only more or fewer of them
    known: dict[str, Cost] = {}
    for number, recipe in enumerate(plan.recipes):
        detector = parse_name(recipe.detector)[0]
        if detector not in known:
            progress(0, f"time {detector}", number, len(plan.recipes))
            known[detector] = measure(recipe, data_root, work_dir / "cache")
        tiles = _count_tiles(recipe, data_root, work_dir / "cache")
        steps, looked_at = steps_in_all(recipe.train, tiles), _looked_at(recipe, tiles, data_root, work_dir / "cache")
        costs.append(replace(known[detector], detector=recipe.detector, steps=steps, looked_at=looked_at))
        if recipe.detector in held_out:
            names = [scene.scene_id for scene in held_out[recipe.detector]]
            costs.append(_trial_cost(costs[-1], recipe, names, data_root, work_dir / "cache"))
    return DryRun(tuple(zip(cells, done, strict=True)), tuple(costs), jobs, leaks)


def _cells(
    plan: Plan, leaks: LeakReport, data_root: Path, work_dir: Path, digest: str, executor: str
) -> tuple[list[Cell], list[bool], dict[str, list[Scene]]]:
    """All cells, trials of learning rates first, which are finished, and what is held out for the trials."""
    from osm.compare.tuning import check_finished, held_out_scenes, trials, with_choice

    if plan.grid is None:
        return list(plan.cells), check_cells(plan.cells, digest, work_dir, executor), {}
    held_out = held_out_scenes(plan, leaks, data_root, work_dir)
    check_finished(plan, held_out, work_dir)
    first = trials(plan, held_out)
    done = check_cells(first, digest, work_dir, executor)
    if not all(done):
        # which cells they will be is not known before the learning rates are
        return [*first, *plan.cells], done + [False] * len(plan.cells), held_out
    rest = with_choice(plan, held_out, first, work_dir).cells
    return [*first, *rest], done + check_cells(rest, digest, work_dir, executor), held_out


def _count_tiles(recipe: Recipe, data_root: Path, cache: Path) -> int:
    return len(training_tiles(read_split(recipe, data_root, cache)[0], recipe.data))


def _trial_cost(cost: Cost, recipe: Recipe, held_out: Sequence[str], data_root: Path, cache: Path) -> Cost:
    train, searched = hold_out(read_split(recipe, data_root, cache)[0], held_out)
    tiles = len(training_tiles(train, recipe.data))
    return replace(
        cost,
        steps=steps_in_all(recipe.train, tiles),
        tiles=len(cut(searched, recipe.test.tiling(recipe.data))),
        looked_at=_looked_at(recipe, tiles, data_root, cache),
        trial=True,
    )


def _looked_at(recipe: Recipe, tiles: int, data_root: Path, cache: Path) -> int:
    """Tiles of the validation scenes, as often as they are searched in a training of so many tiles."""
    every = recipe.train.validate_every_epochs
    if not every:
        return 0
    trained = lengthened(recipe.train, tiles)
    looks = -(-trained.epochs // trained.validate_every_epochs)
    return looks * len(cut(read_validation(recipe, data_root, cache), recipe.test.tiling(recipe.data)))


def measure(recipe: Recipe, data_root: Path, cache: Path) -> Cost:
    """Time a few training steps and the search of one batch of tiles, from a random start.

    Args:
        recipe: The recipe.
        data_root: Folder of the data set.
        cache: Folder of decoded scenes.

    Raises:
        OSMError: Data or settings that a user can mend.
    """
    import torch
    from mmengine.device import get_device

    from osm.detection.inference import predict_tiles

    train, test = read_split(recipe, data_root, cache)
    store = SceneStore(cache, Radiometry.parse(recipe.data.radiometry))
    tiles, searched = training_tiles(train, recipe.data), cut(test, recipe.test.tiling(recipe.data))
    engine = find_engine(recipe.engine, recipe.path)
    model, certificate = engine.build(recipe, seed=0, weights=None, min_coverage=0.0)
    device = get_device()
    if recipe.engine == DEFAULT:
        model = model.to(device).to(memory_format=torch.channels_last)
        step_s = _time_steps(model, recipe, tiles, store)
    else:
        model, step_s = _time_trainings(engine, model, certificate, recipe, tiles, store)
    batch = searched[: recipe.test.batch_size]
    for _ in range(2):  # the first is a warm-up
        started = time.perf_counter()
        predict_tiles(model, batch, store, recipe.data, recipe.test, lambda done, total: None)
        tile_s = (time.perf_counter() - started) / len(batch)
    steps = steps_in_all(recipe.train, len(tiles))
    return Cost(recipe.detector, steps, step_s, len(searched), tile_s, device)


def _time_trainings(
    engine: Engine, model: Any, certificate: Certificate, recipe: Recipe, tiles: list[Tile], store: SceneStore
) -> tuple[Any, float]:
    """The same for an engine that hides its steps: a longer training takes more than a shorter by the steps between."""
    short = replace(recipe, train=replace(recipe.train, epochs=1, checkpoint_epochs=0))
    times = []
    for steps in (1, 1 + STEPS):
        chosen = [tiles[index % len(tiles)] for index in range(steps * recipe.train.batch_size)]
        with tempfile.TemporaryDirectory() as folder:
            job = Job(short, chosen, store, Path(folder), 0, False, False, lambda what, done, total: None)
            started = time.perf_counter()
            trained = engine.train(model, certificate, job)
            times.append(time.perf_counter() - started)
        model, certificate = engine.build(recipe, seed=0, weights=None, min_coverage=0.0)
    return trained, max(0.0, times[1] - times[0]) / STEPS


def _time_steps(model: Any, recipe: Recipe, tiles: list[Tile], store: SceneStore) -> float:
    import torch
    from mmengine.dataset import pseudo_collate
    from mmengine.optim import build_optim_wrapper

    import osm.compat.amp  # noqa: F401  (registers the optimiser wrapper)
    from osm.detection.dataset import TURNS, TileDataset
    from osm.detection.engine import optim_wrapper

    dataset = TileDataset(tiles, store, recipe.data.tile_px)
    wrapper = build_optim_wrapper(model, optim_wrapper(recipe.train))
    size = recipe.train.batch_size
    model.train()
    times = []
    # the random choice of proposals must not move what the caller draws
    with torch.random.fork_rng():
        for step in range(STEPS + 1):
            started = time.perf_counter()
            chosen = [(step * size + i) % len(tiles) for i in range(size)]
            model.train_step(pseudo_collate([dataset[index * TURNS] for index in chosen]), wrapper)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times.append(time.perf_counter() - started)
    return statistics.median(times[1:])
