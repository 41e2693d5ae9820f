"""Every command and every option has its purpose on the page of commands."""

from __future__ import annotations

import re

import pytest
from typer.main import get_command

from osm.cli.main import app


def commands(group=None, path=()):
    for name, command in (group or get_command(app)).commands.items():
        yield from commands(command, (*path, name)) if hasattr(command, "commands") else [((*path, name), command)]


def sections(text: str) -> dict[str, str]:
    """What stands below each heading of the third rank, by the command; those of a family share one."""
    found = {}
    for part in re.split(r"^##+ ", text, flags=re.MULTILINE):
        heading, _, rest = part.partition("\n")
        words = heading.replace(",", "").split()
        if words[:1] != ["osm"]:
            continue
        *parents, first = words[1:3] if words[1] in ("data", "match", "simulate", "certificate") else words[1:2]
        for name in (first, *words[2 + len(parents) :]):
            found[" ".join((*parents, name))] = rest
    return found


EVERY = [pytest.param(path, command, id=" ".join(path)) for path, command in commands()]


@pytest.mark.parametrize(("path", "command"), EVERY)
def test_each_option_has_its_purpose(repo_root, path, command):
    section = sections((repo_root / "docs/commands.md").read_text("utf-8"))[" ".join(path)]
    table = "\n".join(line for line in section.splitlines() if line.startswith("| `"))
    for option in command.params:
        names = [name for name in (*option.opts, *option.secondary_opts) if name.startswith("--")]
        if names and names != ["--help"]:
            assert any(f"`{name}`" in table for name in names), names


def test_no_option_is_on_the_page_that_no_command_has(repo_root):
    known = {
        name
        for _, command in commands()
        for option in command.params
        for name in (*option.opts, *option.secondary_opts)
    }
    said = set(re.findall(r"`(--[a-z][a-z-]*)", (repo_root / "docs/commands.md").read_text("utf-8")))
    assert said - known <= {"--help"}
