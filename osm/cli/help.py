"""How ``--help`` looks: plain text that is whole at 80 columns, in a terminal, a log or a pipe.

Typer's own boxes give the type of a value a column of its own; at 80 columns, what stands beside it is cut in the
middle of words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

Function = TypeVar("Function", bound=Callable[..., Any])

#: What a value is, as Typer and Click write it, and as it is written here.
_VALUES = {
    "path": "PATH",
    "directory": "PATH",
    "file": "PATH",
    "int": "N",
    "integer": "N",
    "float": "X",
    "str": "TEXT",
    "text": "TEXT",
}
_TYPE = re.compile(r"<(?:list\[)?(\w+)(?: range)?\]?>|\b([A-Z]+)(?: RANGE)\b|\b(INTEGER|FLOAT)\b")
#: Wide enough for the first sentence of any command.
_WHOLE = 400


class Command(TyperCommand):
    """A command, with its options under the headings that they were given (``rich_help_panel``)."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Arguments by their plain name: ``SCENE...`` in place of ``{SCENE...}...``."""
        pieces = (re.sub(r"[{}]", "", piece) for piece in super().collect_usage_pieces(ctx))
        return [piece.replace("......", "...") for piece in pieces]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write all parameters, those without a heading under ``Arguments`` or ``Options``."""
        _write_parameters(self, ctx, formatter)


class Group(TyperGroup):
    """A command that has commands, under the headings that they were given (``rich_help_panel``)."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, and then the few options that stand before one."""
        self.format_commands(ctx, formatter)
        _write_parameters(self, ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write every command with the whole of its first sentence."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is None or command.hidden:
                continue
            heading = getattr(command, "rich_help_panel", None)
            heading = heading if isinstance(heading, str) else "Commands"
            sections.setdefault(heading, []).append((name, command.get_short_help_str(limit=_WHOLE)))
        width = max((len(name) for rows in sections.values() for name, _ in rows), default=0)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])


def _write_parameters(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        argument = parameter.param_type_name == "argument"
        heading = getattr(parameter, "rich_help_panel", None) or ("Arguments" if argument else "Options")
        left = record[0].split(" <")[0] if argument else _TYPE.sub(_value, record[0])
        sections.setdefault(heading, []).append((left, record[1]))
    for heading, rows in sections.items():
        with formatter.section(heading):
            formatter.write_dl(rows)


def _value(found: re.Match[str]) -> str:
    kind = next(group for group in found.groups() if group)
    return _VALUES.get(kind.lower(), kind.upper())


class App(typer.Typer):
    """What commands are entered into."""

    def __init__(self, help_text: str, **settings: Any) -> None:
        super().__init__(
            help=help_text,
            cls=Group,
            rich_markup_mode=None,
            no_args_is_help=True,
            add_completion=False,
            pretty_exceptions_enable=False,
            **settings,
        )

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
        """As Typer's, of commands that help as described above."""
        return super().command(name, **{"cls": Command, **settings})
