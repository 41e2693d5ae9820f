"""The folder of a simulation: whole or absent, reused when it is the same, never mixed with something else."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from osm.errors import DataError
from osm.files import read_json, write_json

MANIFEST = "SIMULATED.json"
_MEND = "choose another folder, or remove this one"


@contextmanager
def simulation_folder(out: Path, settings: dict[str, Any], pattern: str, each: int = 2) -> Iterator[Path | None]:
    """Yield a temporary sibling folder that becomes ``out``, with its manifest, when the block succeeds.

    Yields None where ``out`` already holds a finished simulation with the same settings. When the block
    raises, the temporary folder is removed and ``out`` is left as it was.

    Args:
        out: The final folder; new or empty.
        settings: Everything that determines the bytes; written as ``SIMULATED.json``.
        pattern: Glob of the files that a finished folder holds.
        each: How many of them there are for each of ``settings["count"]``.

    Raises:
        DataError: ``out`` holds something else, or cannot be written.
    """
    final = Path(out).resolve()
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        _require_same(final, Path(out), settings, pattern, each)
        yield None
        return
    temporary: Path | None = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}.", suffix=".partial", dir=final.parent))
        # mkdtemp makes folders private; an output has the permissions of any other new folder
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        yield temporary
        write_json(temporary / MANIFEST, settings)
        temporary.replace(final)
        temporary = None
    except OSError as error:
        reason = error.strerror or str(error)
        mend = "make room or choose another folder"
        raise DataError(out, found=reason, expected="a folder that can be written", mend=mend) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _require_same(final: Path, shown: Path, settings: dict[str, Any], pattern: str, each: int) -> None:
    """Raise unless ``final`` is a finished simulation with these settings."""
    manifest = final / MANIFEST
    if not manifest.is_file():
        raise DataError(shown, found="something that is no simulation", expected="a new or empty folder", mend=_MEND)
    held = read_json(manifest)
    if not isinstance(held, dict):
        raise DataError(manifest, found="no settings", expected="the settings of a simulation", mend=_MEND)
    differing = sorted(name for name in settings.keys() | held.keys() if held.get(name) != settings.get(name))
    if differing:
        found = f"a simulation with another {', '.join(differing)}"
        raise DataError(shown, found=found, expected="the same settings", mend=_MEND)
    present, wanted = len(list(final.glob(pattern))), each * int(settings["count"])
    if present != wanted:
        raise DataError(shown, found=f"{present} files of a simulation", expected=str(wanted), mend="remove the folder")
