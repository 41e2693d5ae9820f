"""``osm compare`` and ``tools/compare.py``: stage 3, arms × detectors × seeds and the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osm.cli.options import parse_settings
from osm.cli.progress import progress_bar

if TYPE_CHECKING:
    from osm.compare.dry_run import DryRun
    from osm.compare.plan import Plan
    from osm.compare.study import Study


def compare(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config, e.g. configs/compare/ssdd_quick.py.")],
    data_root: Annotated[Path, typer.Option("--data-root", help="Folder of the labelled scenes.")],
    arm: Annotated[
        list[str] | None,
        typer.Option(
            "--arm",
            metavar="NAME=PATH",
            help="An arm and its weights; repeat it for more arms, or for another backbone of the same arm. "
            "`imagenet` alone downloads. The arm scratch is always there.",
        ),
    ] = None,
    work_dir: Annotated[
        Path | None, typer.Option("--work-dir", help="Folder for all output; work_dirs/compare_<config> if not given.")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option("--seed", min=0, help="Seeds in place of the config's.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Replace a setting of every detector, e.g. train.epochs=5."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the cells, what is done already and what the rest costs; train none."),
    ] = False,
) -> None:
    """Fine-tune every detector from every arm with every seed, and report the AP of each.

    Run it again after an interruption: finished cells are kept.
    """
    from osm.compare.plan import gather_arms, make_plan

    folder = work_dir or Path("work_dirs") / f"compare_{config.stem}"
    plan = make_plan(config, gather_arms(arm or []), seeds=seed, overrides=parse_settings(set_))
    if dry_run:
        estimate(plan, data_root, folder)
    else:
        run_and_report(plan, data_root, folder)


def estimate(plan: Plan, data_root: Path, folder: Path, jobs: int = 1) -> None:
    """Print the cells of a plan, which are done and what the others cost."""
    from osm.compare.dry_run import dry_run

    with progress_bar() as step:
        found = dry_run(
            plan,
            data_root=data_root,
            work_dir=folder,
            jobs=jobs,
            progress=lambda cell, what, done, total: step(what, done, total),
        )
    typer.echo(forecast(found, plan))


def run_and_report(plan: Plan, data_root: Path, folder: Path) -> None:
    """Run a plan with progress on the terminal, write the report and print its table and its path."""
    from osm.compare.report import write_report
    from osm.compare.run import run_plan

    total = len(plan.cells)
    typer.echo(f"{plan.title}: {total} cells in {folder}", err=True)
    for entry in plan.skipped:
        typer.echo(f"left out: {entry.detector} from {entry.arm}: {entry.reason}", err=True)
    labels = {info.name: info.label for info in plan.arms}

    with progress_bar() as step:

        def tell(number: int, what: str, done: int, of: int) -> None:
            cell = plan.cells[number]
            name = f"{cell.recipe.detector} from {labels[cell.arm]}, seed {cell.seed}"
            step(f"cell {number + 1} of {total}, {name}: {what}", done, of)

        study = run_plan(plan, data_root=data_root, work_dir=folder, progress=tell)
    report = write_report(study, folder / "report")
    typer.echo(table(study))
    typer.echo(f"\nreport: {report}")


def forecast(found: DryRun, plan: Plan) -> str:
    """The cells, done or with their cost, and the total."""
    labels = {info.name: info.label for info in plan.arms}
    rows = [("detector", "arm", "seed", "state")]
    for cell, done in found.cells:
        state = "done" if done else f"about {_span(found.cost(cell).cell_s)}"
        rows.append((cell.recipe.detector, labels[cell.arm], str(cell.seed), state))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    lines += [f"left out: {entry.detector} from {entry.arm}: {entry.reason}" for entry in plan.skipped]
    lines.append("")
    for cost in found.costs:
        lines.append(
            f"{cost.detector}: {cost.steps:,} steps of {cost.step_s:.3g} s and {cost.tiles:,} tiles "
            f"of {cost.tile_s:.3g} s, timed on {cost.device} just now"
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
