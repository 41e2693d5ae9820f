"""Decoding a folder of pairs once, into a packed store."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from osm.data.build_record import REPORT_NAME
from osm.data.folders import whole_folder
from osm.data.packed import (
    FORMAT,
    HEADER_BYTES,
    LIST_NAME,
    OPTICAL_NAME,
    RECORD_NAME,
    SAR_NAME,
    PackedRecord,
    header,
    is_packed,
    read_packed,
)
from osm.data.pair_source import Bytes
from osm.data.pairs import BASE_NAME, PairFolder, read_pair_folder
from osm.data.parallel import Progress, in_parallel
from osm.data.screen import Dropped, Look, Screen, ScreenReport, counts, look_at
from osm.errors import DataError
from osm.files import read_json, sha256_file, write_json

CHUNK_PAIRS = 256
RECORDS = ("SIMULATED.json", REPORT_NAME)
"""What says how the patches were made; copied, so that a run from the store knows it too."""

_OTHER_OUT = "choose another --out"


@dataclass(frozen=True)
class PackReport:
    """What became of the pairs.

    Attributes:
        out: The store.
        pairs: Pairs in it.
        screen: What was looked at and left out.
        size_bytes: Bytes of pixels.
        already_packed: Whether the same store was there before, and nothing was done.
    """

    out: Path
    pairs: int
    screen: ScreenReport
    size_bytes: int
    already_packed: bool = False


def pack_pairs(
    source: str | Path,
    out: str | Path,
    *,
    keep_constant: bool = False,
    keep_duplicates: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PackReport:
    """Decode a folder of pairs into a packed store (``osm.data.packed``), without what must not be trained on.

    Args:
        source: Folder of pairs.
        out: Folder to write. It appears when it is whole, or not at all.
        keep_constant: Whether patches of one value are kept.
        keep_duplicates: Whether pairs with the pixels of an earlier one are kept.
        overwrite: Whether a packed store that is there already is replaced.
        progress: Called now and then.

    Raises:
        DataError: The source is no folder of pairs, a patch of it cannot be read, or nothing of it is left; there
            is too little room; or something else than the same finished store is there already.
    """
    source, out = Path(source), Path(out)
    if is_packed(source):
        raise DataError(source, found="a packed store", expected="a folder of patches", mend="use it as it is")
    folder = read_pair_folder(source)
    settings = {"keep_constant": keep_constant, "keep_duplicates": keep_duplicates}
    stamp = folder.stamp()
    finished = _finished(out, settings, stamp, overwrite=overwrite)
    if finished is not None:
        return finished
    width_px, height_px = size_px = folder.usual_size_px()
    check_room(out, len(folder) * width_px * height_px * 4)
    screen = Screen(size_px, keep_constant=keep_constant, keep_duplicates=keep_duplicates)
    dropped: list[Dropped] = []
    kept: list[int] = []

    def decode(index: int) -> tuple[Bytes, Bytes, Look]:
        sar, optical = folder.read(index)
        return sar, optical, look_at(sar, optical)

    with whole_folder(out) as made, ExitStack() as files:
        sar_rows, optical_rows = (
            _Rows(files.enter_context((made / name).open("wb")), shape)
            for name, shape in ((SAR_NAME, (height_px, width_px)), (OPTICAL_NAME, (height_px, width_px, 3)))
        )
        for index, (sar, optical, look) in enumerate(in_parallel(decode, range(len(folder)), progress)):
            reason = screen.judge(folder.names[index], look)
            if reason is not None:
                dropped.append(reason)
                continue
            kept.append(index)
            sar_rows.add(sar)
            optical_rows.add(optical)
        report = ScreenReport(len(folder), tuple(dropped))
        if not kept:
            raise _all_dropped(source, report)
        sar_sums, optical_sums = sar_rows.finish(), optical_rows.finish()
        files.close()
        _write_list(made / LIST_NAME, folder, kept)
        _copy_records(source, made)
        record = PackedRecord(
            pairs=len(kept),
            width_px=width_px,
            height_px=height_px,
            source=source.resolve().name,
            source_pairs=len(folder),
            source_stamp=stamp,
            settings=settings,
            dropped=report.dropped,
            chunk_pairs=CHUNK_PAIRS,
            names_sha256=sha256_file(made / LIST_NAME),
            sar_sha256=sar_sums,
            optical_sha256=optical_sums,
        )
        write_json(made / RECORD_NAME, record.to_json())
    return PackReport(out, len(kept), report, _pixel_bytes(record))


def check_room(out: Path, needed_bytes: int) -> None:
    """Make sure that a store fits on the disk.

    Raises:
        DataError: It does not.
    """
    place = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.is_dir())
    free_bytes = shutil.disk_usage(place).free
    if needed_bytes > free_bytes:
        raise DataError(
            out,
            found=f"{free_bytes / 1e9:,.1f} GB free",
            expected=f"{needed_bytes / 1e9:,.1f} GB for the pixels",
            mend="free space, or choose another --out",
        )


class _Rows:
    """Writes one array row by row, a digest for each chunk of rows."""

    def __init__(self, stream: BinaryIO, row_shape: tuple[int, ...]) -> None:
        self._stream = stream
        self._row_shape = row_shape
        self._count = 0
        self._sums: list[str] = []
        self._sum = hashlib.sha256()
        stream.write(bytes(HEADER_BYTES))

    def add(self, row: Bytes) -> None:
        pixels = row.tobytes()
        self._stream.write(pixels)
        self._sum.update(pixels)
        self._count += 1
        if self._count % CHUNK_PAIRS == 0:
            self._end_chunk()

    def finish(self) -> tuple[str, ...]:
        """Write the head, now that the number of rows is known; returns the digests."""
        if self._count % CHUNK_PAIRS:
            self._end_chunk()
        self._stream.seek(0)
        self._stream.write(header((self._count, *self._row_shape)))
        return tuple(self._sums)

    def _end_chunk(self) -> None:
        self._sums.append(self._sum.hexdigest())
        self._sum = hashlib.sha256()


def _finished(out: Path, settings: dict[str, bool], stamp: str, *, overwrite: bool) -> PackReport | None:
    """The report of the same store, if it is there whole; None if there is nothing or it may be replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not is_packed(out):
        found = "a folder that was not made by osm data pack" if out.is_dir() else "a file"
        raise DataError(out, found=found, expected="a new folder", mend=_OTHER_OUT)
    if overwrite:
        return None
    mend = f"give --overwrite to replace it, or {_OTHER_OUT}"
    if (found_format := read_json(out / RECORD_NAME).get("format")) != FORMAT:
        raise DataError(out, found=f"a packed store of format {found_format}", expected="a new folder", mend=mend)
    pairs = read_packed(out)
    record = pairs.record
    if record.settings != settings:
        changed = [f"{name} {record.settings.get(name)} there, {settings[name]} now" for name in settings]
        raise DataError(
            out, found=f"a store of other settings ({'; '.join(changed)})", expected="a new folder", mend=mend
        )
    if record.source_stamp != stamp:
        raise DataError(
            out,
            found="a store of other pairs (names, sizes or times of their files differ)",
            expected="a new folder",
            mend=mend,
        )
    return PackReport(out, record.pairs, pairs.screened, _pixel_bytes(record), already_packed=True)


def _write_list(path: Path, folder: PairFolder, kept: Sequence[int]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        scenes = folder.scenes
        writer.writerow(("name",) if scenes is None else ("name", "scene"))
        writer.writerows((folder.names[i],) if scenes is None else (folder.names[i], scenes[i]) for i in kept)


def _copy_records(source: Path, made: Path) -> None:
    above = (source.parent,) if source.name == BASE_NAME else ()
    for name in RECORDS:
        found = next((path for folder in (source, *above) if (path := folder / name).is_file()), None)
        if found is not None:
            shutil.copyfile(found, made / name)


def _pixel_bytes(record: PackedRecord) -> int:
    return record.pairs * record.width_px * record.height_px * 4


def _all_dropped(source: Path, report: ScreenReport) -> DataError:
    return DataError(
        source,
        found=f"no pair to keep (dropped: {counts(report.dropped)})",
        expected="pairs of one size with something in them",
        mend="check the data set, or give --keep-constant or --keep-duplicates",
    )
