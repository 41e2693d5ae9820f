"""Errors that a user can mend: each says which file, what was found, what was expected, what to do."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

_LONGEST = 1600  # characters of a message: a few long paths and lists of names


class OSMError(Exception):
    """Something in the user's input or machine that the user can put right.

    The command line prints it as one line, followed by the details if there are any, and exits with code 2;
    everything that is not an ``OSMError`` is a defect of this package and may show a traceback.

    Args:
        where: The file, folder, option or setting at fault.
        found: What was found there.
        expected: What was expected instead.
        mend: What to do, as a command or an instruction.
        details: What more there is to see, in lines; mostly nothing.
    """

    def __init__(self, where: str | Path, *, found: str, expected: str, mend: str, details: str = "") -> None:
        self.where = str(where)
        self.found = found
        self.expected = expected
        self.mend = mend
        self.details = details
        super().__init__(self.line)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as it was made, so that it comes out of a worker process whole."""
        facts = {"found": self.found, "expected": self.expected, "mend": self.mend, "details": self.details}
        return partial(type(self), self.where, **facts), ()

    @property
    def line(self) -> str:
        """The whole message on one line: what a file holds can neither draw on a terminal nor fill it."""
        text = " ".join(f"{self.where}: found {self.found}; expected {self.expected}; {self.mend}".split())
        text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


class DataError(OSMError):
    """Images, labels or folders that are missing, broken or contradictory."""


class ConfigError(OSMError):
    """A setting or a config file that is misspelt, of the wrong type or out of range."""


class WeightsError(OSMError):
    """Weights that are missing, unreadable, or do not fit the network they are meant for."""


class EnvironmentProblem(OSMError):
    """A missing or mismatched package; ``osm doctor`` names the command that mends it."""
