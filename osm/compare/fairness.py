"""The fairness lock: what cells ran with may differ in the initialisation, and in nothing else.

Cells of one detector and seed may differ in how the backbone started. Cells of one arm may differ in the seed, and in
what is drawn by it. A learning rate may differ between arms where it was tuned on the same grid and scenes. Everything
is taken from what the cells themselves wrote down (``osm.detection.conditions``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osm.compare.fractions import parse_name
from osm.errors import OSMError

Keys = tuple[str, ...]

#: What an arm is.
INITIALISATION: tuple[Keys, ...] = (("start",),)
#: The seed, and what is drawn by it: the backbone before a file fills it, neck and head, the order of the tiles.
BY_SEED: tuple[Keys, ...] = (
    ("seed",),
    ("drawn_backbone", "sha256"),
    ("step0", "beside_the_backbone", "sha256"),
    ("order", "sha256"),
)
#: What is drawn by the seed beside that, where cells train on a fraction: the scenes, and so tiles, draws and steps.
BY_SEED_AT_FRACTION: tuple[Keys, ...] = (
    ("recipe", "data", "subset_seed"),
    ("data", "train_scenes"),
    ("data", "train_tiles"),
    ("order", "draws"),
    ("training",),
)
#: What follows from a learning rate that was tuned.
TUNED: tuple[Keys, ...] = (("recipe", "train", "optimizer", "lr"), ("training", "lr"))
#: Written down, never compared: threads and models of a device change the last bits of a sum, a path nothing at all,
#: and a revision is told apart by the hash of the code.
NOTED: tuple[Keys, ...] = (("machine",), ("start", "init"))

MOST_SHOWN = 8
_WIDTH = 72


class FairnessError(OSMError):
    """Cells of a comparison differ in more than they may."""


class _Absent:
    """Stands for what one side does not have."""

    def __repr__(self) -> str:
        return "–"


ABSENT = _Absent()


@dataclass(frozen=True)
class Entry:
    """One place in which two sides differ.

    Attributes:
        path: Keys and places in lists, from the outside in.
        one: The value on one side; ``ABSENT`` where it has none.
        other: The value on the other side.
    """

    path: Keys
    one: Any
    other: Any

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path)

    @property
    def line(self) -> str:
        """``path: value A | value B``."""
        return f"{self.name}: {_text(self.one)} | {_text(self.other)}"


def differences(one: Any, other: Any, path: Keys = ()) -> list[Entry]:
    """Every place in which two JSON values differ, by path; none if and only if they are equal."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = sorted({*one, *other})
        return [
            entry
            for key in keys
            for entry in differences(one.get(key, ABSENT), other.get(key, ABSENT), (*path, str(key)))
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [entry for index, (a, b) in pairs for entry in differences(a, b, (*path, str(index)))]
    # True is 1 in Python, and not in a setting
    same = one is other or ((type(one) is bool) == (type(other) is bool) and one == other)
    return [] if same else [Entry(path, one, other)]


def without(values: Mapping[str, Any], paths: Iterable[Keys]) -> dict[str, Any]:
    """JSON values without what lies at some paths."""
    kept = dict(values)
    for first, *rest in paths:
        if first not in kept:
            continue
        if rest:
            inner = kept[first]
            kept[first] = without(inner, [tuple(rest)]) if isinstance(inner, Mapping) else inner
        else:
            del kept[first]
    return kept


@dataclass(frozen=True, eq=False)
class Ran:
    """A cell, and what it ran with.

    Attributes:
        detector: Cells of one detector are compared.
        name: As a reader finds it.
        conditions: As ``read_conditions`` gives them, or as much of them as is known; None where nothing is.
    """

    detector: str
    arm: str
    seed: int
    name: str
    conditions: Mapping[str, Any] | None


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the lock says of cells that passed it.

    Attributes:
        compared: How many cells were.
        unknown: Names of those that do not say what they ran with.
        tuned: Whether the learning rate of an arm is its own, chosen alike in all of them.
        shared: What all cells of a detector ran with, by detector.
    """

    compared: int
    unknown: tuple[str, ...]
    tuned: bool
    shared: dict[str, dict[str, Any]]

    @property
    def line(self) -> str:
        """The verdict in a sentence or two."""
        rest = ""
        if self.unknown:
            some = f"{', '.join(self.unknown[:3])}{', …' if len(self.unknown) > 3 else ''}"
            count = f"{len(self.unknown)} cell{'' if len(self.unknown) == 1 else 's'}"
            rest = f" {count} left no record of what they ran with and could not be compared ({some})."
        if not self.compared:
            return f"Fairness lock: nothing could be compared.{rest}"
        if self.compared == 1:
            return f"Fairness lock: one cell, and no other to compare it with.{rest}"
        lr = " and for a learning rate that was tuned alike in every arm" if self.tuned else ""
        return f"Fairness lock: {self.compared} cells compared, identical but for initialisation{lr}.{rest}"

    def to_json(self) -> dict[str, Any]:
        """For ``report.json``."""
        return {
            "compared": self.compared,
            "unknown": list(self.unknown),
            "identical": True if self.compared > 1 else None,
            "tuned": self.tuned,
        }


def check(cells: Sequence[Ran], where: str | Path) -> Verdict:
    """Compare what cells ran with.

    Args:
        cells: The cells.
        where: Folder of the comparison, for the error.

    Raises:
        FairnessError: Two cells differ in more than they may; its details are the differences.
    """
    known = [cell for cell in cells if cell.conditions is not None]
    tuned = any(_tuned(cell) for cell in known)
    found: list[_Complaint] = []
    for detector in dict.fromkeys(cell.detector for cell in known):
        own = [cell for cell in known if cell.detector == detector]
        allowed = INITIALISATION + NOTED + (TUNED if all(map(_tuned, own)) else ())
        between: list[_Complaint] = []
        for seed in dict.fromkeys(cell.seed for cell in own):
            between += _compare([cell for cell in own if cell.seed == seed], allowed)
        # a cell that differs from the other arms mostly differs from its other seeds, too, and for the same reason
        said = {entry.path for complaint in between for entry in complaint.entries}
        found += between
        for arm in dict.fromkeys(cell.arm for cell in own):
            mine = [cell for cell in own if cell.arm == arm]
            found += _compare(mine, _by_seed(detector) + NOTED + _own_weights(mine), said)
        # where cells are missing, an arm may have none of another's seeds
        said |= {entry.path for complaint in found for entry in complaint.entries}
        found += _compare(own, allowed + _by_seed(detector), said)
    _refuse(
        found,
        where,
        "unlike the others in more than the initialisation",
        "the same in every arm",
        "run these cells again with what the others ran with: delete their folders and run the comparison again",
    )
    unknown = tuple(cell.name for cell in cells if cell.conditions is None)
    return Verdict(len(known), unknown, tuned, _shared(known))


def check_software(cells: Sequence[Ran], now: Mapping[str, Any], where: str | Path, revision: str = "unknown") -> None:
    """Make sure that finished cells ran in what the others are about to run in.

    Args:
        cells: Finished cells.
        now: The same entries of the conditions, as they are here.
        where: Folder of the comparison.
        revision: Git revision of the code that is here; shown beside a difference, for a reader to find it by.

    Raises:
        FairnessError: Another version of a package or of the code made one of them.
    """
    found = []
    for cell in cells:
        if cell.conditions is None:
            continue
        entries = [e for key in now for e in differences({key: cell.conditions.get(key)}, {key: now[key]})]
        if entries:
            entries += differences(cell.conditions.get("machine", {}).get("git_revision"), revision, ("git_revision",))
            found.append(_Complaint(cell.name, "this run", tuple(entries)))
    _refuse(
        found,
        where,
        "made by other code, packages or devices than are here",
        "the same for all",
        "finish with those that made them, or delete the folders of these cells to run them again",
    )


@dataclass(frozen=True)
class _Complaint:
    one: str
    other: str
    entries: tuple[Entry, ...]


def _refuse(found: Sequence[_Complaint], where: str | Path, what: str, expected: str, mend: str) -> None:
    if not found:
        return
    names = list(dict.fromkeys(entry.name for complaint in found for entry in complaint.entries))
    some = f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
    lines = [line for one in found[:MOST_SHOWN] for line in _lines(one)]
    if len(found) > MOST_SHOWN:
        lines.append(f"… and {len(found) - MOST_SHOWN} more cells")
    raise FairnessError(
        where,
        found=f"{len(found)} cell{'' if len(found) == 1 else 's'} {what} ({some})",
        expected=expected,
        mend=mend,
        details="\n".join(lines),
    )


def _lines(complaint: _Complaint) -> list[str]:
    return [f"{complaint.one} | {complaint.other}", *(f"  {entry.line}" for entry in complaint.entries)]


def _compare(
    cells: Sequence[Ran], allowed: tuple[Keys, ...], said: AbstractSet[Keys] = frozenset()
) -> list[_Complaint]:
    """Each cell that is not as most are, but for what was said already."""
    alike: dict[str, list[tuple[Ran, dict[str, Any]]]] = {}
    for cell in cells:
        values = without(cell.conditions or {}, allowed)
        alike.setdefault(json.dumps(values, sort_keys=True), []).append((cell, values))
    groups = sorted(alike.values(), key=len, reverse=True)
    most, usual = groups[0][0]
    found = []
    for cell, values in [one for group in groups[1:] for one in group]:
        entries = tuple(entry for entry in differences(usual, values) if entry.path not in said)
        if entries:
            found.append(_Complaint(most.name, cell.name, entries))
    return found


def _by_seed(detector: str) -> tuple[Keys, ...]:
    return BY_SEED + (() if parse_name(detector)[1] is None else BY_SEED_AT_FRACTION)


def _own_weights(cells: Sequence[Ran]) -> tuple[Keys, ...]:
    """Weights may differ between the seeds of an arm if every seed was given a file of its own."""
    files = {(cell.conditions or {}).get("start", {}).get("init") for cell in cells}
    return (("start", "weights_sha256"),) if len(files) == len({cell.seed for cell in cells}) > 1 else ()


def _tuned(cell: Ran) -> bool:
    return bool(cell.conditions and cell.conditions.get("tuning"))


def _shared(cells: Sequence[Ran]) -> dict[str, dict[str, Any]]:
    """What every cell of a detector ran with; cells that passed the lock differ in nothing else that is locked."""
    found: dict[str, dict[str, Any]] = {}
    for cell in cells:
        allowed = INITIALISATION + _by_seed(cell.detector) + NOTED + (TUNED if _tuned(cell) else ())
        found.setdefault(cell.detector, without(cell.conditions or {}, allowed))
    return found


def _text(value: Any) -> str:
    if value is ABSENT:
        return repr(value)
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        hexadecimal = len(value) == 64 and all(letter in "0123456789abcdef" for letter in value)
        text = f"{value[:12]}…" if hexadecimal else value or '""'
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
