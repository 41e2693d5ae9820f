"""What screening leaves for a person: the table of verdicts and the contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from osm.data.parallel import Step
from osm.data.screening.sheets import Cell, write_sheets
from osm.data.screening.verdicts import FILE_NAME, Verdict, write_verdicts

SHEETS_NAME = "sheets"


def write_screening(
    folder: Path, verdicts: Sequence[Verdict], thumbs: Sequence[bytes], pages: int, watch: Step | None = None
) -> None:
    """Write ``screening.csv``, and ``sheets/kept-01.png``, ``sheets/dropped-<reason>-01.png`` and so on.

    Args:
        folder: Where.
        verdicts: One a patch pair.
        thumbs: Its thumbnail.
        pages: Most sheets of each kind.
        watch: Called before each kind.
    """
    write_verdicts(folder / FILE_NAME, verdicts)
    kinds: dict[str, list[int]] = {}
    for number, verdict in enumerate(verdicts):
        kinds.setdefault("kept" if verdict.kept else f"dropped-{verdict.reason}", []).append(number)
    if not pages:
        return
    (folder / SHEETS_NAME).mkdir()
    for done, (kind, numbers) in enumerate(sorted(kinds.items())):
        if watch is not None:
            watch("drawing contact sheets", done, len(kinds))

        def cell(index: int, numbers: list[int] = numbers) -> Cell:
            verdict = verdicts[numbers[index]]
            return Cell(thumbs[numbers[index]], verdict.name, verdict.pair if verdict.kept else _note(verdict))

        write_sheets(folder / SHEETS_NAME, kind, len(numbers), cell, pages=pages, kept=kind == "kept")


def _note(verdict: Verdict) -> str:
    """The reason with the figure that decided."""
    scores = verdict.scores
    figures = {
        "no-data": f"{scores.missing:.0%} missing",
        "texture-less": f"SAR {scores.sar_contrast:.2f}, optical {scores.optical_texture:.1f}",
        "seam line": f"seam line {scores.seam:.2f}",
        "near duplicate": f"as {verdict.detail}",
    }
    return figures.get(verdict.reason, verdict.reason)
