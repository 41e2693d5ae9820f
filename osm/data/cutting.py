"""Cutting one aligned scene pair: blocks of patches are read, measured, judged and written by threads."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.data.neighbours import DIMENSIONS, describe_whole
from osm.data.pairs import OPTICAL_NAME, SAR_NAME
from osm.data.patch_blocks import PatchBlock, in_turn, patch_blocks
from osm.data.patches import CutRule, sticking_out
from osm.data.register.align import Alignment
from osm.data.screening.scores import Scores, ScreenRule, judge, measure
from osm.data.screening.sheets import thumbnail
from osm.data.screening.verdicts import BY_HAND, patch_name
from osm.data.sources import Bytes, Mask

BORDER, UNREGISTERED = "border", "unregistered"


@dataclass(frozen=True)
class Screening:
    """How patch pairs are judged.

    Attributes:
        rule: Thresholds; None: texture, seams and duplicates do not matter, and nothing is kept for sheets.
        edited: Verdicts of a person by name of the patch pair; they win.
    """

    rule: ScreenRule | None = None
    edited: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A patch pair that was cut.

    Attributes:
        name: Its name in the table of verdicts.
        scene: The scene.
        row: Of its upper left pixel in the grid.
        column: The same.
        transform: What the manifest says of its registration.
        scores: What was measured.
        reason: Why it is dropped; empty where it is not, by itself.
        forced: Whether a person kept it, so that no duplicate is looked for.
        by_hand: Whether a person's verdict differs from that of the screening.
        sums: SHA-256 of both files; None where it is dropped, and none are written.
        vector: For finding near duplicates; None where they do not matter.
        thumb: For the sheets; empty without screening.
    """

    name: str
    scene: str
    row: int
    column: int
    transform: str
    scores: Scores
    reason: str
    forced: bool
    by_hand: bool
    sums: tuple[str, str] | None
    vector: npt.NDArray[np.float16] | None
    thumb: bytes

    def staged(self, base: Path) -> tuple[Path, Path]:
        """Its two files, until the pairs are numbered; the names begin with a dot and are no pairs to anybody."""
        # not the name: keys of scenes may hold anything
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:32]
        return base / SAR_NAME / f".{digest}.png", base / OPTICAL_NAME / f".{digest}.png"


def cut_scene(
    scene: str,
    alignment: Alignment,
    cutting: CutRule,
    screening: Screening,
    base: Path,
    jobs: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Candidate], Counter[str]]:
    """Cut one scene pair and write what is not dropped, under names that are not yet final.

    Returns:
        The patch pairs that were cut, row by row; and how many were not cut, by reason.
    """
    blocks: list[PatchBlock] = []
    dropped: Counter[str] = Counter({BORDER: 0})
    for number, region in enumerate(alignment.regions):
        found = patch_blocks(number, region.box, cutting)
        x1, y1, x2, y2 = region.box
        dropped[BORDER] += sticking_out(x2 - x1, y2 - y1, cutting)
        if region.registered:
            blocks += found
        else:
            dropped[UNREGISTERED] += sum(len(block.places) for block in found)

    def work(block: PatchBlock) -> list[Candidate]:
        return _cut_block(scene, alignment, block, cutting, screening, base)

    candidates: list[Candidate] = []
    # closed at once, so that no late writer meets a folder that is being removed
    with closing(in_turn(work, blocks, jobs)) as parts:
        for done, part in enumerate(parts):
            candidates += part
            if progress is not None:
                progress(done + 1, len(blocks))
    candidates.sort(key=lambda candidate: (candidate.row, candidate.column))
    return candidates, dropped


def _cut_block(
    scene: str, alignment: Alignment, block: PatchBlock, cutting: CutRule, screening: Screening, base: Path
) -> list[Candidate]:
    region = alignment.regions[block.region]
    sar, sar_missing = alignment.sar.read(block.box)
    optical, optical_missing = alignment.optical_on_grid(region).read(block.box)
    missing = sar_missing | optical_missing
    kind = "grid" if region.transform is None else region.transform.kind
    found = []
    for row, column in block.places:
        y, x = row - block.box[1], column - block.box[0]
        part = (slice(y, y + cutting.size_px), slice(x, x + cutting.size_px))
        found.append(
            _candidate(
                patch_name(scene, row, column), (scene, row, column, f"{kind} {region.name}"),
                sar[part], optical[part], missing[part], cutting, screening, base,
            )
        )  # fmt: skip
    return found


def _candidate(
    name: str,
    place: tuple[str, int, int, str],
    sar: Bytes,
    optical: Bytes,
    missing: Mask,
    cutting: CutRule,
    screening: Screening,
    base: Path,
) -> Candidate:
    rule = screening.rule
    scores = measure(sar, optical, missing, texture=rule is not None)
    reason = judge(scores, rule, max_missing=cutting.max_missing, keep_constant=cutting.keep_constant)
    verdict = screening.edited.get(name)
    by_hand = verdict is not None and verdict != (not reason)
    if verdict is not None:
        reason = "" if verdict else reason or BY_HAND
    vector = None
    if rule is not None and not reason:
        vector = describe_whole(sar[None], optical[None])[0].astype(np.float16)
    thumb = b"" if rule is None else thumbnail(sar, optical)
    found = Candidate(name, *place, scores, reason, verdict is True, by_hand, None, vector, thumb)
    if reason:
        return found
    paths = found.staged(base)
    sums = _write_png(paths[0], sar), _write_png(paths[1], optical)
    return Candidate(name, *place, scores, reason, verdict is True, by_hand, sums, vector, thumb)


def vectors_of(candidates: list[Candidate]) -> npt.NDArray[np.float16]:
    """The vectors of candidates, ``(N, DIMENSIONS)``; zeros for those without one."""
    found = np.zeros((len(candidates), DIMENSIONS), dtype=np.float16)
    for number, candidate in enumerate(candidates):
        if candidate.vector is not None:
            found[number] = candidate.vector
    return found


def _write_png(path: Path, patch: Bytes) -> str:
    """Write a patch and return the SHA-256 of the file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(patch)).save(stream, format="PNG", compress_level=4)
    path.write_bytes(stream.getvalue())
    return hashlib.sha256(stream.getvalue()).hexdigest()
