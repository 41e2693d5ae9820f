"""The ``osm`` command: every sub-command in one place, and how errors are shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from osm import __version__
from osm.cli import certificate, data, match, simulate
from osm.cli.card import card
from osm.cli.compare import compare
from osm.cli.config import config
from osm.cli.demo import demo
from osm.cli.detect import detect
from osm.cli.doctor import doctor
from osm.cli.export import export, import_
from osm.cli.finetune import finetune
from osm.cli.help import App
from osm.cli.inspect import inspect
from osm.cli.outages import outage
from osm.cli.pretrain import pretrain
from osm.cli.probe import probe
from osm.cli.report import report
from osm.cli.view import view
from osm.errors import OSMError

USER_ERROR = 2

app = App("Pretrain a SAR backbone on SAR-optical pairs, and measure what it gives ship detectors.", name="osm")


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


_BEGIN, _MATCHING, _WEIGHTS = "To begin", "Stage 1, matching", "Weights"
_DETECTION, _COMPARISON = "Stage 2, detection", "Stage 3, comparison"

app.command("doctor", rich_help_panel=_BEGIN)(doctor)
app.command("demo", rich_help_panel=_BEGIN)(demo)
app.add_typer(simulate.app, name="simulate", rich_help_panel=_BEGIN)
app.add_typer(data.app, name="data", rich_help_panel=_BEGIN)
app.command("config", rich_help_panel=_BEGIN)(config)
app.command("pretrain", rich_help_panel=_MATCHING)(pretrain)
app.add_typer(match.app, name="match", rich_help_panel=_MATCHING)
app.command("inspect", rich_help_panel=_MATCHING)(inspect)
app.command("card", rich_help_panel=_WEIGHTS)(card)
app.command("export", rich_help_panel=_WEIGHTS)(export)
app.command("import", rich_help_panel=_WEIGHTS)(import_)
app.add_typer(certificate.app, name="certificate", rich_help_panel=_WEIGHTS)
app.command("finetune", rich_help_panel=_DETECTION)(finetune)
app.command("probe", rich_help_panel=_DETECTION)(probe)
app.command("detect", rich_help_panel=_DETECTION)(detect)
app.command("view", rich_help_panel=_DETECTION)(view)
app.command("compare", rich_help_panel=_COMPARISON)(compare)
app.command("report", rich_help_panel=_COMPARISON)(report)


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
        _stop(error)
    except Exception as error:
        if (found := outage(error)) is None:
            raise
        _stop(found)


def _stop(error: OSMError) -> NoReturn:
    typer.echo(f"error: {error.line}", err=True)
    if error.details:
        typer.echo(error.details, err=True)
    sys.exit(USER_ERROR)
