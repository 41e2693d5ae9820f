"""What lies beside a file for other frameworks: its SHA-256, and the card that they do not read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from osm.errors import WeightsError
from osm.files import sha256_file
from osm.transfer.card import Card, card_from_json
from osm.transfer.export import read_safetensors, require_digest

FORMAT = 1
#: Where the record stands in a safetensors file under another framework's keys. Not under the name of our own
#: card: what has that is loaded under our keys.
RECORD_KEY = "osm.export"


@dataclass(frozen=True)
class Record:
    """What is known of an exported file.

    Attributes:
        framework: The adapter it was written for.
        card: Of the weights.
        source: Name of the file it was made from.
        source_sha256: Of that file.
    """

    framework: str
    card: Card
    source: str
    source_sha256: str

    def to_json(self, **more: str) -> str:
        """The record as JSON text, with whatever stands beside it."""
        values = {
            "format": FORMAT,
            "framework": self.framework,
            "source": self.source,
            "source_sha256": self.source_sha256,
            "card": json.loads(self.card.to_json()),
        }
        return json.dumps({**values, **more}, indent=1, allow_nan=False)


def card_path(path: Path) -> Path:
    """The card beside a file."""
    return path.with_name(f"{path.name}.card.json")


def sha256_path(path: Path) -> Path:
    """The SHA-256 beside a file."""
    return path.with_name(f"{path.name}.sha256")


def sha256_line(digest: str, path: Path) -> str:
    """What ``sha256sum -c`` reads, in the folder of the file."""
    return f"{digest}  {path.name}\n"


def read_record(path: Path) -> Record | None:
    """The record in or beside a file, or None where there is none: most files are not of our making.

    Raises:
        WeightsError: There is one, but it is broken, or the file has changed since.
    """
    if path.suffix == ".safetensors":
        tensors, metadata = read_safetensors(path)
        if RECORD_KEY not in metadata:
            return None
        require_digest(path, tensors, metadata)
        return _parse(metadata[RECORD_KEY], path)[0]
    beside = card_path(path)
    if not beside.is_file():
        return None
    record, digest = _parse(beside.read_text(encoding="utf-8", errors="replace"), beside)
    if digest != sha256_file(path):
        raise WeightsError(
            path,
            found="another SHA-256 than in the card beside it",
            expected=f"{digest[:12]}…",
            mend=f"copy or export the file again, or remove {beside.name} if it is of another file",
        )
    return record


def _parse(text: str, where: Path) -> tuple[Record, str]:
    try:
        values = json.loads(text)
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}")
        record = Record(
            framework=values["framework"],
            card=card_from_json(json.dumps(values["card"]), str(where)),
            source=values["source"],
            source_sha256=values["source_sha256"],
        )
        return record, values.get("sha256", "")
    except (ValueError, TypeError, KeyError) as error:
        raise WeightsError(
            where,
            found=f"a broken record of an export ({error!r})",
            expected=f"one of format {FORMAT}",
            mend="export the weights again with this version",
        ) from error
