"""Results that take long, kept beside a comparison by what they were made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from osm.errors import DataError
from osm.files import check_seal, read_json, write_sealed


def kept(cache: Path | None, name: str, content: Any, make: Callable[[], Any]) -> Any:
    """What ``make`` returns, as JSON has it; from a file if it was made of the same content before.

    Args:
        cache: Folder of such files; None to make it anew and keep nothing.
        name: What it is.
        content: All that decides the result, as JSON values.
        make: Makes it, of JSON values.
    """
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path = None if cache is None else cache / f"{name}-{digest[:32]}.json"
    if path is not None and path.is_file():
        try:
            values = read_json(path)
            check_seal(path, values)
            return values["value"]
        except DataError:
            pass  # damaged: it is made again below, and replaced
    value = json.loads(json.dumps(make(), allow_nan=False))
    if path is not None:
        write_sealed(path, {"value": value})
    return value
