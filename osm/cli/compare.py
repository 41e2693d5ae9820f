"""``osm compare`` and ``tools/compare.py``: stage 3, arms × detectors × seeds and the report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osm.cli.options import AllowContractMismatch, Fuse, Groups, LandMaskFile, NearM, chosen_config, parse_settings
from osm.cli.progress import progress_bar

if TYPE_CHECKING:
    from osm.compare.dispatch import Dispatch
    from osm.compare.dry_run import DryRun
    from osm.compare.plan import Cell, Plan
    from osm.compare.study import CellResult, Study


def compare(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config, e.g. configs/compare/ssdd_quick.py.")],
    data_root: Annotated[Path, typer.Option("--data-root", help="Folder of the labelled scenes.")],
    arm: Annotated[
        list[str] | None,
        typer.Option(
            "--arm",
            metavar="NAME=PATH",
            help="An arm and its weights; repeat it for more arms, or for another backbone of the same arm. "
            "`imagenet` alone downloads; names that begin with `osd` take the backbone of an optical ship detector "
            "(osm export), other names one that was pretrained by matching. The arm scratch is always there.",
        ),
    ] = None,
    fuse: Fuse = None,
    work_dir: Annotated[
        Path | None, typer.Option("--work-dir", help="Folder for all output; work_dirs/compare_<config> if not given.")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option("--seed", min=0, help="Seeds in place of the config's.")] = None,
    allow_contract_mismatch: AllowContractMismatch = False,
    fractions: Annotated[
        str | None,
        typer.Option(
            "--fractions",
            metavar="F,F,…",
            help="Fractions of the training scenes, e.g. 0.05,0.1,0.25,1: every cell at each of them, in place of the "
            "config's `fractions`. Needs train.min_steps.",
        ),
    ] = None,
    groups: Groups = None,
    land_mask: LandMaskFile = None,
    near_m: NearM = 1000.0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Replace a setting of every detector, e.g. train.epochs=5."),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            help="Where cells run: `here` one after the other, `local` as processes of this machine, `slurm` as jobs "
            "of a cluster. Local with several GPUs or --jobs, else here.",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Cells at a time; one a GPU if not given, with slurm a hundred.")
    ] = None,
    cluster: Annotated[
        list[str] | None,
        typer.Option(
            "--cluster",
            metavar="NAME=VALUE",
            help="What Slurm is told of each job, by submitit's names, e.g. slurm_partition=gpu, gpus_per_node=1, "
            "timeout_min=600; repeat it for more.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Finish a comparison that was begun, or stop if there is none.")
    ] = False,
    tune: Annotated[
        str | None,
        typer.Option(
            "--tune",
            metavar="LR,LR,…",
            help="Learning rates to try in every arm of every detector alike, on training scenes that are held out; "
            "each arm then runs with its best. In place of the config's `tune`.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the cells, what is done already and what the rest costs; train none."),
    ] = False,
) -> None:
    """Fine-tune every detector from every arm with every seed, and report the AP of each.

    Run it again after an interruption, with or without --resume: finished cells are kept, and a lost process or node
    costs the cells that it had under way.

    Weights whose card says that they were trained on other input stop it, unless --allow-contract-mismatch is given.
    """
    from osm.compare.arms import gather_arms
    from osm.compare.fractions import parse_fractions
    from osm.compare.grid import parse_lrs
    from osm.compare.plan import make_plan

    folder = work_dir or Path("work_dirs") / f"compare_{config.stem}"
    where = choose_dispatch(executor, jobs, parse_settings(cluster, "--cluster", "slurm_partition=gpu"))
    if resume:
        check_begun(folder)
    plan = make_plan(
        chosen_config(config),
        gather_arms(arm or []),
        seeds=seed,
        overrides=parse_settings(set_),
        allow_contract_mismatch=allow_contract_mismatch,
        fuse=fuse or (),
        lrs=None if tune is None else parse_lrs(tune),
        fractions=None if fractions is None else parse_fractions(fractions),
    )
    if dry_run:
        estimate(plan, data_root, folder, where)
    else:
        group_scenes(plan, data_root, folder, groups, land_mask, near_m)
        run_and_report(plan, data_root, folder, where)


def group_scenes(
    plan: Plan, data_root: Path, folder: Path, listed: Path | None, land_mask: Path | None, near_m: float
) -> None:
    """Group the test scenes as was said, before anything runs; the comparison remembers it."""
    from osm.compare.groups import make_grouping, remember
    from osm.compare.scene_facts import ship_places

    if listed is not None or land_mask is not None:
        places = ship_places(plan, data_root)
        grouping = make_grouping(places, listed=listed, land_mask=land_mask, near_m=near_m)
        if grouping is not None:
            typer.echo(grouping.note, err=True)
            remember(folder, grouping)


def estimate(plan: Plan, data_root: Path, folder: Path, where: Dispatch) -> None:
    """Print the cells of a plan, which are done and what the others cost."""
    from osm.compare.dry_run import dry_run

    with progress_bar() as step:
        found = dry_run(
            plan,
            data_root=data_root,
            work_dir=folder,
            jobs=where.jobs,
            executor=where.executor,
            progress=lambda cell, what, done, total: step(what, done, total),
        )
    typer.echo(forecast(found, plan))


def choose_dispatch(executor: str | None, jobs: int | None, options: dict[str, Any]) -> Dispatch:
    """Where cells run, from what was said and the GPUs that are here."""
    import torch

    from osm.compare.dispatch import Dispatch

    gpus = torch.cuda.device_count()
    chosen = executor or ("local" if (jobs or gpus) > 1 else "here")
    return Dispatch(chosen, jobs or {"local": max(1, gpus), "slurm": 100}.get(chosen, 1), options)


def check_begun(folder: Path) -> None:
    """Make sure that a comparison lies in a folder.

    Raises:
        ConfigError: None does.
    """
    from osm.compare.run import PLAN
    from osm.errors import ConfigError

    if not (folder / PLAN).is_file():
        raise ConfigError(
            folder, found="no comparison", expected="one that was begun", mend="correct --work-dir, or drop --resume"
        )


def run_and_report(plan: Plan, data_root: Path, folder: Path, dispatch: Dispatch | None = None) -> None:
    """Run a plan with progress on the terminal, write the report and print its table and its path."""
    from osm.compare.report import write_report
    from osm.compare.report.answers import shortened
    from osm.compare.run import HERE, run_plan
    from osm.detection.engines import notices
    from osm.files import read_json

    where = dispatch or HERE
    total = len(plan.cells)
    typer.echo(f"{plan.title}: {total} cells in {folder}", err=True)
    for notice in notices(plan.recipes):
        typer.echo(notice, err=True)
    for entry in plan.skipped:
        typer.echo(f"left out: {entry.detector} from {entry.arm}: {entry.reason}", err=True)
    labels = {info.name: info.label for info in plan.arms}
    if plan.grid is not None:
        plan = tune_with_progress(plan, data_root, folder, where)

    with progress_bar() as step:

        def tell(number: int, what: str, done: int, of: int) -> None:
            cell = plan.cells[number]
            name = f"{cell.recipe.detector} from {labels[cell.arm]}, seed {cell.seed}"
            step(f"cell {number + 1} of {total}, {name}: {what}", done, of)

        ended: set[int] = set()

        def count(number: int, result: CellResult, fresh: bool) -> None:
            ended.add(number)
            if where.executor != "here":
                step(f"cells, up to {where.jobs} at a time ({where.executor})", len(ended), total)

        study = run_plan(plan, data_root=data_root, work_dir=folder, dispatch=where, progress=tell, finished=count)
    report = write_report(study, folder / "report", cache=folder / "cache", workers=os.cpu_count() or 1)
    typer.echo(table(study))
    for sentence in shortened(read_json(report.parent / "report.json")["answer"]):
        typer.echo(sentence)
    typer.echo(f"\nreport: {report}")


def tune_with_progress(plan: Plan, data_root: Path, folder: Path, dispatch: Dispatch) -> Plan:
    """Choose the learning rate of each arm with progress on the terminal, and say what was chosen."""
    from osm.compare.tuning import tune_plan

    cells: list[Cell] = []
    ended: set[int] = set()
    with progress_bar() as step:

        def tell(number: int, what: str, done: int, of: int) -> None:
            name = f"trial {number + 1} of {len(cells)}, {cells[number].name}: " if cells else ""
            step(f"{name}{what}", done, of)

        def count(number: int, result: CellResult, fresh: bool) -> None:
            ended.add(number)
            if dispatch.executor != "here":
                step(f"trials, up to {dispatch.jobs} at a time ({dispatch.executor})", len(ended), len(cells))

        chosen = tune_plan(
            plan,
            data_root=data_root,
            work_dir=folder,
            dispatch=dispatch,
            progress=tell,
            started=cells.extend,
            finished=count,
        )
    for cell in {(cell.recipe.detector, cell.arm): cell for cell in chosen.cells}.values():
        typer.echo(f"tuned: {cell.recipe.detector} from {cell.arm} runs with lr {cell.lr:g}", err=True)
    return chosen


def forecast(found: DryRun, plan: Plan) -> str:
    """The cells, done or with their cost, and the total."""
    labels = {info.name: info.label for info in plan.arms}
    rows = [("detector", "arm", "seed", "state")]
    for cell, done in found.cells:
        state = "done" if done else f"about {_span(found.cost(cell).cell_s)}"
        trial = f", trial of lr {cell.lr:g}" if cell.held_out else ""
        rows.append((cell.recipe.detector, f"{labels[cell.arm]}{trial}", str(cell.seed), state))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    lines += [f"left out: {entry.detector} from {entry.arm}: {entry.reason}" for entry in plan.skipped]
    lines += [f"afterwards, from their predictions: {one.info(plan.arms).label}" for one in plan.fusions]
    lines.append("")
    for cost in found.costs:
        trials = ", trials" if cost.trial else ""
        lines.append(
            f"{cost.detector}{trials}: {cost.steps:,} steps of {cost.step_s:.3g} s and {cost.tiles + cost.looked_at:,} "
            f"tiles of {cost.tile_s:.3g} s, timed on {cost.device} just now"
        )
    lines += [f"! {caveat}" for caveat in found.leaks.caveats]
    left = sum(not done for _, done in found.cells)
    ready = len(found.cells) - left
    lines.append(
        f"{len(found.cells)} cells, {ready} done; the other {left} take about {_span(found.left_s)} "
        f"with {found.jobs} job{'s' if found.jobs > 1 else ''} at a time"
        if left
        else f"{len(found.cells)} cells, all done"
    )
    return "\n".join(lines)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def table(study: Study) -> str:
    """The AP table for a terminal: mean over seeds, and the standard deviation where there are two or more."""
    from statistics import mean, stdev

    labels = {info.name: info.label for info in study.arms}
    head = ("detector", "arm", "seeds", "AP50 tile", "AP50 scene", "AP[.5:.95] scene")
    rows: list[tuple[str, ...]] = [head]
    for detector in study.detectors:
        for name, label in labels.items():
            cells = [cell for cell in study.cells if (cell.detector, cell.arm) == (detector, name)]
            if not cells:
                continue
            shown = []
            for part, key in (("tile", "ap50"), ("scene", "ap50"), ("scene", "ap_coco")):
                values = [100 * getattr(cell, part)[key] for cell in cells]
                spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
                shown.append(f"{mean(values):.1f}{spread}")
            rows.append((detector, label, str(len(cells)), *shown))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"! {caveat}" for caveat in study.caveats]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], "", *notes])
