"""Folders of many files: written beside their final name and renamed when they are whole."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from osm.errors import DataError


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield an empty sibling of ``out`` that takes its name when the block succeeds.

    When the block raises, the sibling is removed and ``out`` is as it was. Its name begins with a dot, so that
    what a killed process leaves is no output to anybody; the next one clears it away. A folder that is there
    already is replaced: the caller decides whether it may be.

    Raises:
        DataError: The folder cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear_away(out)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
        # mkdtemp makes folders private; an output has the permissions of any other new folder
        made = temporary / out.name
        made.mkdir()
        held = _hold(temporary)
    except OSError as error:
        raise _unwritable(out, error) from error
    try:
        yield made
        if out.exists():
            out.rename(temporary / "replaced")
        try:
            made.rename(out)
        except OSError:
            if (temporary / "replaced").exists():
                (temporary / "replaced").rename(out)
            raise
    except OSError as error:
        raise _unwritable(out, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(held)


def _hold(folder: Path) -> int:
    """Lock a folder for as long as this process lives.

    Raises:
        BlockingIOError: Another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _clear_away(out: Path) -> None:
    """Remove what killed processes left, and put back a folder that one was about to replace."""
    for left in sorted(out.parent.glob(f".{glob.escape(out.name)}.*.partial")):
        try:
            held = _hold(left)
        except OSError:
            continue  # of a process that is at work, or not ours
        try:
            if (left / "replaced").is_dir() and not out.exists():
                (left / "replaced").rename(out)
            shutil.rmtree(left, ignore_errors=True)
        finally:
            os.close(held)


def _unwritable(out: Path, error: OSError) -> DataError:
    return DataError(
        out,
        found=f"that it cannot be written ({error.strerror or error})",
        expected="a place with room and permission to write",
        mend="free space, or choose another --out",
    )
