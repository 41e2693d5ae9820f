"""Which patches show a part of one place, found from their pixels.

Patches cut with an overlap repeat the pixels of their neighbours along a border. Each border, corner and whole
patch becomes a short vector: means over cells of pixels, of which the local mean is taken away and which are divided by
the local spread (so that texture speaks, and neither brightness nor one bright ship), SAR and optical side by side,
projected at random to ``DIMENSIONS`` and scaled to length 1. The product of two such vectors is then their
correlation: 1 for the same pixels, and for others near 0 with a spread of about 1/sqrt(``DIMENSIONS``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from osm.data.cache import cached_arrays
from osm.data.parallel import Progress, in_parallel
from osm.errors import ConfigError, DataError
from osm.files import read_json

if TYPE_CHECKING:
    from osm.data.pair_source import Bytes, PairSource

Floats = npt.NDArray[np.float32]

OVERLAP = 0.2
"""Part of a patch that it shares with the next one: that of QXS-SAROPT."""

DIMENSIONS = 256
PARTS = ("left", "right", "top", "bottom", "top left", "top right", "bottom left", "bottom right", "whole")

RULES = (
    ("right", "left", (1, 0), "edge"),
    ("bottom", "top", (0, 1), "edge"),
    ("bottom right", "top left", (1, 1), "corner"),
    ("bottom left", "top right", (-1, 1), "corner"),
    ("whole", "whole", (0, 0), "whole"),
)
"""A part of one patch, the part of another that repeats it, where the other lies (columns, rows), and which number of
``Likeness`` their correlation must reach. Two whole patches are near duplicates."""

_CELLS = 64  # along a patch: 4 pixels at 256
_WINDOW = 5  # cells, of the local mean and spread
_LEAST_SPREAD = 0.5  # grey levels; below it is the rounding to 8 bits
_CLIP = 1.5
_LEAST_TEXTURE = 0.02  # mean square of the cells, of which 1 is full texture; below it there is nothing to tell by
_BATCH = 32
_BLOCK = 2048
_MOST_LINKS = 64
_FORMAT = 1


@dataclass(frozen=True)
class Likeness:
    """Least correlations at which two parts are taken for the same pixels, each from ``LEAST`` to 1.

    Measured on 1,104 patches of 256 px of 69 Sentinel scenes: true overlaps 1.00, and at least 0.84 (corners 0.66)
    where the overlap is one pixel off; others at most 0.36 (corners 0.49).

    Attributes:
        edge: Of a border of a patch.
        corner: Of a corner, which has fewer pixels to tell by.
        whole: Of two whole patches.

    Raises:
        ConfigError: One of them is out of range.
    """

    edge: float = 0.6
    corner: float = 0.7
    whole: float = 0.6

    LEAST: ClassVar[float] = 0.2  # below, unrelated patches of little texture are linked by chance

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not self.LEAST <= value <= 1:
                raise ConfigError(
                    f"likeness of {name}",
                    found=f"{value:g}",
                    expected=f"a correlation from {self.LEAST:g} to 1",
                    mend="correct it",
                )


@dataclass(frozen=True, eq=False)
class Links:
    """Pairs of patches that overlap.

    Attributes:
        first: ``(M,)`` int64.
        second: ``(M,)`` int64.
        step: ``(M, 2)`` int64: where the second lies as seen from the first, in columns and rows of patches.
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)


