"""The header of a safetensors file, held against the size of the file before anything is allocated by it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from osm.errors import WeightsError

#: Largest header that is read, in bytes; the same as in safetensors itself.
MOST_BYTES = 100_000_000
#: Bytes of a value.
_ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip


def check_header(path: str | Path) -> None:
    """Make sure that a safetensors file has exactly the values that its header claims, each byte once.

    Stricter than the format in one thing: the header may end with spaces, and with no other white space, so that
    no byte of a file can change unnoticed.

    Raises:
        WeightsError: It has not.
    """
    size = Path(path).stat().st_size
    try:
        with Path(path).open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > min(size - 8, MOST_BYTES):
                raise ValueError(f"a header of {length:,} bytes in a file of {size:,}")
            text = stream.read(length)
        if text.rstrip(b" ")[-1:] != b"}":
            raise ValueError("a header that does not end where it should")
        values = json.loads(text.decode(), object_pairs_hook=_once)
        _check_tensors(values, size - 8 - length)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(
            path,
            found=f"no whole safetensors file ({reason})",
            expected="exported weights",
            mend="export or copy the file again",
        ) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("one name twice in its header")
    return found


def _check_tensors(values: dict[str, Any], size: int) -> None:
    end = 0
    tensors = {name: entry for name, entry in values.items() if name != "__metadata__"}
    for name, entry in sorted(tensors.items(), key=lambda item: tuple(item[1]["data_offsets"])):
        shape, (begin, stop) = entry["shape"], entry["data_offsets"]
        if entry["dtype"] not in _ITEM_BYTES:
            raise ValueError(f"{name} of an unknown type {entry['dtype']}")
        if not all(type(number) is int and number >= 0 for number in (*shape, begin, stop)):
            raise ValueError(f"{name} with a shape or a place that is none")
        needed = math.prod(shape) * _ITEM_BYTES[entry["dtype"]]
        if needed != stop - begin or begin != end or stop > size:
            raise ValueError(f"{name}: {needed:,} bytes from {begin:,} to {stop:,} of {size:,}, after {end:,}")
        end = stop
    if end != size:
        raise ValueError(f"{size - end:,} bytes that belong to nothing")
