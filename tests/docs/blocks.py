"""The code blocks of README and docs, and the mark that says of each whether a test runs it.

A mark is an HTML comment right above a block:

- ``<!-- run: simulated -->``: run as it stands, on simulated data; seconds.
- ``<!-- run: simulated, slow -->``: likewise, in the slow tier; minutes.
- ``<!-- run: simulated, until stopped -->``: serves a page, which is fetched; then it is told to end.
- ``<!-- file: NAME -->``: what the reader writes into a file of that name before the next block.
- ``<!-- not run: REASON -->``: not run, and why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

#: Of a block that nobody would type: drawings, output, settings in passing.
PROSE = ("text", "json", "yaml", "toml", "console-output", "bibtex", "xml", "csv")
_MARK = re.compile(r"^<!-- (?:(run|not run|file): ?)(.+?) -->$")
_KINDS = ("simulated", "simulated, slow", "simulated, until stopped")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: Of its first fence, from 1.
        language: What the fence says; empty if nothing.
        text: What is inside.
        mark: ``run``, ``not run``, ``file``, or empty where there is none.
        note: What the mark says.
    """

    line: int
    language: str
    text: str
    mark: str
    note: str

    @property
    def slow(self) -> bool:
        """Whether it is for the slow tier."""
        return self.note.endswith("slow")

    @property
    def serves(self) -> bool:
        """Whether it goes on until it is told to end."""
        return self.note.endswith("until stopped")

    @property
    def fault(self) -> str:
        """What is wrong with its mark; empty if nothing."""
        if self.language in PROSE:
            return ""
        if not self.mark:
            return "no mark above it"
        if self.mark == "run" and self.note not in _KINDS:
            return f"found run: {self.note!r}; expected one of {', '.join(_KINDS)}"
        if self.mark == "file" and (Path(self.note).is_absolute() or ".." in Path(self.note).parts):
            return "a file outside the reader's folder"
        return ""


def read_blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    blocks: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    start: int | None = None
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if start is None:
            start = number
            continue
        fence, above = lines[start].strip(), lines[start - 1].strip() if start else ""
        found = _MARK.match(above)
        indent = len(lines[start]) - len(lines[start].lstrip())
        text = "\n".join(inside[indent:] for inside in lines[start + 1 : number]) + "\n"
        language = fence.strip("`").split(" ")[0]
        blocks.append(Block(start + 1, language, text, *(found.groups() if found else ("", ""))))
        start = None
    assert start is None, f"{page}: a fence at line {start} is never closed"
    return blocks
