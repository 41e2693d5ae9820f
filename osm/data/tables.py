"""CSV tables that people write or edit: read whole, with errors that name the line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from osm.errors import DataError

MAX_BYTES = 256 * 2**20
"""Largest table that is read: the verdicts on a million patches stay below it."""

Row = Mapping[str, str]


def read_table(path: str | Path, columns: Sequence[str]) -> list[tuple[int, Row]]:
    """Read a CSV file with a header; separated by commas, or by semicolons as spreadsheets of some countries write.

    Args:
        path: The file, UTF-8 with or without a mark at its beginning.
        columns: Columns that must be there. Others may be.

    Returns:
        The number of the line in the file, and the row by column; cells are stripped of blanks. Empty lines are left
        out.

    Raises:
        DataError: No such file, not a table, a column that is missing or there twice, a row of another length.
    """
    path = Path(path)
    expected = f"a CSV file with the columns {','.join(columns)}"
    try:
        if path.stat().st_size > MAX_BYTES:
            found = f"{path.stat().st_size:,} bytes"
            raise DataError(path, found=found, expected=f"at most {MAX_BYTES:,}", mend="check the path")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(path, found="no such file", expected=expected, mend="check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, found=f"no text ({error})", expected=expected, mend="save it as CSV in UTF-8") from error
    if "\0" in text:
        raise DataError(path, found="binary data", expected=expected, mend="save it as CSV in UTF-8")
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if ";" in first and "," not in first else ",", strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(path, header, columns, expected)
        rows: list[tuple[int, Row]] = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num}",
                    found=f"{len(cells)} cells",
                    expected=f"{len(header)}, as in the first line",
                    mend="correct the line",
                )
            rows.append((reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))))
    except csv.Error as error:
        where = f"{path}, line {reader.line_num}"
        raise DataError(where, found=f"no CSV ({error})", expected=expected, mend="correct the line") from error
    return rows


def _check_header(path: Path, header: list[str], columns: Sequence[str], expected: str) -> None:
    missing = [name for name in columns if name not in header]
    if missing:
        shown = ",".join(header)[:120] or "an empty file"
        raise DataError(
            path,
            found=f"no column {' and no column '.join(missing)} ({shown})",
            expected=expected,
            mend="name the columns in the first line",
        )
    double = next((name for name in header if name and header.count(name) > 1), None)
    if double is not None:
        raise DataError(path, found=f"two columns {double}", expected=expected, mend="remove or rename one")
