"""A packed store of pairs: two files of pixels that numpy can map, a list of names, and a record of it all.

``sar.npy`` is ``(N, H, W)`` and ``optical.npy`` ``(N, H, W, 3)``, uint8; ``pairs.csv`` names the N pairs in their
order, with their scenes where known; ``packed.json`` is written last and holds the digests.
"""

from __future__ import annotations

import csv
import hashlib
import os
import sys
import weakref
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from osm.data.pair_source import Bytes, Indices
from osm.data.screen import Dropped, ScreenReport
from osm.errors import DataError
from osm.files import read_json, sha256_file

RECORD_NAME = "packed.json"
SAR_NAME = "sar.npy"
OPTICAL_NAME = "optical.npy"
LIST_NAME = "pairs.csv"
FORMAT = 1
HEADER_BYTES = 128
_AGAIN = "pack the pairs again with osm data pack --overwrite"


@dataclass(frozen=True)
class PackedRecord:
    """The content of ``packed.json``.

    Attributes:
        pairs: Number of pairs.
        width_px: Width of all patches.
        height_px: Height of all patches.
        source: Name of the folder that was packed.
        source_pairs: Pairs in it.
        source_stamp: ``PairSource.stamp`` of it.
        settings: What was kept on demand, by option.
        dropped: Pairs that were left out, with reason and detail.
        chunk_pairs: Pairs that one digest of pixels covers.
        names_sha256: SHA-256 of ``pairs.csv``.
        sar_sha256: SHA-256 of the pixels of each chunk.
        optical_sha256: The same.
        format: Version of this record.
    """

    pairs: int
    width_px: int
    height_px: int
    source: str
    source_pairs: int
    source_stamp: str
    settings: dict[str, bool]
    dropped: tuple[Dropped, ...]
    chunk_pairs: int
    names_sha256: str
    sar_sha256: tuple[str, ...]
    optical_sha256: tuple[str, ...]
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, root: Path) -> PackedRecord:
        """Read the record of a store.

        Raises:
            DataError: It is missing, broken or of another version.
        """
        path = root / RECORD_NAME
        values = read_json(path)
        found = values.get("format") if isinstance(values, dict) else None
        if found != FORMAT:
            raise DataError(path, found=f"format {found}", expected=f"format {FORMAT}", mend=_AGAIN)
        try:
            dropped = tuple(Dropped(**entry) for entry in values.pop("dropped"))
            sar, optical = (tuple(values.pop(f"{modality}_sha256")) for modality in ("sar", "optical"))
            return cls(dropped=dropped, sar_sha256=sar, optical_sha256=optical, **values)
        except (KeyError, TypeError) as error:
            raise DataError(
                path, found=f"a broken record ({error})", expected="what osm data pack wrote", mend=_AGAIN
            ) from error

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array, by the name of its file."""
        plane = (self.pairs, self.height_px, self.width_px)
        return {SAR_NAME: plane, OPTICAL_NAME: (*plane, 3)}


def header(shape: tuple[int, ...]) -> bytes:
    """The head of a ``.npy`` file of uint8: ``HEADER_BYTES`` long for any shape, so that it can be written anew."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    length = (HEADER_BYTES - 10).to_bytes(2, "little")
    return b"\x93NUMPY\x01\x00" + length + text.ljust(HEADER_BYTES - 11).encode() + b"\n"


