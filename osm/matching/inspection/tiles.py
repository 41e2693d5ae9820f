"""The SAR images that are looked at: which of those given, and how each becomes a tile."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.data.eight_bit import AUTO, ReadRule, read_sar
from osm.data.images import IMAGE_SUFFIXES
from osm.data.scene import natural_key
from osm.errors import DataError
from osm.files import sha256_file
from osm.matching.inspection.cells import BLOCK_PX

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Tile:
    """A piece of a SAR image.

    Attributes:
        path: The image.
        sha256: Of the file.
        pixels: (H, W) uint8; both sides are multiples of 32.
        radiometry: How the values became 8 bits.
    """

    path: Path
    sha256: str
    pixels: Bytes
    radiometry: str

    @property
    def constant(self) -> bool:
        """Whether all pixels are equal, so that there is nothing to see."""
        return bool((self.pixels == self.pixels.flat[0]).all())


def choose_images(given: Sequence[str], count: int) -> tuple[list[Path], int]:
    """At most ``count`` images, evenly spread over all that were given.

    Args:
        given: Folders, globs or files.
        count: At least 1.

    Returns:
        The images in natural order of their paths, and how many there were.

    Raises:
        DataError: There is none.
    """
    found = {path for text in given for path in _find(text)}
    paths = sorted(found, key=lambda path: natural_key(str(path)))
    chosen = np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int))
    return [paths[place] for place in chosen], len(paths)


def _find(given: str) -> list[Path]:
    path = Path(given)
    if path.is_dir():
        found = [entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES]
    elif path.is_file():
        return [path]
    else:
        found = [Path(name) for name in glob.glob(given, recursive=True)]  # noqa: PTH207
    visible = [entry for entry in found if entry.is_file() and not entry.name.startswith(".")]
    if not visible:
        raise DataError(
            f"--images {given}",
            found="a folder without images" if path.is_dir() else "no file of this name",
            expected="a folder of PNG, JPEG or TIFF images, a glob such as 'scenes/*.tif' or a file",
            mend="check the path, and put a glob in quotes",
        )
    return visible


def read_tile(path: Path, size_px: int, radiometry: str = AUTO) -> Tile:
    """Cut the middle of an image, at the size its pixels have.

    Args:
        path: A PNG, JPEG or TIFF of one band, or of equal ones.
        size_px: Longest side of the tile; a smaller image gives what it has, in multiples of 32 px.
        radiometry: How its values become 8 bits, as ``osm data build-pairs`` spells it.

    Raises:
        DataError: It cannot be read, is a colour image, or is smaller than 32 px.
    """
    whole = read_sar(path, ReadRule(sar_radiometry=radiometry))
    height_px, width_px = whole.pixels.shape
    if min(height_px, width_px) < BLOCK_PX:
        raise DataError(
            path,
            found=f"an image of {width_px}x{height_px} pixels",
            expected=f"at least {BLOCK_PX}x{BLOCK_PX}, which is what one cell of the last stage covers",
            mend="leave it out, or give larger images",
        )
    sides = [min(length, size_px) // BLOCK_PX * BLOCK_PX for length in (height_px, width_px)]
    row, column = ((length - side) // 2 for length, side in zip((height_px, width_px), sides, strict=True))
    # a copy: what a decoder hands over may be read-only
    pixels = whole.pixels[row : row + sides[0], column : column + sides[1]].copy()
    return Tile(path, sha256_file(path), pixels, str(whole.radiometry))


def most_varied(tiles: Sequence[Tile]) -> Tile:
    """The tile whose pixels vary most: one with something on it."""
    return max(tiles, key=lambda tile: float(tile.pixels.std()))
