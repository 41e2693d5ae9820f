"""What was found by a look at many pixels, kept beside the runs: losing it costs time and nothing else."""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from osm.files import atomic_path, write_json

Value = TypeVar("Value")
Arrays = dict[str, npt.NDArray[Any]]


def cached_json(cache: Path | None, what: str, key: Callable[[], str], compute: Callable[[], Any]) -> Any:
    """A JSON value from the cache, or computed and kept there.

    Args:
        cache: Folder of the cache; None for no cache.
        what: What the value is; begins the file's name.
        key: Says everything that decides the value; asked only where there is a cache.
        compute: Makes the value.
    """

    def read(path: Path) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))

    return _cached(cache, what, key, ".json", compute, read, write_json)


def cached_arrays(cache: Path | None, what: str, key: Callable[[], str], compute: Callable[[], Arrays]) -> Arrays:
    """The same for arrays by name."""

    def read(path: Path) -> Arrays:
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}

    def write(path: Path, value: Arrays) -> None:
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            # typed for savez's own options, which these names are not
            np.savez(stream, **value)  # type: ignore[arg-type]

    return _cached(cache, what, key, ".npz", compute, read, write)


def _cached(
    cache: Path | None,
    what: str,
    key: Callable[[], str],
    suffix: str,
    compute: Callable[[], Value],
    read: Callable[[Path], Value],
    write: Callable[[Path, Value], None],
) -> Value:
    if cache is None:
        return compute()
    path = cache / f"{what}-{hashlib.sha256(key().encode()).hexdigest()[:20]}{suffix}"
    try:
        return read(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        logging.getLogger(__name__).warning(f"{path} cannot be read ({error}) and is made again")
    value = compute()
    try:
        write(path, value)
    except OSError as error:
        logging.getLogger(__name__).warning(f"{path} cannot be written ({error}); the next run will look again")
    return value