class RowFile:
    """Rows of one array on disk, read by position.

    Nothing is mapped: what was read does not stay in this process, a shortened file is an error and no crash, and a
    process that was forked or sent to works on.

    Args:
        path: A file that begins with ``header(shape)``.
        shape: Shape of the array.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path = path
        self.shape = shape
        self.row_bytes = int(np.prod(shape[1:]))
        self._handle: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handle": None}

    def take(self, rows: Sequence[int]) -> Bytes:
        """Copy rows: ``(len(rows), ...)``.

        Raises:
            DataError: The file ends too early, or cannot be read.
        """
        out = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        try:
            handle = self._open()
            for place, row in zip(out, rows, strict=True):
                read = os.preadv(handle, [place], HEADER_BYTES + row * self.row_bytes)
                if read != self.row_bytes:
                    raise DataError(
                        self.path, found=f"that it ends in pair {row}", expected=f"{self.shape[0]} pairs", mend=_AGAIN
                    )
        except OSError as error:
            raise DataError(
                self.path, found=f"an unreadable file ({error.strerror})", expected="pixels", mend=_AGAIN
            ) from error
        return out

    def check(self) -> None:
        """Compare the size of the file and its head with the shape.

        Raises:
            DataError: They do not fit.
        """
        expected = HEADER_BYTES + self.shape[0] * self.row_bytes
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as stream:
                head = stream.read(HEADER_BYTES)
        except OSError as error:
            raise DataError(
                self.path, found=f"no readable file ({error.strerror})", expected="pixels", mend=_AGAIN
            ) from error
        if size != expected:
            raise DataError(self.path, found=f"{size:,} bytes", expected=f"{expected:,} bytes", mend=_AGAIN)
        if head != header(self.shape):
            raise DataError(self.path, found="another head", expected=f"that of {self.shape}", mend=_AGAIN)

    def _open(self) -> int:
        if self._handle is None:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, handle)
            self._handle = handle
        return self._handle


@dataclass(frozen=True, eq=False)
class PackedPairs:
    """The pairs of a packed store, or some of them.

    Args:
        root: The folder.
        record: Its record.
        names: Names of the pairs.
        scenes: The scene that each was cut from, where that is known.
        rows: Row of each pair in the arrays.
    """

    root: Path
    record: PackedRecord
    names: tuple[str, ...]
    scenes: tuple[str, ...] | None
    rows: Indices

    def __len__(self) -> int:
        return len(self.names)

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of all patches."""
        return self.record.width_px, self.record.height_px

    @property
    def screened(self) -> ScreenReport:
        """What was left out when the store was made."""
        return ScreenReport(self.record.source_pairs, self.record.dropped)

    @cached_property
    def sar_file(self) -> RowFile:
        """The SAR patches of the whole store."""
        return RowFile(self.root / SAR_NAME, self.record.shapes[SAR_NAME])

    @cached_property
    def optical_file(self) -> RowFile:
        """The optical patches of the whole store."""
        return RowFile(self.root / OPTICAL_NAME, self.record.shapes[OPTICAL_NAME])

    def load(self, index: int) -> tuple[Bytes, Bytes]:
        """SAR ``(H, W)`` and optical ``(H, W, 3)`` of one pair.

        Raises:
            DataError: The store was damaged since it was opened.
        """
        return self.sar_patches([index])[0], self.optical_patches([index])[0]

    def read(self, index: int) -> tuple[Bytes, Bytes]:
        """The same: all have one size."""
        return self.load(index)

    def sar_patches(self, indices: Sequence[int]) -> Bytes:
        """SAR patches ``(n, H, W)``, read in one go; errors as for ``load``."""
        return self.sar_file.take(self.rows[np.asarray(indices, dtype=np.int64)].tolist())

    def optical_patches(self, indices: Sequence[int]) -> Bytes:
        """Optical patches ``(n, H, W, 3)``, read in one go; errors as for ``load``."""
        return self.optical_file.take(self.rows[np.asarray(indices, dtype=np.int64)].tolist())

    def maps(self) -> tuple[Bytes, Bytes]:
        """The whole arrays, mapped for reading: ``(N, H, W)`` and ``(N, H, W, 3)``, of which ``rows`` are the pairs."""
        sar, optical = (np.load(self.root / name, mmap_mode="r") for name in (SAR_NAME, OPTICAL_NAME))
        return sar, optical

    def select(self, indices: Indices) -> PackedPairs:
        """The pairs of these indices alone."""
        chosen = indices.tolist()
        return replace(
            self,
            names=tuple(self.names[index] for index in chosen),
            scenes=None if self.scenes is None else tuple(self.scenes[index] for index in chosen),
            rows=self.rows[indices],
        )

    def usual_size_px(self) -> tuple[int, int]:
        """Width and height of all patches."""
        return self.size_px

    def stamp(self) -> str:
        """SHA-256 of the digests in the record, and of the rows."""
        record = self.record
        digest = hashlib.sha256("\n".join((record.names_sha256, *record.sar_sha256, *record.optical_sha256)).encode())
        digest.update(self.rows.tobytes())
        return digest.hexdigest()


def is_packed(root: str | Path) -> bool:
    """Whether a folder is a finished packed store."""
    return (Path(root) / RECORD_NAME).is_file()


def read_packed(root: Path) -> PackedPairs:
    """Open a packed store; no pixel is read.

    Raises:
        DataError: The record, the list of names or a file of pixels is missing, broken or does not fit the others.
    """
    record = PackedRecord.read(root)
    path = root / LIST_NAME
    if not path.is_file() or sha256_file(path) != record.names_sha256:
        found = "other names than were packed (SHA-256 differs)" if path.is_file() else "no such file"
        raise DataError(path, found=found, expected="the list of pairs", mend=_AGAIN)
    names, scenes = _read_list(path)
    if len(names) != record.pairs:
        raise DataError(path, found=f"{len(names)} names", expected=f"{record.pairs} names", mend=_AGAIN)
    for name, shape in record.shapes.items():
        RowFile(root / name, shape).check()
    return PackedPairs(root, record, names, scenes, np.arange(record.pairs))


def _read_list(path: Path) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    names, scenes = [], []
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.reader(stream)
        known = "scene" in next(rows)
        for row in rows:
            names.append(row[0])
            if known:
                # one string a scene, not one a pair
                scenes.append(sys.intern(row[1]))
    return tuple(names), tuple(scenes) if known else None
