"""``osm certificate``: the proof of what a backbone started from, for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osm.cli.help import App

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

app = App("Show the proof of what a backbone started from.")

#: Entries of an input contract, and how a person calls them.
CONTRACT = {
    "bands": "bands",
    "replicate_to": "channels",
    "bit_depth": "bits",
    "mean": "mean",
    "std": "std",
    "radiometry": "radiometry",
}
_HASH = 16


@app.callback()
def _group() -> None:
    """Makes a group of what is one command so far."""


@app.command("show")
def show_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A certificate, or a folder of a run that holds one or two.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON of the file.")] = False,
) -> None:
    """Show coverage by stage, what stayed random or frozen, the input contract, and the hashes at load and step 0."""
    from osm.transfer.certificate import read_certificate

    found = {path: read_certificate(path) for path in certificates_at(file)}
    if as_json:
        values = list(found.values())
        many = {path.name: content for path, content in found.items()}
        typer.echo(json.dumps(values[0] if len(values) == 1 else many, indent=1))
        return
    show(found, console())


def certificates_at(path: Path) -> list[Path]:
    """The file itself, or the certificates in a folder.

    Raises:
        DataError: There is none.
    """
    from osm.errors import DataError

    if not path.is_dir():
        return [path]
    found = sorted(path.glob("certificate*.json"), reverse=True)
    if not found:
        raise DataError(
            path,
            found="a folder without a certificate",
            expected="certificate.json, as osm finetune and osm compare write it, or those of osm pretrain",
            mend="give the folder of one run, or the file",
        )
    return found


def console() -> Console:
    """Where tables go: no wider than a page, however wide the terminal."""
    from rich.console import Console

    wide = Console().width
    return Console(width=min(wide, 100), highlight=False)


def show(certificates: Mapping[Path, Mapping[str, Any]], out: Console) -> None:
    """Print certificates.

    Args:
        certificates: File → what ``read_certificate`` gave.
        out: Where to.

    Raises:
        DataError: One has not the entries of its schema.
    """
    from osm.errors import DataError

    for number, (path, content) in enumerate(certificates.items()):
        if number:
            out.rule()
        try:
            parts = _parts(content)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(
                path, found=f"entries that are not those of a certificate ({error!r})", expected="those of its schema",
                mend="write the certificate again with this version",
            ) from error  # fmt: skip
        for part in parts:
            out.print(part)


def _parts(content: Mapping[str, Any]) -> list[RenderableType]:
    from rich.text import Text

    parts: list[RenderableType] = [_facts(content)]
    if content.get("stages"):
        parts.append(_stages(content["stages"]))
    random = list(content.get("random", ()))
    filled = list(content.get("filled", ()))
    unused = list(content.get("unused", ()))
    parts += [Text(f"stayed random: {_modules(random) if filled else 'all of it'}")]
    if unused:
        parts.append(Text(f"in the file and not needed: {_some(unused)}"))
    if content.get("contract"):
        parts += _contract(content["contract"])
    if "schema" not in content:
        parts += ["", Text("Written before there was a schema: stages, contract and step 0 were not recorded.")]
    return parts


def _facts(content: Mapping[str, Any]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from osm.transfer.certificate import percent

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    total = len(content["filled"]) + len(content["random"])
    rows = [
        ("backbone", str(content["architecture"])),
        *([("part of", str(content["target"]))] if content.get("target") else []),
        ("source", str(content["source"] or "none: a random start")),
    ]
    if content.get("source_sha256"):
        rows.append(("its SHA-256", content["source_sha256"]))
    # a fraction just below 1 must not be rounded to all
    share = percent(content["coverage"])
    least = f", at least {100 * content.get('min_coverage', 0):g} % asked for" if content["source"] else ""
    rows.append(("coverage", f"{len(content['filled'])} of {total} tensors ({share}{least})"))
    values, known = (
        sum(stage[key] for stage in content.get("stages", ())) for key in ("parameters", "parameters_filled")
    )
    if content["source"] and values:
        rows.append(("", f"{known:,} of {values:,} values that can be trained ({percent(known / values)})"))
    step0 = content.get("step0")
    if content.get("sha256_at_load"):
        rows.append(("hash at load", content["sha256_at_load"][:_HASH]))
        rows.append(("hash at step 0", _step0(step0)))
    for name, text in rows:
        style = "bold red" if name == "hash at step 0" and step0 and not step0["equal"] else ""
        grid.add_row(Text(name, style="dim"), Text(text, style=style))
    return grid


def _step0(step0: Mapping[str, Any] | None) -> str:
    if step0 is None:
        return "not recorded: no training step was taken"
    start = f"{step0['sha256'][:_HASH]}  "
    if step0["equal"]:
        return start + "equal"
    changed = list(step0["changed"])
    if step0["reestimated"] and all(key.endswith(("running_mean", "running_var")) for key in changed):
        return start + f"{len(changed)} statistics of batch norm estimated anew, as the config asks; all else equal"
    return start + f"NOT EQUAL: {_some(changed)}"


def _stages(stages: Sequence[Mapping[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("stage", no_wrap=True)
    for name in ("tensors filled", "parameters", "filled", "frozen", "BN in eval"):  # BN: batch norm
        table.add_column(name, justify="right", no_wrap=True)
    sums = dict.fromkeys([key for key in stages[0] if key != "name"], 0)
    for stage in stages:
        for key in sums:
            sums[key] += stage[key]
    for stage in stages:
        table.add_row(*_stage(stage), end_section=stage is stages[-1])
    table.add_row(*_stage({"name": "all", **sums}))
    return table


def _stage(stage: Mapping[str, Any]) -> list[str]:
    from osm.transfer.certificate import percent

    norms = f"{stage['norms_eval']} of {stage['norms']}" if stage["norms"] else "–"
    return [
        str(stage["name"]),
        f"{stage['tensors_filled']} of {stage['tensors']}",
        f"{stage['parameters']:,}",
        percent(stage["parameters_filled"] / stage["parameters"] if stage["parameters"] else 1.0),
        f"{stage['parameters_frozen']:,}",
        norms,
    ]


def _contract(contract: Mapping[str, Any]) -> list[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    source, target = contract["source"], contract["target"]
    wrong = {mismatch["entry"] for mismatch in contract["mismatches"]}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("input", no_wrap=True)
    table.add_column("trained on", overflow="fold")
    table.add_column("fed now", overflow="fold")
    table.add_column("")
    for entry, name in CONTRACT.items():
        verdict = ""
        if source is not None:
            verdict = "MISMATCH" if entry in wrong else "agrees" if source[entry] == target[entry] else "differs"
        was = "–" if source is None else shown(source[entry])
        table.add_row(name, was, shown(target[entry]), Text(verdict, style="bold red" if entry in wrong else ""))
    parts: list[RenderableType] = [table]
    if source is None:
        parts.append(Text(f"contract of the source: {contract['source_said']}"))
    parts += [Text(f"note: {note}") for note in contract["notes"]]
    if contract["allowed"]:
        parts.append(Text("the mismatch was let pass by --allow-contract-mismatch", style="bold red"))
    return parts


def shown(value: Any) -> str:
    """An entry of an input contract."""
    return ", ".join(f"{entry:g}" for entry in value) if isinstance(value, list | tuple) else str(value)


def _modules(keys: Sequence[str]) -> str:
    return _some(list(dict.fromkeys(key.rpartition(".")[0] or key for key in keys))) if keys else "nothing"


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
