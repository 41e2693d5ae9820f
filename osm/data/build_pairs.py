"""Co-registered scene pairs, cut into patch pairs in the QXS-SAROPT layout."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.build_record import BuildReport, Identity, SceneRecord, finished_build, write_report
from osm.data.eight_bit import AUTO, ReadRule, read_optical, read_sar
from osm.data.folders import whole_folder
from osm.data.pairs import BASE_NAME, MANIFEST_NAME, OPTICAL_NAME, SAR_NAME
from osm.data.partners import ScenePair, check_alignment, find_partners
from osm.data.patches import REASONS, CutRule, cut
from osm.data.radiometry import Radiometry
from osm.errors import DataError
from osm.files import sha256_file

__all__ = ["BuildReport", "build_pairs"]

MANIFEST_COLUMNS = ("name", "scene", "row", "column", "sar_sha256", "optical_sha256")
_THREADS = 2

Progress = Callable[[int, int], None]
"""Called with how many scenes are done, and how many there are."""


def build_pairs(
    sar: str,
    optical: str,
    out: str | Path,
    *,
    size_px: int = 256,
    overlap: float = 0.0,
    sar_radiometry: Radiometry | str = AUTO,
    optical_radiometry: Radiometry | str = AUTO,
    sar_nodata: float | None = None,
    optical_nodata: float | None = None,
    sar_band: int | None = None,
    optical_bands: tuple[int, int, int] | None = None,
    max_missing: float = 0.05,
    keep_constant: bool = False,
    skip_unpaired: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> BuildReport:
    """Cut scene pairs into patch pairs ``out/QXSLAB_SAROPT/{sar_256_oc_0.2,opt_256_oc_0.2}/<n>.png``.

    ``out/manifest.csv`` says for every pair its scene, the row and column of its upper left pixel there, and
    the SHA-256 of both files; ``out/report.json`` says every setting, the scenes with their checksums and
    radiometry, and what was dropped. Patches are numbered from 1, scene by scene, row by row. The two folder
    names are those of QXS-SAROPT whatever the size and overlap.

    Args:
        sar: Glob, folder or file of the SAR scenes (``osm.data.partners.find_partners``).
        optical: The same for the optical scenes.
        out: Folder to write. It appears when it is whole, or not at all.
        size_px: Side of a patch.
        overlap: Part of a patch that it shares with the next one, in [0, 1).
        sar_radiometry: Mapping to 8 bits, computed for each scene. ``auto`` leaves 8-bit scenes as they are and
            takes ``percentile:0.5,99.5`` for all others.
        optical_radiometry: The same; one mapping for all three bands.
        sar_nodata: Value of missing SAR pixels; by default that of the file's tag, or else zero where the scene
            is not 8-bit and has no negative value.
        optical_nodata: Value of missing optical pixels; by default that of the tag, or else zero in all bands.
        sar_band: Band of the SAR scenes to use, from 1; by default they must have one band or equal ones.
        optical_bands: Bands to use as red, green and blue, from 1; by default the first three, or the only one.
        max_missing: Largest part of missing pixels that a patch may have.
        keep_constant: Whether patches of one value are kept.
        skip_unpaired: Whether files without a partner are left out instead of being an error.
        overwrite: Whether a folder of pairs that is there already is replaced.
        progress: Called after every scene.

    Raises:
        ConfigError: A setting out of range.
        DataError: Missing partners; scenes of unequal size or place; unreadable scenes; nothing left to write;
            a folder that is there already and holds anything else than the same finished run.
    """
    out = Path(out)
    cutting = CutRule(size_px, overlap, max_missing, keep_constant)
    reading = ReadRule(
        str(sar_radiometry), str(optical_radiometry), sar_nodata, optical_nodata, sar_band, optical_bands
    )
    pairs, unpaired = find_partners(sar, optical)
    if unpaired and not (skip_unpaired and pairs):
        raise _joined(unpaired, "files are without a partner")
    _check_alignments(pairs)
    lone = tuple(problem.where for problem in unpaired)
    sums = _checksums(pairs)
    identity = Identity.of(cutting, reading, pairs, sums)
    finished = finished_build(out, identity, lone, overwrite=overwrite)
    if finished is not None:
        return finished
    rows: list[tuple[Any, ...]] = []
    scenes: list[SceneRecord] = []
    # the pool ends first, so that no late writer meets a folder that is being removed or renamed
    with whole_folder(out) as folder, ThreadPoolExecutor(_THREADS) as pool:
        for name in (SAR_NAME, OPTICAL_NAME):
            (folder / BASE_NAME / name).mkdir(parents=True)
        for done, pair in enumerate(pairs):
            if progress is not None:
                progress(done, len(pairs))
            new, record = _build_scene(pair, cutting, reading, sums, folder / BASE_NAME, len(rows), pool)
            rows += new
            scenes.append(record)
        if progress is not None:
            progress(len(pairs), len(pairs))
        dropped = {reason: sum(scene.dropped[reason] for scene in scenes) for reason in REASONS}
        if not rows:
            raise _all_dropped(sar, dropped, cutting)
        report = BuildReport(out, len(rows), len(pairs), dropped, lone)
        _write_manifest(folder / MANIFEST_NAME, rows)
        write_report(folder, identity, report, scenes)
    return report


def _build_scene(
    pair: ScenePair,
    cutting: CutRule,
    reading: ReadRule,
    sums: dict[Path, str],
    base: Path,
    before: int,
    pool: ThreadPoolExecutor,
) -> tuple[list[tuple[Any, ...]], SceneRecord]:
    """Write the patches of one scene pair; returns their rows of the manifest and the scene's record."""
    optical_job = pool.submit(read_optical, pair.optical_path, reading)
    sar, optical = read_sar(pair.sar_path, reading), optical_job.result()
    kept, dropped = cut(sar.pixels, optical.pixels, sar.missing | optical.missing, cutting)
    jobs = []
    for number, (row, column) in enumerate(kept, start=before + 1):
        part = (slice(row, row + cutting.size_px), slice(column, column + cutting.size_px))
        name = f"{number}.png"
        first = pool.submit(_write_png, base / SAR_NAME / name, sar.pixels[part])
        second = pool.submit(_write_png, base / OPTICAL_NAME / name, optical.pixels[part])
        jobs.append((name, row, column, first, second))
    rows = [(name, pair.key, row, column, first.result(), second.result()) for name, row, column, first, second in jobs]
    height_px, width_px = sar.pixels.shape
    return rows, SceneRecord(
        scene=pair.key,
        sar=pair.sar_path.name,
        optical=pair.optical_path.name,
        sar_sha256=sums[pair.sar_path],
        optical_sha256=sums[pair.optical_path],
        width_px=width_px,
        height_px=height_px,
        sar_radiometry=str(sar.radiometry),
        optical_radiometry=str(optical.radiometry),
        pairs=len(kept),
        dropped=dropped,
    )


