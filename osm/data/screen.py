"""Pairs that must not be trained on silently: constant patches, odd sizes, duplicates."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from osm.data.cache import cached_json
from osm.data.parallel import Progress, in_parallel

if TYPE_CHECKING:
    from osm.data.pair_source import Bytes, Indices, PairSource

UNEQUAL, OTHER_SIZE, CONSTANT_SAR, CONSTANT_OPTICAL, DUPLICATE = (
    "unequal size",
    "other size",
    "constant SAR",
    "constant optical",
    "duplicate",
)
REASONS = (UNEQUAL, OTHER_SIZE, CONSTANT_SAR, CONSTANT_OPTICAL, DUPLICATE)
"""Why a pair is left out: its two patches differ in size; they differ in size from most; all pixels of a patch have
one value (black is one of them); both patches are those of an earlier pair, byte for byte."""

_FORMAT = 1


@dataclass(frozen=True)
class Dropped:
    """One pair that is left out.

    Attributes:
        name: Its name.
        reason: One of ``REASONS``, or what a later step gives.
        detail: What exactly was found.
    """

    name: str
    reason: str
    detail: str


@dataclass(frozen=True)
class ScreenReport:
    """What a look at every pair found.

    Attributes:
        pairs: Pairs that were looked at.
        dropped: Those that are left out, in order.
    """

    pairs: int
    dropped: tuple[Dropped, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of pairs left out by reason; reasons that did not occur are not named."""
        return dict(Counter(entry.reason for entry in self.dropped))


def counts(dropped: Iterable[Dropped]) -> str:
    """Numbers by reason on one line, such as ``3 duplicate, 1 constant SAR``."""
    return ", ".join(f"{number} {reason}" for reason, number in Counter(entry.reason for entry in dropped).items())


@dataclass(frozen=True)
class Look:
    """What is remembered of a pair's pixels.

    Attributes:
        sar_px: Width and height.
        optical_px: Width and height.
        sar_constant: Whether all pixels have one value.
        optical_constant: Whether all pixels have one colour.
        digest: BLAKE2b of shapes and pixels, 16 bytes.
    """

    sar_px: tuple[int, int]
    optical_px: tuple[int, int]
    sar_constant: bool
    optical_constant: bool
    digest: bytes


def look_at(sar: Bytes, optical: Bytes) -> Look:
    """Look at one pair.

    Args:
        sar: ``(H, W)``.
        optical: ``(H, W, 3)``.
    """
    digest = hashlib.blake2b(repr((sar.shape, optical.shape)).encode(), digest_size=16)
    for patch in (sar, optical):
        digest.update(np.ascontiguousarray(patch).data)
    return Look(
        (sar.shape[1], sar.shape[0]),
        (optical.shape[1], optical.shape[0]),
        is_constant(sar),
        is_constant(optical),
        digest.digest(),
    )


def is_constant(patch: Bytes) -> bool:
    """Whether all pixels of ``(H, W)`` or ``(H, W, C)`` are the same."""
    # nearly every patch is settled by its first row
    return bool((patch[0] == patch[0, 0]).all() and (patch == patch[0, 0]).all())


class Screen:
    """Judges pairs one after another.

    Args:
        size_px: Width and height that the patches must have.
        keep_constant: Whether patches of one value pass.
        keep_duplicates: Whether duplicates pass.
    """

    def __init__(self, size_px: tuple[int, int], *, keep_constant: bool = False, keep_duplicates: bool = False) -> None:
        self._size_px = size_px
        self._keep_constant = keep_constant
        self._keep_duplicates = keep_duplicates
        self._first: dict[bytes, str] = {}

    def judge(self, name: str, look: Look) -> Dropped | None:
        """Why the pair is left out; None where it is good."""
        if look.sar_px != look.optical_px:
            return Dropped(name, UNEQUAL, f"SAR {_by(look.sar_px)}, optical {_by(look.optical_px)}")
        if look.sar_px != self._size_px:
            return Dropped(name, OTHER_SIZE, f"{_by(look.sar_px)} among {_by(self._size_px)}")
        if not self._keep_constant:
            if look.sar_constant:
                return Dropped(name, CONSTANT_SAR, "all SAR pixels have one value")
            if look.optical_constant:
                return Dropped(name, CONSTANT_OPTICAL, "all optical pixels have one colour")
        first = self._first.setdefault(look.digest, name)
        if first != name and not self._keep_duplicates:
            return Dropped(name, DUPLICATE, f"the same pixels as {first}")
        return None


def usable(
    pairs: PairSource, cache: Path | None = None, progress: Progress | None = None
) -> tuple[Indices, ScreenReport]:
    """The pairs that are fit for training.

    A packed store was screened when it was made, and all that is in it is usable. A folder of patches is read
    once, and what was found is kept in ``cache`` until a name, size or time of a file changes.

    Args:
        pairs: The pairs.
        cache: Folder for what was found; None to look anew every time.
        progress: Called now and then.

    Returns:
        Indices of the usable pairs, rising, and what was left out.

    Raises:
        DataError: A patch cannot be read.
    """
    if pairs.screened is not None:
        return np.arange(len(pairs)), pairs.screened

    def compute() -> list[dict[str, str]]:
        screen = Screen(pairs.usual_size_px())
        looks = in_parallel(lambda index: look_at(*pairs.read(index)), range(len(pairs)), progress)
        judged = (screen.judge(name, look) for name, look in zip(pairs.names, looks, strict=True))
        return [asdict(entry) for entry in judged if entry is not None]

    found = cached_json(cache, "screen", lambda: f"{_FORMAT}\n{pairs.stamp()}", compute)
    report = ScreenReport(len(pairs), tuple(Dropped(**entry) for entry in found))
    left_out = {entry.name for entry in report.dropped}
    good = (index for index, name in enumerate(pairs.names) if name not in left_out)
    return np.fromiter(good, dtype=np.int64), report


def write_dropped(path: Path, dropped: Iterable[Dropped]) -> None:
    """Write ``name,reason,detail`` of pairs that are left out as CSV, atomically."""
    from osm.files import atomic_path

    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("name", "reason", "detail"))
        writer.writerows((entry.name, entry.reason, entry.detail) for entry in dropped)


def _by(size_px: tuple[int, int]) -> str:
    return f"{size_px[0]}x{size_px[1]}"
