"""The page of reliability has a field for every fault and every command, from a whole run of the tier."""

from __future__ import annotations

from tests.faults.cases import COMMANDS
from tests.faults.table import FAULTS


def test_no_field_of_the_matrix_is_missing(repo_root):
    lines = (repo_root / "docs/reliability.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    start = next(number for number, row in enumerate(rows) if row[1:] == [f"`{name}`" for name in COMMANDS])
    matrix = {row[0]: row[1:] for row in rows[start + 2 : start + 2 + len(FAULTS)]}
    assert list(matrix) == list(FAULTS)
    empty = [
        (fault, name) for fault, row in matrix.items() for name, cell in zip(COMMANDS, row, strict=True) if cell == "–"
    ]
    assert empty == [("NaN in the data", "pack")]  # 8-bit patches hold none
