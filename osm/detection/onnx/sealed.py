"""ONNX files that end with a digest of all that stands before it.

A model's metadata may stand anywhere in it, also at its end. So the card and the digest are appended to the graph as
two entries of metadata: any reader of ONNX sees them, and a changed byte is found without understanding one of them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from osm.detection.onnx.card import DetectorCard, card_from_json
from osm.detection.onnx.wire import read_contents, text_entry
from osm.errors import WeightsError

CARD_KEY = "osm.detector"
SEAL_KEY = "osm.sha256"
_SEAL_BYTES = len(text_entry(SEAL_KEY, "0" * 64))


def seal(graph: bytes, card: DetectorCard) -> bytes:
    """A model with its card and, last, the SHA-256 of everything before."""
    body = graph + text_entry(CARD_KEY, card.to_json())
    return body + text_entry(SEAL_KEY, hashlib.sha256(body).hexdigest())


def read_sealed(path: str | Path) -> tuple[bytes, DetectorCard]:
    """A model and its card, after everything that can be checked without running it.

    Args:
        path: A file of ``osm export --to onnx``.

    Returns:
        The bytes that were checked, to be run as they are, and the card.

    Raises:
        WeightsError: The file is missing, is none of ours or not as it was written, or holds what no file of ours
            does: operators that are not ONNX's own, or values in other files.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(path, found="no such file", expected="an ONNX file of osm export", mend="check the path")
    data = path.read_bytes()
    _check_seal(path, data)
    try:
        contents = read_contents(data)
    except ValueError as error:
        raise WeightsError(
            path,
            found=f"no whole ONNX model ({error})",
            expected="an ONNX file of osm export",
            mend="copy or export it again",
        ) from error
    for wrong, found in (
        (contents.external, "tensors whose values are in other files"),
        (contents.functions, "operators of its own making"),
        (bool(contents.foreign), f"operators that are not ONNX's own ({', '.join(sorted(contents.foreign)[:3])})"),
    ):
        if wrong:
            raise WeightsError(
                path,
                found=found,
                expected="one file with nothing but ONNX's own operators",
                mend="do not trust it; export the detector again with osm export",
            )
    if CARD_KEY not in contents.texts:
        raise WeightsError(path, found="no card", expected="an ONNX file of osm export", mend="export it again")
    return data, card_from_json(contents.texts[CARD_KEY], path)


def _check_seal(path: Path, data: bytes) -> None:
    body, end = data[:-_SEAL_BYTES], data[-_SEAL_BYTES:]
    if end[:-64] != text_entry(SEAL_KEY, "0" * 64)[:-64]:
        raise WeightsError(
            path,
            found="no digest at its end",
            expected="an ONNX file of osm export, whole",
            mend="copy it again; if another program wrote it, export the detector with osm export --to onnx",
        )
    found = hashlib.sha256(body).hexdigest()
    if end[-64:] != found.encode():
        raise WeightsError(
            path,
            found=f"a content with SHA-256 {found[:12]}…",
            expected=f"{end[-64:-52].decode(errors='replace')}… as written",
            mend="the file was changed or damaged: copy or export it again",
        )
