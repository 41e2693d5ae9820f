"""The ``osm`` command: every sub-command in one place, and how errors are shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from osm import __version__
from osm.cli import certificate, data, match, simulate
from osm.cli.card import card
from osm.cli.compare import compare
from osm.cli.demo import demo
from osm.cli.detect import detect
from osm.cli.doctor import doctor
from osm.cli.export import export, import_
from osm.cli.finetune import finetune
from osm.cli.inspect import inspect
from osm.cli.pretrain import pretrain
from osm.cli.probe import probe
from osm.cli.report import report
from osm.cli.view import view
from osm.errors import OSMError

USER_ERROR = 2

app = typer.Typer(
    name="osm",
    help="Pretrain a SAR backbone on SAR-optical pairs, and measure what it gives ship detectors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"osm {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Holds the options that stand before a command."""


app.command("doctor")(doctor)
app.command("demo")(demo)
app.add_typer(simulate.app, name="simulate")
app.add_typer(data.app, name="data")
app.command("pretrain")(pretrain)
app.add_typer(match.app, name="match")
app.command("inspect")(inspect)
app.command("finetune")(finetune)
app.command("probe")(probe)
app.command("compare")(compare)
app.command("report")(report)
app.command("view")(view)
app.command("detect")(detect)
app.command("export")(export)
app.command("import")(import_)
app.add_typer(certificate.app, name="certificate")
app.command("card")(card)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``osm`` and exit.

    Exits with 0 when all went well, 1 where a command says so (``osm doctor``), 2 when the user can
    mend what went wrong (one line on stderr names it), 130 after Ctrl-C. Anything else is a defect
    and shows its traceback.

    Args:
        arguments: What follows the program's name; ``sys.argv[1:]`` when not given. The scripts in
            ``tools/`` pass theirs behind the name of their command.
    """
    try:
        app(None if arguments is None else list(arguments), prog_name="osm")
    except OSMError as error:
        typer.echo(f"error: {error.line}", err=True)
        if error.details:
            typer.echo(error.details, err=True)
        sys.exit(USER_ERROR)
