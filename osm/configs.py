"""Configs: where those that come with the package lie, and what is said of a value that is out of range."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from pathlib import Path

from osm.errors import ConfigError


def config_path(name: str) -> Path:
    """A config that comes with the package: in a checkout, or inside an installed wheel.

    Args:
        name: Path below ``configs/``, e.g. ``pretrain/bnn_resnet18.py``.
    """
    package = Path(__file__).resolve().parent
    installed = package / "_configs"
    return (installed if installed.is_dir() else package.parent / "configs") / name


def find_config(path: Path) -> Path:
    """The config that a user named; where that file is not here and starts with ``configs/``, the package's own.

    So commands of the docs run without a checkout. A file that is here always wins.
    """
    if path.exists() or path.is_absolute() or path.parts[:1] != ("configs",):
        return path
    ours = config_path("/".join(path.parts[1:]))
    return ours if ours.is_file() else path


def check_values(where: str | Path, rules: Iterable[tuple[bool, str, object, str]]) -> None:
    """Check the values of a config.

    Args:
        where: File at fault.
        rules: Whether the value is good, its dotted name, the value, and what is expected.

    Raises:
        ConfigError: For the first that is not.
    """
    for good, name, value, expected in rules:
        if not good:
            raise ConfigError(where, found=f"{name} = {value!r}", expected=expected, mend="correct the value")


def check_choices(where: str | Path, rules: Iterable[tuple[str, str, Collection[str]]]) -> None:
    """Check values of which there are a few.

    Args:
        where: File at fault.
        rules: The value's dotted name, the value, and those that there are.

    Raises:
        ConfigError: For the first that is none of them; the line offers the nearest.
    """
    for name, value, choices in rules:
        if value not in choices:
            near = nearest(value, choices)
            raise ConfigError(
                where,
                found=f"{name} = {value!r}",
                expected=f"one of {', '.join(choices)}",
                mend=f"write {near!r}" if near else "correct it",
            )


def parse_numbers(where: str, text: str, expected: str) -> tuple[float, ...]:
    """Read numbers that stand between commas.

    Args:
        where: Option at fault.
        text: What was given.
        expected: What it should be, with an example.

    Raises:
        ConfigError: These are no numbers.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(where, found=repr(text), expected=expected, mend="correct the option") from error


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that is spelt most like ``name``, capitals aside; None where none is near."""
    spelt = {entry.casefold(): entry for entry in known}
    near = difflib.get_close_matches(name.casefold(), spelt, n=1, cutoff=0.5)
    return spelt[near[0]] if near else None
