"""``osm data``: check data sets, build pairs from scenes, and pack pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osm.cli.progress import progress_bar

if TYPE_CHECKING:
    from osm.data.build_pairs import BuildReport
    from osm.data.pack import PackReport
    from osm.data.verify import VerifyReport

app = typer.Typer(help="Check data sets, build pairs from scenes, and pack pairs.", no_args_is_help=True)


@app.command("verify")
def verify_command(
    kind: Annotated[str, typer.Argument(help="pairs, air-sarship-1.0, air-sarship-2.0, ssdd, hrsid or dota.")],
    path: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    groups: Annotated[
        Path | None,
        typer.Option("--groups", metavar="FILE.csv", help="Groups of the scenes (scene,group), checked too."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Read every file of a data set, count what is there and list everything that is wrong.

    Exits with 0 when nothing is wrong, else with 2.
    """
    from osm.data.verify import verify

    with progress_bar() as step:
        report = verify(kind, path, groups=groups, progress=lambda done, total: step("checking", done, total))
    if as_json:
        record = {
            "kind": report.kind,
            "path": str(report.path),
            "clean": report.clean,
            "counts": report.counts,
            "problems": [
                {"where": p.where, "found": p.found, "expected": p.expected, "mend": p.mend} for p in report.problems
            ],
        }
        typer.echo(json.dumps(record, indent=1))
    else:
        _print_verify(report)
    if not report.clean:
        raise typer.Exit(2)


@app.command("build-pairs")
def build_pairs_command(
    sar: Annotated[str, typer.Option(help="SAR scenes: a glob in quotes, a folder or a file.")],
    optical: Annotated[str, typer.Option(help="Optical scenes; partners agree in what * stands for.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    size: Annotated[int, typer.Option(help="Side of a patch in pixels.")] = 256,
    overlap: Annotated[float, typer.Option(help="Part of a patch shared with the next, e.g. 0.2.")] = 0.0,
    sar_radiometry: Annotated[
        str,
        typer.Option(help="How SAR becomes 8 bits: auto, none, max, minmax, percentile:L,H, log:L,H or linear:L,H."),
    ] = "auto",
    optical_radiometry: Annotated[str, typer.Option(help="The same for optical.")] = "auto",
    sar_nodata: Annotated[float | None, typer.Option(help="Value of missing SAR pixels.")] = None,
    optical_nodata: Annotated[float | None, typer.Option(help="Value of missing optical pixels.")] = None,
    sar_band: Annotated[int | None, typer.Option(help="Band of the SAR scenes, from 1.")] = None,
    optical_bands: Annotated[str | None, typer.Option(help="Bands for red,green,blue, e.g. 3,2,1.")] = None,
    max_missing: Annotated[float, typer.Option(help="Largest part of missing pixels in a patch.")] = 0.05,
    keep_constant: Annotated[bool, typer.Option("--keep-constant", help="Keep patches of one value.")] = False,
    skip_unpaired: Annotated[bool, typer.Option("--skip-unpaired", help="Leave out scenes without partner.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace pairs that are there already.")] = False,
) -> None:
    """Cut co-registered SAR and optical scenes into pairs of patches in the QXS-SAROPT layout."""
    from osm.data.build_pairs import build_pairs

    with progress_bar() as step:
        report = build_pairs(
            sar,
            optical,
            out,
            size_px=size,
            overlap=overlap,
            sar_radiometry=sar_radiometry,
            optical_radiometry=optical_radiometry,
            sar_nodata=sar_nodata,
            optical_nodata=optical_nodata,
            sar_band=sar_band,
            optical_bands=None if optical_bands is None else _three(optical_bands),
            max_missing=max_missing,
            keep_constant=keep_constant,
            skip_unpaired=skip_unpaired,
            overwrite=overwrite,
            progress=lambda done, total: step("cutting scenes", done, total),
        )
    _print_build(report)


@app.command("pack")
def pack_command(
    pairs: Annotated[Path, typer.Argument(help="Folder of pairs in the layout of QXS-SAROPT.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    keep_constant: Annotated[bool, typer.Option("--keep-constant", help="Keep patches of one value.")] = False,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Keep pairs with the pixels of an earlier one.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a store that is there already.")] = False,
) -> None:
    """Decode pairs once into a store that osm pretrain reads at the speed of memory.

    What must not be trained on is left out: patches of one value, pairs of unequal size, exact duplicates.
    """
    from osm.data.pack import pack_pairs

    with progress_bar() as step:
        report = pack_pairs(
            pairs,
            out,
            keep_constant=keep_constant,
            keep_duplicates=keep_duplicates,
            overwrite=overwrite,
            progress=lambda done, total: step("packing pairs", done, total),
        )
    _print_pack(report)


def _three(text: str) -> tuple[int, int, int]:
    from osm.errors import ConfigError

    try:
        red, green, blue = (int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            "--optical-bands", found=repr(text), expected="three numbers", mend="write for example 3,2,1"
        ) from error
    return red, green, blue


def _print_verify(report: VerifyReport) -> None:
    width = max((len(name) for name in report.counts), default=0)
    typer.echo(f"{report.kind}: {report.path}")
    for name, count in report.counts.items():
        typer.echo(f"  {name:<{width}}  {count:>10,}")
    for problem in report.problems:
        typer.echo(f"error: {problem.line}")
    count = len(report.problems)
    typer.echo("nothing is wrong" if report.clean else f"{count} problem{'s' if count > 1 else ''}")


def _print_build(report: BuildReport) -> None:
    if report.already_built:
        typer.echo(
            f"{report.out} already holds the same {report.pairs:,} pairs of {report.scenes:,} scenes; nothing to do"
        )
        return
    typer.echo(f"{report.pairs:,} pairs of {report.scenes:,} scenes in {report.out}")
    for reason, count in report.dropped.items():
        if count:
            typer.echo(f"  dropped {count:,}: {reason}")
    for name in report.unpaired:
        typer.echo(f"  left out for want of a partner: {name}")
    typer.echo(f"  settings, checksums and what was dropped: {report.out / 'report.json'}")


def _print_pack(report: PackReport) -> None:
    if report.already_packed:
        typer.echo(f"{report.out} already holds the same {report.pairs:,} pairs; nothing to do")
        return
    typer.echo(f"{report.pairs:,} pairs in {report.out} ({report.size_bytes / 1e9:,.2f} GB)")
    for reason, count in report.screen.counts.items():
        typer.echo(f"  dropped {count:,}: {reason}")
    typer.echo(f"  checksums, and every pair that was dropped: {report.out / 'packed.json'}")
