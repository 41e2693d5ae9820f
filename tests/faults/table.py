"""The notes of a run of this tier as the table of docs/reliability.md: ``python -m tests.faults.table``."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tests.faults.cases import COMMANDS
from tests.faults.conftest import NOTES

#: Rows, in the order in which one would ask.
FAULTS = (
    "SIGKILL at 10 random points",
    "SIGTERM at 3 points",
    "disk full at 10, 40 and 80 % of the output",
    "read-only output",
    "an input vanishes (at 20, 40 and 70 % of the run)",
    "an input is cut short (at 20, 40 and 70 % of the run)",
    "the newest part of the output vanishes after SIGKILL",
    "the newest part of the output is cut short after SIGKILL",
    "a worker process killed for memory",
    "NaN in the data",
    "the clock goes back a day, within a run and between two",
    "two runs on one folder at once",
)


def table(notes: Path = NOTES) -> str:
    """Markdown: a row for each fault, a column for each command, and how often what happened."""
    seen: dict[tuple[str, str], Counter[str]] = {}
    for line in notes.read_text().splitlines():
        note = json.loads(line)
        seen.setdefault((note["fault"], note["command"]), Counter())[note["happened"]] += 1
    unknown = {fault for fault, _ in seen} - set(FAULTS)
    assert not unknown, unknown
    rows = [["", *(f"`{name}`" for name in COMMANDS)], ["---"] * (len(COMMANDS) + 1)]
    rows += [[fault, *(_cell(seen.get((fault, name))) for name in COMMANDS)] for fault in FAULTS]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(happened: Counter[str] | None) -> str:
    if happened is None:
        return "–"
    if len(happened) == 1:
        return next(iter(happened))
    return "; ".join(f"{count} × {what}" for what, count in happened.most_common())


if __name__ == "__main__":
    print(table())