def find_links(
    pairs: PairSource,
    overlap: float | None = None,
    likeness: Likeness = Likeness(),
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Links:
    """Find the pairs that overlap.

    Every pair is read once; then all are compared with all, by blocks. What is held is 4.6 kB a pair, and one block.

    Args:
        pairs: The pairs, all of one size.
        overlap: Part of a patch that it shares with the next one; by default what ``report.json`` of
            ``osm data build-pairs`` says, or else ``OVERLAP``.
        likeness: How alike parts of two patches must be.
        cache: Folder for the links that were found.
        progress: Called now and then.

    Raises:
        DataError: An overlap of more than one half, where patches overlap with more than their neighbours;
            patches so alike that most overlap with many; a patch that cannot be read.
    """
    overlap = overlap_of(pairs.root) if overlap is None else overlap
    if not 0 <= overlap <= 0.5:
        raise DataError(
            pairs.root,
            found=f"patches that overlap by {overlap:g}",
            expected="at most 0.5, to find overlaps from the pixels",
            mend="use the split 'scene'",
        )

    def compute() -> dict[str, npt.NDArray[np.int64]]:
        links = compare(_describe_all(pairs, overlap, progress), pairs.root, likeness)
        return {"first": links.first, "second": links.second, "step": links.step}

    def key() -> str:
        return f"{_FORMAT}\n{overlap}\n{likeness}\n{pairs.stamp()}"

    return Links(**cached_arrays(cache, "overlaps", key, compute))


def overlap_of(root: Path) -> float:
    """The overlap with which ``osm data build-pairs`` cut the patches, or that of QXS-SAROPT."""
    report = next((path for folder in (root, root.parent) if (path := folder / "report.json").is_file()), None)
    record = read_json(report) if report is not None else {}
    settings = record.get("settings") if isinstance(record, dict) else None
    return float(settings["overlap"]) if isinstance(settings, dict) and "overlap" in settings else OVERLAP


def describe(sar: Bytes, optical: Bytes, overlap: float) -> Floats:
    """Vectors of all parts of some pairs.

    Args:
        sar: ``(n, H, W)``.
        optical: ``(n, H, W, 3)``.
        overlap: Part of a patch that it shares with the next one.

    Returns:
        ``(n, len(PARTS), DIMENSIONS)``: of length 1, or 0 where a part is without texture or has no pixel.
    """
    height_px, width_px = sar.shape[1:]
    cell_px = max(1, min(height_px, width_px) // _CELLS)
    bands = np.empty((len(sar), 2, height_px, width_px), dtype=np.float32)
    bands[:, 0] = sar
    bands[:, 1] = _sum([optical[..., band] for band in range(3)]) / 3
    wide, high = round(overlap * width_px), round(overlap * height_px)
    left, right = slice(0, wide), slice(width_px - wide, width_px)
    top, bottom = slice(0, high), slice(height_px - high, height_px)
    whole = slice(None)
    sides = [(whole, left), (whole, right), (top, whole), (bottom, whole)]
    corners = [(top, left), (top, right), (bottom, left), (bottom, right)]
    windows = [*sides, *corners, (whole, whole)]  # in the order of PARTS
    return np.stack([_vectors(bands[:, :, rows, columns], cell_px) for rows, columns in windows], axis=1)


def describe_whole(sar: Bytes, optical: Bytes) -> Floats:
    """Vectors ``(n, DIMENSIONS)`` of whole patches; arguments as for ``describe``."""
    height_px, width_px = sar.shape[1:]
    bands = np.empty((len(sar), 2, height_px, width_px), dtype=np.float32)
    bands[:, 0] = sar
    bands[:, 1] = _sum([optical[..., band] for band in range(3)]) / 3
    return _vectors(bands, max(1, min(height_px, width_px) // _CELLS))


def compare(vectors: npt.NDArray[np.float16], where: Path, likeness: Likeness = Likeness()) -> Links:
    """Compare all patches with all, by ``RULES``.

    Args:
        vectors: ``(len(PARTS), N, DIMENSIONS)`` of ``describe``.
        where: What to name in the error.
        likeness: How alike parts of two patches must be.

    Raises:
        DataError: More than 64 links a pair.
    """
    count = vectors.shape[1]
    found: list[npt.NDArray[np.int64]] = []
    total = 0
    for first, second, step, part in RULES:
        here, there = vectors[PARTS.index(first)], vectors[PARTS.index(second)]
        for rows, columns in _alike(here, there, getattr(likeness, part)):
            # a patch is no neighbour of itself, and a duplicate is one in both orders
            keep = rows < columns if first == second else rows != columns
            total += int(keep.sum())
            if total > _MOST_LINKS * count:
                raise DataError(
                    where,
                    found=f"more than {_MOST_LINKS} overlaps a pair",
                    expected="patches that can be told apart",
                    mend="remove near duplicates, raise data.overlap_whole and its like, or use the split 'scene'",
                )
            steps = np.broadcast_to(np.array(step, dtype=np.int64), (int(keep.sum()), 2))
            found.append(np.column_stack([rows[keep], columns[keep], steps]))
    table = np.concatenate(found) if found else np.zeros((0, 4), dtype=np.int64)
    return Links(table[:, 0], table[:, 1], table[:, 2:])


def _alike(
    here: npt.NDArray[np.float16], there: npt.NDArray[np.float16], least: float
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Rows and columns where two sets of vectors correlate, block by block."""
    for low in range(0, len(here), _BLOCK):
        block = here[low : low + _BLOCK].astype(np.float32)
        for start in range(0, len(there), _BLOCK):
            rows, columns = np.nonzero(block @ there[start : start + _BLOCK].astype(np.float32).T >= least)
            if len(rows):
                yield rows + low, columns + start


def _describe_all(pairs: PairSource, overlap: float, progress: Progress | None) -> npt.NDArray[np.float16]:
    count = len(pairs)
    vectors = np.empty((len(PARTS), count, DIMENSIONS), dtype=np.float16)
    batches = [range(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH)]

    def look(batch: range) -> tuple[range, Floats]:
        return batch, describe(pairs.sar_patches(batch), pairs.optical_patches(batch), overlap)

    def step(done: int, total: int) -> None:
        if progress is not None:
            progress(min(done * _BATCH, count), count)

    for batch, part in in_parallel(look, batches, step):
        vectors[:, batch.start : batch.stop] = part.transpose(1, 0, 2)
    return vectors


def _vectors(bands: Floats, cell_px: int) -> Floats:
    """Vectors ``(n, DIMENSIONS)`` of one part, ``(n, 2, h, w)``."""
    count, _, height_px, width_px = bands.shape
    high, wide = height_px // cell_px, width_px // cell_px
    if not high or not wide:
        return np.zeros((count, DIMENSIONS), dtype=np.float32)
    columns = _sum([bands[:, :, : high * cell_px, step : wide * cell_px : cell_px] for step in range(cell_px)])
    cells = _sum([columns[:, :, step::cell_px] for step in range(cell_px)]) / np.float32(cell_px**2)
    texture = _texture(cells).reshape(count, -1)
    projected: Floats = texture @ _projection(texture.shape[1])
    length = np.linalg.norm(projected, axis=1, keepdims=True)
    enough = (texture**2).mean(axis=1, keepdims=True) >= _LEAST_TEXTURE
    return np.where(enough, projected / np.maximum(length, 1e-12), np.float32(0))


def _sum(parts: Sequence[npt.NDArray[Any]]) -> Floats:
    """Sum of arrays; several times faster than numpy's own sum along a short axis."""
    total = parts[0].astype(np.float32)
    for part in parts[1:]:
        total += part
    return total


def _texture(cells: Floats) -> Floats:
    """Departure from the local mean in units of the local spread, ``(n, m, h, w)``."""
    from scipy.ndimage import uniform_filter

    size = (1, 1, _WINDOW, _WINDOW)
    mean = uniform_filter(cells, size, mode="nearest")
    variance = uniform_filter((cells - mean) ** 2, size, mode="nearest")
    return np.asarray(np.clip((cells - mean) / np.sqrt(variance + _LEAST_SPREAD**2), -_CLIP, _CLIP), dtype=np.float32)


@lru_cache(maxsize=8)
def _projection(length: int) -> Floats:
    return np.random.default_rng(length).standard_normal((length, DIMENSIONS), dtype=np.float32)
