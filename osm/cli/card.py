"""``osm card``: what exported weights say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from osm.transfer.card import Card


def card(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Exported weights, or a folder with model.safetensors in it.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as it is in the file.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a model card for sharing, in Markdown.")] = False,
    licence: Annotated[
        str | None,
        typer.Option("--licence", help="With --markdown: terms of the weights, e.g. cc-by-4.0; else said unknown."),
    ] = None,
) -> None:
    """Show the card of exported weights: data, recipe, figures, input, limits and SHA-256.

    The file is checked against the digests in it.
    """
    from osm.cli.certificate import console
    from osm.errors import ConfigError
    from osm.files import sha256_file
    from osm.transfer.export import read_export
    from osm.transfer.model_card import model_card

    if as_json and markdown:
        raise ConfigError("--json and --markdown", found="both", expected="one of them", mend="leave one out")
    if licence is not None and not markdown:
        raise ConfigError("--licence", found="no --markdown", expected="both", mend="give --markdown too")
    path = file / "model.safetensors" if file.is_dir() else file
    _, found = read_export(path)
    if as_json:
        typer.echo(json.dumps(json.loads(found.to_json()), indent=1))
    elif markdown:
        typer.echo(model_card(found, sha256=sha256_file(path), file=path.name, licence=licence), nl=False)
    else:
        show(found, sha256_file(path), console())


def show(card: Card, sha256: str, out: Console) -> None:
    """Print a card."""
    from osm.transfer.model_card import WHAT, detection_figures, figures, limits

    kind = "both branches of a bridge network" if card.matching else WHAT[card.pretrained]
    out.print(f"[bold]{card.architecture}[/bold]: {kind}")
    _rows(out, "", [("SHA-256", sha256), ("revision", card.git_revision)])
    data = card.data
    names = ("root", "kind", "pairs", "split", "scenes")
    facts = [(name.replace("_", " "), data[name]) for name in names if data.get(name)]
    if "train_pairs" in data:
        facts.append(("pairs to train, to test", f"{data['train_pairs']:,}, {data['test_pairs']:,}"))
    if "train_scenes" in data:
        facts.append(("scenes to train, to test", f"{data['train_scenes']:,}, {data['test_scenes']:,}"))
        facts.append(("ships to train, to test", f"{data['train_ships']:,}, {data['test_ships']:,}"))
    if "simulated" in data:
        facts.append(("simulated", "yes" if data["simulated"] else "no"))
    _rows(out, "Data", facts)
    contract = card.input
    _rows(
        out,
        "Input",
        [
            ("bands, channels, bits", f"{contract.bands}, {contract.replicate_to}, {contract.bit_depth}"),
            ("radiometry", contract.radiometry),
            ("mean", ", ".join(f"{value:g}" for value in contract.mean)),
            ("std", ", ".join(f"{value:g}" for value in contract.std)),
        ],
    )
    train, model = card.config.get("train", {}), card.config.get("model", {})
    loss = model.get("loss")
    source = card.start.get("source")
    recipe = [("start", source or "a random draw"), ("filled by it", card.start.get("coverage") if source else None)]
    recipe += [("detector", card.config.get("detector"))]
    recipe += [("objective", loss.get("type") if isinstance(loss, dict) else loss)]
    recipe += [(name.replace("_", " "), train.get(name)) for name in ("epochs", "batch_size", "schedule")]
    recipe += [("seed", train.get("seed", card.config.get("seed")))]
    _rows(out, "Recipe", [(name, value) for name, value in recipe if value is not None])
    rows = figures(card)
    _rows(
        out,
        "Matching figures",
        [
            *((f"at {at}", f"accuracy {one}, precision {two}, recall {three}") for at, one, two, three, _ in rows),
            *([("AUC", f"{card.metrics['auc']:.3f}")] if "auc" in card.metrics else []),
            *([("measured on", rows[0][4])] if rows else []),
        ],
    )
    found = detection_figures(card)
    _rows(
        out, "Detection, AP on its own test scenes", [(at, f"AP50 {one}, AP[.5:.95] {two}") for at, one, two in found]
    )
    out.print("\n[bold]Limits[/bold]")
    for limit in limits(card):
        out.print(f"- {limit}", markup=False)


def _rows(out: Console, title: str, rows: list[tuple[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    if title:
        out.print(f"\n[bold]{title}[/bold]")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(name, style="dim"), Text(str(value)))
    out.print(grid)
