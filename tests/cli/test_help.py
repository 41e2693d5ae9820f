"""Every help text, whole at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from osm.cli.main import app


def commands(group, path=()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


def parameters(path):
    command = get_command(app)
    for name in path:
        command = command.commands[name]
    return command.params


EVERY = list(commands(get_command(app)))


def help_of(path, columns=80) -> str:
    result = CliRunner().invoke(app, [*path, "--help"], prog_name="osm", env={"COLUMNS": str(columns)})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_it_is_whole_at_80_columns(path):
    shown = help_of(path)
    assert max(map(len, shown.splitlines())) <= 80
    assert not any(kind in shown for kind in ("<path>", "<str>", "<int", "<float", "<list", "<bool>"))
    words = "".join(shown.split())
    for parameter in parameters(path):
        for name in (*parameter.opts, *parameter.secondary_opts):
            if name.startswith("-"):
                assert f" {name}" in shown
        assert "".join((getattr(parameter, "help", None) or "").split()) in words


def test_every_command_is_listed_with_its_whole_first_sentence_under_a_heading():
    shown = " ".join(help_of(()).split())
    for name, command in get_command(app).commands.items():
        sentence = " ".join((command.help or "").split("\n\n")[0].split()).rstrip(".")
        assert f" {name} {sentence}" in shown
    assert [part for part in ("To begin:", "Stage 1, matching:", "Weights:", "Commands:") if part in shown] == [
        "To begin:",
        "Stage 1, matching:",
        "Weights:",
    ]


def test_headings_of_options_and_plain_names_of_arguments():
    shown = help_of(("data", "build-pairs"))
    assert (
        shown.index("\nOptions:") < shown.index("\nCutting:") < shown.index("  --overlap X ") < shown.index("\nRegis")
    )
    assert "[OPTIONS] WEIGHTS SCENE...\n" in help_of(("detect",))
    assert "Usage: osm report [OPTIONS] A [B]\n" in help_of(("report",))


def test_values_are_named_alike_by_old_and_new_versions_of_typer():
    from osm.cli.help import _TYPE, _value

    for written, named in (
        ("--seed <int range>", "--seed N"),
        ("--seed INTEGER RANGE", "--seed N"),
        ("--size INTEGER", "--size N"),
        ("--score FLOAT RANGE", "--score X"),
        ("--network <list[Path]>", "--network PATH"),
        ("--set NAME=VALUE", "--set NAME=VALUE"),
        ("--out PATH", "--out PATH"),
        ("--position / --no-position", "--position / --no-position"),
    ):
        assert _TYPE.sub(_value, written) == named


def test_what_was_misspelt_is_said_in_plain_lines():
    result = CliRunner().invoke(app, ["doctor", "--jsno"], prog_name="osm")
    assert result.exit_code == 2
    assert "--jsno" in result.output
    assert "╭" not in result.output
    assert "\x1b" not in result.output