def _check_alignments(pairs: Sequence[ScenePair]) -> None:
    """Check all scenes before the first is cut: an error after an hour helps nobody."""
    problems = []
    for pair in pairs:
        try:
            check_alignment(pair)
        except DataError as problem:
            problems.append(problem)
    if problems:
        raise _joined(problems, "scene pairs have such a problem")


def _checksums(pairs: Sequence[ScenePair]) -> dict[Path, str]:
    paths = [path for pair in pairs for path in (pair.sar_path, pair.optical_path)]
    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(paths, pool.map(sha256_file, paths), strict=True))


def _joined(problems: Sequence[DataError], what: str) -> DataError:
    """The first problem, with the number of the others and the names of a few."""
    first = problems[0]
    if len(problems) == 1:
        return first
    others = ", ".join(problem.where for problem in problems[1:5])
    more = ", …" if len(problems) > 5 else ""
    return DataError(
        first.where,
        found=f"{first.found} (and {len(problems) - 1} more {what}: {others}{more})",
        expected=first.expected,
        mend=first.mend,
    )


def _all_dropped(sar: str, dropped: dict[str, int], cutting: CutRule) -> DataError:
    counts = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
    return DataError(
        sar,
        found=f"no patch to keep (dropped: {counts})",
        expected=f"scenes of at least {cutting.size_px}x{cutting.size_px} pixels with something in them",
        mend="lower --size or raise --max-missing, or give other scenes",
    )


def _write_png(path: Path, patch: npt.NDArray[np.uint8]) -> str:
    """Write a patch and return the SHA-256 of the file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(patch)).save(stream, format="PNG", compress_level=4)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())
    return hashlib.sha256(stream.getvalue()).hexdigest()


def _write_manifest(path: Path, rows: Iterable[tuple[Any, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(MANIFEST_COLUMNS)
        writer.writerows(rows)
