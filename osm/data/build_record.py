"""The record that a build of pairs leaves: ``report.json``, and whether a folder holds the same finished build."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from osm.data.eight_bit import ReadRule
from osm.data.pairs import list_pairs
from osm.data.partners import ScenePair
from osm.data.patches import CutRule
from osm.errors import DataError
from osm.files import read_json, write_json

REPORT_NAME = "report.json"
_FORMAT = 1
_OTHER_OUT = "choose another --out"


@dataclass(frozen=True)
class BuildReport:
    """What became of the scenes.

    Args:
        out: The folder that was written.
        pairs: Patch pairs in it.
        scenes: Scene pairs that they were cut from.
        dropped: Patches that were left out, by reason (``osm.data.patches.REASONS``, and those of screening).
        unpaired: Files that were left out for want of a partner.
        cut: Patches that were cut and looked at.
        by_hand: How many of them an edited table of verdicts kept, and how many it dropped, against the screening.
        scene_records: What the report says of each scene.
        already_built: Whether the same build was there before, and nothing was done.
    """

    out: Path
    pairs: int
    scenes: int
    dropped: dict[str, int]
    unpaired: tuple[str, ...]
    cut: int = 0
    by_hand: tuple[int, int] = (0, 0)
    scene_records: tuple[SceneRecord, ...] = ()
    already_built: bool = False


@dataclass(frozen=True)
class SceneRecord:
    """One scene pair in the report."""

    scene: str
    sar: str
    optical: str
    sar_sha256: str
    optical_sha256: str
    width_px: int
    height_px: int
    sar_radiometry: str
    optical_radiometry: str
    pairs: int
    dropped: dict[str, int]
    registration: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Identity:
    """What decides the bytes of a build: its settings, and the scenes by name and content."""

    settings: dict[str, Any]
    sources: str

    @classmethod
    def of(
        cls,
        cutting: CutRule,
        reading: ReadRule,
        pairs: Sequence[ScenePair],
        sums: dict[Path, str],
        more: dict[str, Any] | None = None,
        tie_points: dict[str, Path] | None = None,
    ) -> Identity:
        """The identity of a build that is about to run.

        Args:
            cutting: How patches are cut.
            reading: How scenes become 8 bits.
            pairs: The scenes.
            sums: SHA-256 of the scenes and of the files of tie points.
            more: Further settings that are not as they are by default.
            tie_points: File of tie points by key of the scene.
        """
        sources: list[Any] = [(pair.key, sums[pair.sar_path], sums[pair.optical_path]) for pair in pairs]
        sources += [(key, sums[path]) for key, path in sorted((tie_points or {}).items())]
        # by way of JSON, so that it compares equal with what is read back
        settings = json.loads(json.dumps({**asdict(cutting), **asdict(reading), **(more or {})}))
        return cls(settings, hashlib.sha256(json.dumps(sources).encode()).hexdigest())


def write_report(folder: Path, identity: Identity, report: BuildReport) -> None:
    """Write ``report.json``; after everything else, for it is what marks a build as finished."""
    record = {
        "format": _FORMAT,
        **asdict(identity),
        "pairs": report.pairs,
        "dropped": report.dropped,
        "unpaired": report.unpaired,
        "cut": report.cut,
        "by_hand": {"kept": report.by_hand[0], "dropped": report.by_hand[1]},
        "scenes": [asdict(scene) for scene in report.scene_records],
    }
    write_json(folder / REPORT_NAME, record)


def finished_build(out: Path, identity: Identity, unpaired: tuple[str, ...], *, overwrite: bool) -> BuildReport | None:
    """Look at the output folder before a build.

    Returns:
        The report of the same build, if it is there whole; None if there is nothing or it may be replaced.

    Raises:
        DataError: Something else is there. Only a folder of pairs is ever replaced, whatever ``overwrite`` says.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    expected = "a new folder"
    record = read_json(out / REPORT_NAME) if (out / REPORT_NAME).is_file() else None
    if not isinstance(record, dict) or not {"format", "settings", "sources", "pairs"} <= record.keys():
        found = "a folder that was not made by osm data build-pairs" if out.is_dir() else "a file"
        raise DataError(out, found=found, expected=expected, mend=_OTHER_OUT)
    if overwrite:
        return None
    mend = f"give --overwrite to replace it, or {_OTHER_OUT}"
    if record["format"] != _FORMAT:
        raise DataError(out, found="pairs of another version", expected=expected, mend=mend)
    if record["settings"] != identity.settings:
        before, now = record["settings"], identity.settings
        names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        changed = [f"{name} {_short(before.get(name))} there, {_short(now.get(name))} now" for name in names]
        raise DataError(out, found=f"pairs of other settings ({'; '.join(changed)})", expected=expected, mend=mend)
    if record["sources"] != identity.sources:
        raise DataError(out, found="pairs of other scenes", expected=expected, mend=mend)
    folder, orphans = list_pairs(out)
    if orphans or len(folder) != record["pairs"]:
        found = f"only {len(folder)} of the {record['pairs']} pairs that its report lists"
        raise DataError(out, found=found, expected="a whole build", mend=mend)
    return BuildReport(out, record["pairs"], len(record["scenes"]), record["dropped"], unpaired, already_built=True)


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
