"""``osm detect``: search whole scenes for ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osm.cli.options import parse_settings
from osm.cli.progress import progress_bar
from osm.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osm.detection.search.order import Elsewhere, Outcome

#: Exit code when scenes failed and the others are searched.
SOME_FAILED = 1


def detect(
    weights: Annotated[
        Path,
        typer.Argument(metavar="WEIGHTS", help="detector.safetensors of osm finetune, or *.onnx of osm export."),
    ],
    scenes: Annotated[
        list[Path],
        typer.Argument(metavar="SCENE...", help="Scenes, folders of scenes, or .txt lists of paths."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="A folder, with files of each scene and a second run that goes on where the first ended; or one file "
            "for all, by its suffix: .geojson, .coco.json, .csv, .gpkg, and for one scene .png or .html.",
        ),
    ],
    formats: Annotated[
        str | None,
        typer.Option(
            "--formats", help="Of a folder: some of geojson,coco,csv,gpkg,png,html; all but gpkg if not given."
        ),
    ] = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="Least score of a ship.")] = 0.3,
    land_mask: Annotated[
        Path | None, typer.Option("--land-mask", help="Polygons of land, any vector file: ships on them are removed.")
    ] = None,
    radiometry: Annotated[
        str | None,
        typer.Option(
            help="How values become 8 bits, in place of what the weights say: none, max, minmax, percentile:L,H, "
            "log:L,H or linear:L,H."
        ),
    ] = None,
    band: Annotated[int | None, typer.Option(min=1, help="Band of scenes that have several, from 1.")] = None,
    nodata: Annotated[
        float | None, typer.Option(help="Value of missing pixels; as the file says if not given.")
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(min=0, help="Overlap of windows in pixels, at least the longest ship; as trained if not given."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Windows that go through the detector at once; as in its test settings if not given."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; an .onnx file runs on the CPU.")] = "auto",
    position: Annotated[
        bool,
        typer.Option(
            "--position/--no-position",
            help="With --no-position, places stay in pixels, whatever the scenes say of theirs.",
        ),
    ] = True,
    executor: Annotated[
        str | None,
        typer.Option(
            help="Where many scenes run: here (one after the other), local (processes) or slurm; local with "
            "--jobs, else here."
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes or jobs at a time; with slurm a hundred if not given.")
    ] = None,
    cluster: Annotated[
        list[str] | None,
        typer.Option(
            "--cluster",
            metavar="NAME=VALUE",
            help="What Slurm is told of each job, by submitit's names, e.g. slurm_partition=gpu; repeat it for more.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")] = False,
) -> None:
    """Find ships in scenes of any size and say where they are.

    Scenes are read window by window; what windows cut is put together again. A scene that cannot be read is reported
    at the end, with exit code 1, and does not stop the others.
    """
    from osm.detection.search.batch import run_batch
    from osm.detection.search.inputs import check_output, format_of, gather_scenes, parse_formats
    from osm.detection.search.into_file import run_into_file
    from osm.detection.search.order import Order, Run
    from osm.detection.search.reading import ReadSettings
    from osm.detection.search.runtime import check_weights
    from osm.detection.search.search import SearchSettings
    from osm.files import sha256_file

    found = gather_scenes(scenes)
    check_output(out, scenes, found)
    check_weights(weights)
    settings = SearchSettings(score, batch, overlap, ReadSettings(radiometry, band, nodata))
    kind = format_of(out)
    chosen = parse_formats(formats) if formats else None
    order = Order(weights, sha256_file(weights), settings, Order.formats, position, land_mask, device)
    elsewhere, at_a_time = _elsewhere(executor, jobs, parse_settings(cluster, "--cluster", "slurm_partition=gpu"))
    with progress_bar() as step:
        run = Run(overwrite, at_a_time, elsewhere, step)
        if kind is None:
            outcomes = run_batch(replace(order, formats=chosen or Order.formats), found, out, run)
        else:
            if chosen not in (None, (kind,)):
                raise ConfigError(
                    "--formats", found=str(formats), expected=f"{kind}, as {out} says", mend="give a folder as --out"
                )
            outcomes = run_into_file(order, found, out, kind, run)
    _report(outcomes, out)


def _elsewhere(executor: str | None, jobs: int | None, options: dict[str, Any]) -> tuple[Elsewhere | None, int]:
    """What runs scenes in other processes, and how many at a time; None for this one."""
    from osm.compare.dispatch import Dispatch, run_tasks

    chosen = executor or ("local" if (jobs or 1) > 1 else "here")
    dispatch = Dispatch(chosen, jobs or (100 if chosen == "slurm" else 1), options)
    if chosen == "here":
        return None, 1
    return (lambda function, tasks, logs: run_tasks(function, tasks, dispatch, logs)), dispatch.jobs


def _report(outcomes: Sequence[Outcome], out: Path) -> None:
    """Say what was found and where it is; notes and failures go to stderr.

    Raises:
        typer.Exit: Scenes failed.
    """
    notes: dict[str, list[str]] = {}
    for outcome in outcomes:
        for note in outcome.notes:
            notes.setdefault(note, []).append(outcome.scene.scene_id)
    for note, names in notes.items():
        typer.echo(f"note: {names[0] if len(names) == 1 else f'{len(names):,} scenes'}: {note}", err=True)
    whole = [outcome for outcome in outcomes if outcome.state != "failed"]
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    if len(whole) <= 20:
        for outcome in whole:
            before = ", searched before" if outcome.state == "done" else ""
            empty = f", {outcome.empty:,} of them empty" if outcome.empty else ""
            typer.echo(f"{outcome.scene.scene_id}: {outcome.ships:,} ships in {outcome.tiles:,} windows{empty}{before}")
    if len(outcomes) > 1:
        earlier = sum(outcome.state == "done" for outcome in whole)
        typer.echo(
            f"{len(outcomes):,} scenes: {len(whole) - earlier:,} searched, {earlier:,} searched before, "
            f"{len(failed):,} failed; {sum(outcome.ships for outcome in whole):,} ships"
        )
    if whole:
        typer.echo(f"ships: {out}")
    if failed:
        width = max(len(outcome.scene.scene_id) for outcome in failed)
        typer.echo(f"{'failed':<{width}}  why", err=True)
        for outcome in failed:
            typer.echo(f"{outcome.scene.scene_id:<{width}}  {outcome.error}", err=True)
        raise typer.Exit(SOME_FAILED)
