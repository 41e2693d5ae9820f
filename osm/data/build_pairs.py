"""Scene pairs, registered and cut into patch pairs in the QXS-SAROPT layout."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from osm.data.build_record import BuildReport, Identity, SceneRecord, finished_build, write_report
from osm.data.cutting import UNREGISTERED, Candidate, Screening, cut_scene, vectors_of
from osm.data.eight_bit import AUTO, ReadRule
from osm.data.folders import whole_folder
from osm.data.pairs import BASE_NAME, MANIFEST_NAME, OPTICAL_NAME, SAR_NAME
from osm.data.parallel import Step, named
from osm.data.partners import ScenePair, find_files, find_partners
from osm.data.patches import REASONS, CutRule
from osm.data.radiometry import Radiometry
from osm.data.register.align import Alignment, align
from osm.data.register.picture import draw_tie_points
from osm.data.register.plan import AlignRule, Prepared, prepare
from osm.data.register.tie_points import write_tie_points
from osm.data.screening.near import near_duplicates
from osm.data.screening.record import write_screening
from osm.data.screening.scores import DUPLICATE, ScreenRule
from osm.data.screening.verdicts import Verdict, check_known, read_verdicts
from osm.data.sources import Hollow
from osm.errors import DataError
from osm.files import sha256_file

__all__ = ["BuildReport", "build_pairs"]

MANIFEST_COLUMNS = ("name", "scene", "row", "column", "sar_sha256", "optical_sha256", "transform")
TIE_POINTS_NAME = "tie_points"
MOST_JOBS = 16
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
    aligning: AlignRule | None = None,
    tie_points: str | None = None,
    screen: ScreenRule | None = None,
    screening: str | Path | None = None,
    sheet_pages: int = 20,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    watch: Step | None = None,
) -> BuildReport:
    """Register scene pairs and cut them into ``out/QXSLAB_SAROPT/{sar_256_oc_0.2,opt_256_oc_0.2}/<n>.png``.

    ``out/manifest.csv`` says for every pair its scene, the row and column of its upper left pixel there, the SHA-256 of
    both files and how it was registered; ``out/report.json`` says every setting, the scenes with their checksums,
    radiometry, transforms and residuals, and what was dropped. Patches are numbered from 1, scene by scene, row by row.
    The two folder names are those of QXS-SAROPT whatever the size and overlap. Where tie points were used, they lie in
    ``out/tie_points/`` with a picture for review; where patches were screened, ``out/screening.csv`` holds every
    verdict and ``out/sheets/`` the contact sheets.

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
        aligning: How the optical scenes come onto the grid of the SAR scenes; by default as the headers allow.
        tie_points: Glob, folder or file of tie points as CSV; a scene that has such a file is registered by it.
        screen: Thresholds of the screening; None leaves it out, unless ``screening`` is given.
        screening: A ``screening.csv`` that a person has edited: its verdicts win.
        sheet_pages: Most contact sheets of each kind.
        overwrite: Whether a folder of pairs that is there already is replaced.
        jobs: Threads; by default one for each core, at most 16.
        progress: Called before every scene, and at the end.
        watch: Called now and then with what is under way.

    Raises:
        ConfigError: A setting out of range.
        DataError: Missing partners; scenes that cannot be registered; unreadable scenes; unknown names in
            ``screening``; nothing left to write; a folder that is there already and holds anything else than the same
            finished run.
    """
    out = Path(out)
    jobs = jobs or min(len(os.sched_getaffinity(0)), MOST_JOBS)
    aligning = aligning or AlignRule()
    cutting = CutRule(size_px, overlap, max_missing, keep_constant)
    reading = ReadRule(
        str(sar_radiometry), str(optical_radiometry), sar_nodata, optical_nodata, sar_band, optical_bands
    )
    pairs, unpaired = find_partners(sar, optical)
    if unpaired and not (skip_unpaired and pairs):
        raise _joined(unpaired, "files are without a partner")
    tables = _tie_point_files(tie_points, pairs)
    edited = {} if screening is None else read_verdicts(Path(screening))
    if screening is not None and screen is None:
        screen = ScreenRule()
    prepared = _prepare_all(pairs, aligning, tables)
    lone = tuple(problem.where for problem in unpaired)
    sums = _checksums([path for pair in pairs for path in (pair.sar_path, pair.optical_path)] + list(tables.values()))
    more: dict[str, Any] = {} if aligning == AlignRule() else {"aligning": asdict(aligning)}
    more |= {} if screen is None else {"screen": asdict(screen), "sheet_pages": sheet_pages}
    more |= {} if screening is None else {"screening_sha256": sha256_file(screening)}
    identity = Identity.of(cutting, reading, pairs, sums, more, tables)
    finished = finished_build(out, identity, lone, overwrite=overwrite)
    if finished is not None:
        return finished
    with whole_folder(out) as folder:
        base = folder / BASE_NAME
        for name in (SAR_NAME, OPTICAL_NAME):
            (base / name).mkdir(parents=True)
        candidates: list[Candidate] = []
        parts: list[tuple[Prepared, Alignment, Counter[str]]] = []
        for done, before in enumerate(prepared):
            if progress is not None:
                progress(done, len(pairs))
            key = before.pair.key
            if watch is not None:
                watch(f"registering {key}" if before.method == "estimate" else f"reading {key}", 0, 1)
            aligned = align(before, aligning, reading, jobs=jobs)
            step = named(watch, f"cutting {key}")
            found, uncut = cut_scene(key, aligned, cutting, Screening(screen, edited), base, jobs, step)
            candidates += found
            _write_tie_points(folder / TIE_POINTS_NAME, aligned, done)
            parts.append((before, _light(aligned), uncut))
        if progress is not None:
            progress(len(pairs), len(pairs))
        if screening is not None:
            check_known(Path(screening), edited, {candidate.name for candidate in candidates})
        verdicts = _number(candidates, screen, base)
        scenes, dropped = _records(parts, verdicts, sums)
        kept = sum(verdict.kept for verdict in verdicts)
        if not kept:
            raise _all_dropped(sar, dropped, cutting)
        hand = [candidate for candidate in candidates if candidate.by_hand]
        by_hand = (sum(one.forced for one in hand), sum(not one.forced for one in hand))
        report = BuildReport(out, kept, len(pairs), dropped, lone, len(candidates), by_hand, tuple(scenes))
        _write_manifest(folder / MANIFEST_NAME, candidates, verdicts)
        if screen is not None:
            write_screening(folder, verdicts, [candidate.thumb for candidate in candidates], sheet_pages, watch)
        write_report(folder, identity, report)
    return report


def _tie_point_files(pattern: str | None, pairs: Sequence[ScenePair]) -> dict[str, Path]:
    """The file of tie points of each scene that has one, by the key of the scene."""
    if pattern is None:
        return {}
    files = find_files("--tie-points", pattern, (".csv",))
    if len(files) == 1 and len(pairs) == 1:
        return {pairs[0].key: next(iter(files.values()))}
    known = {pair.key for pair in pairs}
    strange = sorted(files.keys() - known)
    if strange:
        raise DataError(
            files[strange[0]],
            found=f"tie points of {strange[0]!r}, which no scene pair is called",
            expected=f"the key of a scene pair, such as {pairs[0].key!r}",
            mend="rename the file, or correct the pattern of --tie-points",
        )
    return files


def _prepare_all(pairs: Sequence[ScenePair], rule: AlignRule, tables: dict[str, Path]) -> list[Prepared]:
    """Look at all scenes before the first is cut: an error after an hour helps nobody."""
    prepared, problems = [], []
    for pair in pairs:
        try:
            prepared.append(prepare(pair, rule, tables.get(pair.key)))
        except DataError as problem:
            problems.append(problem)
    if problems:
        raise _joined(problems, "scene pairs have such a problem")
    return prepared


def _number(candidates: Sequence[Candidate], screen: ScreenRule | None, base: Path) -> list[Verdict]:
    """Drop near duplicates, and give all others the names of their files."""
    reasons = {candidate.name: (candidate.reason, "") for candidate in candidates}
    if screen is not None and screen.duplicate <= 1:
        rest = [candidate for candidate in candidates if not candidate.reason]
        # what a person kept comes first: it is dropped for nothing
        rest.sort(key=lambda candidate: not candidate.forced)
        for later, earlier, alike in near_duplicates(vectors_of(rest), screen.duplicate):
            if not rest[later].forced:
                reasons[rest[later].name] = (DUPLICATE, f"{rest[earlier].name} ({alike:.2f})")
    verdicts, number = [], 0
    for candidate in candidates:
        reason, detail = reasons[candidate.name]
        pair = ""
        if not reason:
            number += 1
            pair = f"{number}.png"
        if candidate.sums is not None:
            for staged in candidate.staged(base):
                if pair:
                    os.replace(staged, staged.with_name(pair))
                else:
                    staged.unlink()
        verdicts.append(
            Verdict(
                candidate.name, candidate.scene, candidate.row, candidate.column, reason, detail, candidate.scores, pair
            )
        )
    return verdicts


def _records(
    parts: Sequence[tuple[Prepared, Alignment, Counter[str]]], verdicts: Sequence[Verdict], sums: dict[Path, str]
) -> tuple[list[SceneRecord], dict[str, int]]:
    """The record of each scene, and what was dropped from all of them."""
    records = []
    for before, aligned, uncut in parts:
        pair = before.pair
        own = [verdict for verdict in verdicts if verdict.scene == pair.key]
        counts = uncut + Counter(verdict.reason for verdict in own if verdict.reason)
        # the reasons that there always are come first; others are named where they occur
        dropped = {
            reason: counts[reason] for reason in (*REASONS, UNREGISTERED, *counts) if reason in (*REASONS, *counts)
        }
        records.append(
            SceneRecord(
                scene=pair.key,
                sar=pair.sar_path.name,
                optical=pair.optical_path.name,
                sar_sha256=sums[pair.sar_path],
                optical_sha256=sums[pair.optical_path],
                width_px=before.grid.width_px,
                height_px=before.grid.height_px,
                sar_radiometry=str(aligned.sar.radiometry),
                optical_radiometry=str(aligned.optical.radiometry),
                pairs=sum(verdict.kept for verdict in own),
                dropped=dropped,
                registration=aligned.record(),
            )
        )
    reasons = dict.fromkeys(reason for record in records for reason in record.dropped)
    return records, {reason: sum(record.dropped.get(reason, 0) for record in records) for reason in reasons}


def _write_tie_points(folder: Path, aligned: Alignment, number: int) -> None:
    """The tie points of a scene and their picture; nothing where there are none."""
    if aligned.points is None:
        return
    key = aligned.prepared.pair.key
    # keys of scenes may hold anything
    name = key if key and all(letter.isalnum() or letter in "-_." for letter in key) else f"scene-{number + 1}"
    write_tie_points(folder / f"{name}.csv", aligned.points)
    how = "found from the pixels" if aligned.prepared.method == "estimate" else "from a file"
    draw_tie_points(folder / f"{name}.png", aligned, f"{key}: tie points {how}")


def _light(aligned: Alignment) -> Alignment:
    """The same without the pixels of its scenes, which are done with."""
    hollow = (Hollow(source.size_px, source.radiometry) for source in (aligned.sar, aligned.optical))
    return replace(aligned, sar=next(hollow), optical=next(hollow))


def _checksums(paths: Sequence[Path]) -> dict[Path, str]:
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


def _write_manifest(path: Path, candidates: Iterable[Candidate], verdicts: Iterable[Verdict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(MANIFEST_COLUMNS)
        for candidate, verdict in zip(candidates, verdicts, strict=True):
            if verdict.kept and candidate.sums is not None:
                place = (candidate.scene, candidate.row, candidate.column)
                writer.writerow((verdict.pair, *place, *candidate.sums, candidate.transform))
