"""``osm data``: check data sets, build pairs from scenes, and pack pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osm.cli.build_pairs import build_pairs
from osm.cli.help import App
from osm.cli.progress import progress_bar

if TYPE_CHECKING:
    from osm.data.pack import PackReport
    from osm.data.verify import VerifyReport

app = App("Check data sets, build pairs from scenes, and pack pairs.")


@app.command("verify")
def verify_command(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="pairs, air-sarship-1.0, air-sarship-2.0, ssdd, hrsid or dota.")
    ],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the data set.")],
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


app.command("build-pairs")(build_pairs)


@app.command("pack")
def pack_command(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS", help="Folder of pairs in the layout of QXS-SAROPT.")],
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


def _print_verify(report: VerifyReport) -> None:
    width = max((len(name) for name in report.counts), default=0)
    typer.echo(f"{report.kind}: {report.path}")
    for name, count in report.counts.items():
        typer.echo(f"  {name:<{width}}  {count:>10,}")
    for problem in report.problems:
        typer.echo(f"error: {problem.line}")
    count = len(report.problems)
    typer.echo("nothing is wrong" if report.clean else f"{count} problem{'s' if count > 1 else ''}")


def _print_pack(report: PackReport) -> None:
    if report.already_packed:
        typer.echo(f"{report.out} already holds the same {report.pairs:,} pairs; nothing to do")
        return
    typer.echo(f"{report.pairs:,} pairs in {report.out} ({report.size_bytes / 1e9:,.2f} GB)")
    for reason, count in report.screen.counts.items():
        typer.echo(f"  dropped {count:,}: {reason}")
    typer.echo(f"  checksums, and every pair that was dropped: {report.out / 'packed.json'}")
