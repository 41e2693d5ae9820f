"""``osm probe``: what a start is worth, by a small detector, few labels and a few seeds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osm.cli.options import AllowContractMismatch, MinCoverage, chosen_config, parse_settings
from osm.cli.progress import progress_bar

if TYPE_CHECKING:
    from osm.detection.probe import ProbeResult


def probe(
    weights: Annotated[
        list[str],
        typer.Argument(
            metavar="WEIGHTS...",
            help="Starts: scratch, imagenet, imagenet:PATH, osm:PATH, osd:PATH or PATH.safetensors. "
            "Differences are to the first.",
        ),
    ],
    data_root: Annotated[Path, typer.Option("--data-root", help="Folder of the labelled scenes.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="A config; configs/probe/ssdd.py if not given.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many seeds: 0, 1, …")] = 3,
    score_on: Annotated[
        str,
        typer.Option(
            "--score-on",
            help="val, to report; held-back (training scenes that are not among the labelled few), to choose by.",
        ),
    ] = "val",
    work_dir: Annotated[
        Path, typer.Option("--work-dir", help="Folder for all output; finished runs in it are kept.")
    ] = Path("work_dirs/probe"),
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Processes that share the cores; one a core, up to 4, if not given."),
    ] = None,
    min_coverage: MinCoverage = None,
    allow_contract_mismatch: AllowContractMismatch = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Replace a setting, e.g. train.epochs=5.")
    ] = None,
) -> None:
    """Train a small detector on few labels from every start, and print the AP50 of each with its spread.

    Run it again after an interruption, or with more starts or seeds: finished runs are kept. Writes probe.json.

    Weights whose card says that they were trained on other input stop it, unless --allow-contract-mismatch is given.
    """
    from osm.configs import config_path
    from osm.detection.engines import notices
    from osm.detection.probe import probe_starts
    from osm.detection.recipe import load_recipe
    from osm.detection.starts import check_start, parse_start

    recipe = load_recipe(chosen_config(config) if config else config_path("probe/ssdd.py"), parse_settings(set_))
    for notice in notices([recipe]):
        typer.echo(notice, err=True)
    starts = [
        check_start(parse_start(text), recipe, min_coverage, allow_contract_mismatch=allow_contract_mismatch)
        for text in dict.fromkeys(weights)
    ]
    with progress_bar() as step:
        results = probe_starts(
            starts,
            recipe,
            data_root=data_root,
            seeds=range(seeds),
            score_on=score_on,
            work_dir=work_dir,
            # one thread a process costs a quarter of the CPU time of two
            jobs=jobs or min(4, len(os.sched_getaffinity(0))),
            progress=step,
        )
    typer.echo(table(results))
    simulated = (data_root / "SIMULATED.json").is_file()
    for note in notes(results, simulated):
        typer.echo(f"! {note}")
    typer.echo(f"\nwritten to {work_dir / 'probe.json'}")


def table(results: list[ProbeResult]) -> str:
    """The table of a probe for a terminal: AP50 in points, mean ± standard deviation over seeds."""
    from osm.detection.probe import paired_difference

    first = results[0]
    rows = [("start", "seeds", "AP50", "each seed", f"minus {first.start.label}", "seconds a seed")]
    for result in results:
        gain = "–" if result is first else _spread(*paired_difference(result, first), sign="+")
        each = "  ".join(f"{100 * value:.1f}" for value in result.ap50)
        seconds = f"{result.seconds / len(result.runs):.0f}"
        rows.append((result.start.label, str(len(result.runs)), _spread(result.mean, result.sd), each, gain, seconds))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], ""])


def notes(results: list[ProbeResult], simulated: bool) -> list[str]:
    """What must stand beside the figures."""
    found = []
    if simulated:
        found.append("Simulated data: the figures show that the probe works and say nothing about real SAR images.")
    if results[0].score_on == "held-back":
        found.append("Scored on held-back training scenes: to choose by, not to report.")
    count = len(results[0].runs)
    shown = {1: "One seed proves nothing", 2: "Two seeds prove little", 3: "Three seeds prove little"}
    found.append(
        f"{shown.get(count, f'{count} seeds share one choice of labels')}: a difference below twice its spread may be "
        "chance, and the labelled few are the same in every seed."
    )
    for result in results:
        coverage = result.start.coverage
        if coverage is not None and coverage < 1:
            found.append(f"{result.start.label}: {result.start.init.path} fills {coverage:.2f} of the backbone.")
        if result.start.mismatches:
            found.append(f"{result.start.label} was trained on other input: {'; '.join(result.start.mismatches)}.")
    return found


def _spread(mean: float, sd: float | None, sign: str = "") -> str:
    shown = f"{100 * mean:{sign}.1f}"
    return shown if sd is None else f"{shown} ± {100 * sd:.1f}"
