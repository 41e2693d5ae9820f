"""The table of verdicts: what screening said of every patch pair, for a person to edit and apply again."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from osm.data.screening.scores import Scores
from osm.data.tables import read_table
from osm.errors import DataError
from osm.files import atomic_path

FILE_NAME = "screening.csv"
COLUMNS = (
    "name", "scene", "row", "column", "verdict", "reason", "detail",
    "missing", "sar_contrast", "optical_texture", "seam", "pair",
)  # fmt: skip
KEEP, DROP = "keep", "drop"
BY_HAND = "by hand"


@dataclass(frozen=True)
class Verdict:
    """What became of one patch pair.

    Attributes:
        name: Its name: scene, row and column, which stay the same whatever is dropped.
        scene: The scene it is cut from.
        row: Of its upper left pixel.
        column: The same.
        reason: Why it is dropped; empty where it is kept.
        detail: More about it, such as the pair that it repeats.
        scores: What was measured.
        pair: Name of the files of the pair; empty where it is dropped.
    """

    name: str
    scene: str
    row: int
    column: int
    reason: str
    detail: str
    scores: Scores
    pair: str = ""

    @property
    def kept(self) -> bool:
        """Whether it is a pair of the data set."""
        return bool(self.pair)


def patch_name(scene: str, row: int, column: int) -> str:
    """Name of a patch pair in the table and on the sheets."""
    return f"{scene}_r{row}_c{column}"


def write_verdicts(path: Path, verdicts: Iterable[Verdict]) -> None:
    """Write the table, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for found in verdicts:
            scores = found.scores
            measured = (scores.missing, scores.sar_contrast, scores.optical_texture, scores.seam)
            verdict = KEEP if found.kept else DROP
            place = (found.name, found.scene, found.row, found.column)
            figures = (f"{value:.4g}" for value in measured)
            writer.writerow((*place, verdict, found.reason, found.detail, *figures, found.pair))


def read_verdicts(path: Path) -> dict[str, bool]:
    """Read an edited table: whether each named patch pair is kept. Other columns than name and verdict are ignored.

    Raises:
        DataError: No such table, a verdict that is neither ``keep`` nor ``drop``, a name that is there twice.
    """
    found: dict[str, bool] = {}
    for line, row in read_table(path, ("name", "verdict")):
        verdict, where = row["verdict"].lower(), f"{path}, line {line}"
        if verdict not in (KEEP, DROP):
            raise DataError(
                where, found=f"the verdict {row['verdict'][:40]!r}", expected="keep or drop", mend="correct the line"
            )
        if row["name"] in found:
            raise DataError(
                where, found=f"{row['name'][:80]!r} a second time", expected="each name once", mend="remove a line"
            )
        found[row["name"]] = verdict == KEEP
    return found


def check_known(path: Path, edited: Collection[str], known: Collection[str]) -> None:
    """Make sure that every edited name is one of a patch pair that was looked at.

    Raises:
        DataError: It is not.
    """
    unknown = sorted(set(edited) - set(known))
    if unknown:
        more = f" (and {len(unknown) - 1:,} more)" if len(unknown) > 1 else ""
        raise DataError(
            path,
            found=f"{unknown[0][:80]!r}{more}, which no patch of these scenes is called",
            expected="names as screening.csv has them, from the same scenes, --size, --overlap and --pixel-m",
            mend="correct the names, or make the table again with --screen",
        )
