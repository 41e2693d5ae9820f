"""Matching images on disk: their embeddings, and two folders of them against each other."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from osm.data.parallel import Step
from osm.data.partners import find_files
from osm.data.scene import natural_key
from osm.errors import DataError
from osm.files import atomic_path, write_json
from osm.matching.charts import save
from osm.matching.evaluate import Embeddings
from osm.matching.examples import spread
from osm.matching.matcher import BATCH, Matcher, Rows
from osm.matching.patch import PatchRule, read_patch
from osm.matching.retrieval import Retrieval, nearest, ranks, retrieval
from osm.matching.sheets import PairRow, pair_sheet, short

CSV_NAME, SHEET_NAME, RECORD_NAME = "matches.csv", "matches.png", "match.json"
_NAMES = {"sar": "SAR", "optical": "optical"}
#: Rows of a contact sheet.
_SHEET_ROWS = 24


@dataclass(frozen=True)
class Match:
    """A row of ``matches.csv``.

    Attributes:
        sar: The SAR image.
        optical: The optical image.
        distance: Between the two, in [0, 1].
        match: Whether the distance is at most the threshold.
        relation: "same name"; or "nearest", where one of the two has no namesake and the other is nearest to it.
    """

    sar: Path
    optical: Path
    distance: float
    match: bool
    relation: str


@dataclass(frozen=True, eq=False)
class FolderMatches:
    """Two folders, matched.

    Attributes:
        rows: Namesakes first, in natural order; then the images without one.
        threshold: A row matches if its distance is at most this.
        to_optical: Finding the optical namesake of a SAR image among all namesakes; None with fewer than two.
        to_sar: The other way.
        notes: What was done to images, and to how many.
    """

    rows: tuple[Match, ...]
    threshold: float
    to_optical: Retrieval | None
    to_sar: Retrieval | None
    notes: dict[str, int]


def embed_images(
    matcher: Matcher, paths: Sequence[Path], modality: str, rule: PatchRule, progress: Step | None = None
) -> tuple[Rows, Counter[str]]:
    """Embed images in their order, holding no more than a batch of them.

    Args:
        matcher: The network.
        paths: Images of one modality.
        modality: "sar" or "optical".
        rule: How an image becomes a patch.
        progress: Called after every batch.

    Returns:
        Embeddings (N, d), and what was done to how many images.

    Raises:
        DataError: An image cannot be read or made a patch.
    """
    rows = [matcher.embed(np.empty((0, 1, 1), np.uint8), modality)]
    notes: Counter[str] = Counter()
    for begin in range(0, len(paths), BATCH):
        patches = [read_patch(path, modality, rule) for path in paths[begin : begin + BATCH]]
        notes.update(f"{_NAMES[modality]} images: {patch.note}" for patch in patches if patch.note)
        rows.append(matcher.embed([patch.pixels for patch in patches], modality))
        if progress is not None:
            progress(f"embedding {modality} images", begin + len(patches), len(paths))
    return np.concatenate(rows), notes


def match_folders(
    matcher: Matcher,
    sar: str,
    optical: str,
    rule: PatchRule,
    *,
    threshold: float | None = None,
    progress: Step | None = None,
) -> FolderMatches:
    """Judge all namesakes of two folders, and find the nearest image for those without one.

    Args:
        matcher: The network.
        sar: A folder, a glob or one file; namesakes agree in what ``*`` stands for, or in their stems.
        optical: The same for optical images.
        rule: How an image becomes a patch.
        threshold: In place of the one that was chosen on training pairs.
        progress: Called after every batch.

    Raises:
        DataError: No image on one side, or one that cannot be read or made a patch.
    """
    limit = matcher.contract.chosen_threshold if threshold is None else threshold
    sar_files, optical_files = find_files("--sar", sar), find_files("--optical", optical)
    named = sorted((key for key in sar_files if key in optical_files), key=natural_key)
    # namesakes first, so that row i of both belongs together
    sar_keys = [*named, *(key for key in sar_files if key not in optical_files)]
    optical_keys = [*named, *(key for key in optical_files if key not in sar_files)]
    sar_paths, optical_paths = [sar_files[key] for key in sar_keys], [optical_files[key] for key in optical_keys]
    sar_rows, sar_notes = embed_images(matcher, sar_paths, "sar", rule, progress)
    optical_rows, optical_notes = embed_images(matcher, optical_paths, "optical", rule, progress)
    count = len(named)
    own, lone_sar, lone_optical = np.arange(count), np.arange(count, len(sar_keys)), np.arange(count, len(optical_keys))
    first = np.concatenate([own, lone_sar, nearest(optical_rows[lone_optical], sar_rows, 1)[0][:, 0]])
    second = np.concatenate([own, nearest(sar_rows[lone_sar], optical_rows, 1)[0][:, 0], lone_optical])
    distances = Embeddings(sar_rows, optical_rows, matcher.contract.space).between(first, second)
    rows = tuple(
        Match(sar_paths[i], optical_paths[j], float(far), bool(far <= limit), "same name" if k < count else "nearest")
        for k, (i, j, far) in enumerate(zip(first, second, distances, strict=True))
    )
    found = [retrieval(part) for part in ranks(sar_rows[:count], optical_rows[:count])] if count > 1 else [None, None]
    return FolderMatches(rows, limit, found[0], found[1], dict(sar_notes + optical_notes))


def refuse_earlier(out: Path, *, overwrite: bool) -> None:
    """Make sure that a folder holds no matches, or that they may be replaced.

    Raises:
        DataError: It holds some.
    """
    if (out / CSV_NAME).exists() and not overwrite:
        raise DataError(
            out / CSV_NAME,
            found="matches of an earlier run",
            expected="a new folder",
            mend="choose another --out, or replace them with --overwrite",
        )


def write_matches(matches: FolderMatches, matcher: Matcher, rule: PatchRule, out: Path) -> None:
    """Write ``matches.png``, ``match.json`` and, last, ``matches.csv`` into a folder; what is there is replaced.

    Args:
        matches: What ``match_folders`` gave.
        matcher: The network it was given.
        rule: The rule it was given.
        out: The folder; made if need be.

    Raises:
        DataError: An image that is to be shown is gone.
    """
    order = np.argsort([row.distance for row in matches.rows], kind="stable")
    shown = [matches.rows[place] for place in spread(order, _SHEET_ROWS)]
    save(pair_sheet([_sheet_row(row, rule) for row in shown]), out / SHEET_NAME)
    write_json(out / RECORD_NAME, _record(matches, matcher, rule, len(shown)))
    with atomic_path(out / CSV_NAME) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in fields(Match)])
        for row in matches.rows:
            writer.writerow([row.sar, row.optical, f"{row.distance:.6f}", str(row.match).lower(), row.relation])


def _record(matches: FolderMatches, matcher: Matcher, rule: PatchRule, shown: int) -> dict[str, Any]:
    return {
        "format": 1,
        "network_sha256": matcher.sha256,
        "threshold": matches.threshold,
        "patch": asdict(rule),
        "rows": len(matches.rows),
        "matches": sum(row.match for row in matches.rows),
        "rows_on_the_contact_sheet": shown,
        "sar_to_optical": asdict(matches.to_optical) if matches.to_optical else None,
        "optical_to_sar": asdict(matches.to_sar) if matches.to_sar else None,
        "notes": matches.notes,
    }


def _sheet_row(row: Match, rule: PatchRule) -> PairRow:
    lines = [f"distance {row.distance:.3f}", f"SAR {short(row.sar.name, 20)}", f"opt {short(row.optical.name, 20)}"]
    if row.relation == "nearest":
        lines.append("nearest, no namesake")
    return PairRow(
        read_patch(row.sar, "sar", rule).pixels,
        read_patch(row.optical, "optical", rule).pixels,
        "a match" if row.match else "no match",
        tuple(lines),
        row.match,
    )
