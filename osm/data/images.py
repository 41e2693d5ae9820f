"""Images on disk as arrays: PNG, JPEG and (Geo)TIFF, told apart by their content."""

from __future__ import annotations

import logging
import math
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from osm.errors import DataError

if TYPE_CHECKING:
    from PIL import Image
    from tifffile import TiffFile

Array = npt.NDArray[Any]

MAX_PIXELS = 4_000_000_000
"""Largest image that is read: 4 Gpx. Whole scenes of 3 m stripmap data stay below 2 Gpx; a header that
claims more is taken for broken or hostile, and refused before anything is allocated for it."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_KINDS = "a PNG, JPEG or TIFF image"
_TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_AGAIN = "download or write this file again"

# what the decoders raise on broken files: PIL adds SyntaxError and EOFError, imagecodecs RuntimeError
_DECODE_ERRORS = (
    OSError, ValueError, IndexError, KeyError, TypeError, AttributeError, RuntimeError, ArithmeticError,
    SyntaxError, EOFError, struct.error, zlib.error,
)  # fmt: skip
_PIL_LIMIT = threading.Lock()
# what tifffile has to say on a broken file would otherwise go to stderr, around the one line of our error
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def image_size(path: str | Path) -> tuple[int, int]:
    """Size of an image from its header alone.

    Returns:
        Width and height in pixels.

    Raises:
        DataError: The file is missing, empty, larger than ``MAX_PIXELS`` or no image.
    """
    path = Path(path)
    with open_tiff(path) as tiff:
        if tiff is not None:
            return _tiff_size(path, tiff)
    with _open_pil(path) as image:
        return image.width, image.height


def read_image(path: str | Path) -> Array:
    """Read an image as stored, without any scaling.

    Only the first page of a TIFF is read (overviews and masks follow it). Palettes are resolved to RGB,
    CMYK is converted, an alpha channel stays as the fourth band of colour and is dropped from grey.

    Returns:
        ``(H, W)``, or ``(H, W, bands)`` for more than one band; uint8, uint16, int16, float32, complex64,
        whatever the file holds.

    Raises:
        DataError: The file is missing, empty, truncated, larger than ``MAX_PIXELS`` or no image.
    """
    path = Path(path)
    with open_tiff(path) as tiff:
        array = _read_pil(path) if tiff is None else _read_tiff(path, tiff)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return array


def to_gray(image: Array, where: str | Path = "image") -> Array:
    """One band of an image whose bands say the same.

    SAR images are often delivered as three equal bands; JPEG makes them differ by a little, hence the
    mean. A fourth band is taken for alpha and dropped.

    Args:
        image: ``(H, W)``, or ``(H, W, 1 | 3 | 4)``.
        where: What to name in the error.

    Returns:
        ``(H, W)`` of the same type (integers are rounded).

    Raises:
        DataError: The bands differ by more than 3 % of the image's range on average: a colour image.
    """
    if image.ndim == 2:
        return image
    if image.ndim == 3 and image.shape[2] == 1:
        return np.asarray(image[:, :, 0])
    if image.ndim != 3 or image.shape[2] not in (3, 4):
        raise DataError(
            where, found=f"an array of shape {image.shape}", expected="one band, or three equal ones", mend=_ONE_BAND
        )
    bands = image[:, :, :3]
    if (bands == bands[:, :, :1]).all():
        return np.asarray(bands[:, :, 0])
    wide = bands.astype(np.complex64 if np.iscomplexobj(bands) else np.float32)
    spread = float(np.nanmean(np.abs(wide - wide.mean(axis=2, keepdims=True)).max(axis=2)))
    level = np.abs(wide)
    span = 255.0 if image.dtype == np.uint8 else float(np.nanmax(level) - np.nanmin(level))
    if spread > GREY_SPREAD * span:
        raise DataError(
            where,
            found=f"three bands that differ by {spread:.3g} on average (a colour image)",
            expected="one band, or three (nearly) equal ones",
            mend=_ONE_BAND,
        )
    return mean_band(bands)


def mean_band(bands: Array) -> Array:
    """One band ``(H, W)`` of three ``(H, W, 3)`` that say nearly the same: their mean, of the same type.

    Each pixel by itself, so that windows of an image give parts of what the whole gives.
    """
    first = bands[:, :, 0]
    differ = (bands != bands[:, :, :1]).any(axis=2)
    if not differ.any():
        return np.asarray(first)
    mean = bands[differ].astype(np.result_type(bands.dtype, np.float32)).mean(axis=1)
    mixed = first.copy()
    mixed[differ] = np.rint(mean) if np.issubdtype(bands.dtype, np.integer) else mean
    return mixed


#: Of the range, up to which three bands are one. Measured on real images: JPEG of SAR (SSDD) up to 1.7 %,
#: the greyest of 69 optical scenes 4.4 %.
GREY_SPREAD = 0.03
_ONE_BAND = "give the SAR image as one band (are SAR and optical swapped?)"


def _is_tiff(path: Path) -> bool:
    """Whether the content is TIFF; the same look also finds missing and empty files."""
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except FileNotFoundError as error:
        raise DataError(path, found="no such file", expected=_KINDS, mend="check the path") from error
    except OSError as error:
        raise DataError(path, found=f"an unreadable file ({error.strerror})", expected=_KINDS, mend=_AGAIN) from error
    if not magic:
        raise DataError(path, found="an empty file", expected=_KINDS, mend=_AGAIN)
    return magic in _TIFF_MAGIC


def _check_size(path: Path, width_px: int, height_px: int) -> tuple[int, int]:
    if width_px <= 0 or height_px <= 0 or width_px * height_px > MAX_PIXELS:
        raise DataError(
            path,
            found=f"a header that claims {width_px}x{height_px} pixels",
            expected=f"between 1 and {MAX_PIXELS:,} pixels",
            mend=f"{_AGAIN}, or cut the scene into parts",
        )
    return width_px, height_px


def _broken(path: Path, error: BaseException) -> DataError:
    text = " ".join(str(error).replace(str(path), "it").split())[:160] or type(error).__name__
    return DataError(path, found=f"a broken or truncated image ({text})", expected=_KINDS, mend=_AGAIN)


# -- PNG and JPEG ---------------------------------------------------------------------------------


def _open_pil(path: Path) -> Image.Image:
    """Open lazily, with our own limit of size in place of PIL's 179 Mpx, which scenes may exceed."""
    from PIL import Image, UnidentifiedImageError

    try:
        with _PIL_LIMIT:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(path, formats=("PNG", "JPEG"))
            finally:
                Image.MAX_IMAGE_PIXELS = limit
    except UnidentifiedImageError as error:
        raise DataError(path, found="no readable image", expected=_KINDS, mend=_AGAIN) from error
    except _DECODE_ERRORS as error:
        raise _broken(path, error) from error
    try:
        _check_size(path, *image.size)
    except DataError:
        image.close()
        raise
    return image


def _read_pil(path: Path) -> Array:
    with _open_pil(path) as image:
        try:
            if image.format == "PNG" and _is_deep_colour_png(path):
                # PIL would silently drop the low byte of each sample
                from imagecodecs import png_decode

                return np.asarray(png_decode(path.read_bytes()))
            image.load()
            if image.mode in ("L", "RGB", "RGBA", "I", "F") or image.mode.startswith("I;16"):
                array = np.asarray(image)
            elif image.mode in ("1", "LA", "La"):
                array = np.asarray(image.convert("L"))
            else:
                array = np.asarray(image.convert("RGB"))
        except _DECODE_ERRORS as error:
            raise _broken(path, error) from error
    return array


def _is_deep_colour_png(path: Path) -> bool:
    with path.open("rb") as stream:
        header = stream.read(26)
    return len(header) == 26 and header[24] == 16 and header[25] in (2, 6)


# -- TIFF -----------------------------------------------------------------------------------------


@contextmanager
def open_tiff(path: Path) -> Iterator[TiffFile | None]:
    """Open a TIFF; None for an image of another format. What breaks inside the block becomes a ``DataError``."""
    if not _is_tiff(path):
        yield None
        return
    from tifffile import TiffFile

    try:
        with TiffFile(path) as tiff:
            yield tiff
    except _DECODE_ERRORS as error:
        raise _broken(path, error) from error


def _tiff_size(path: Path, tiff: TiffFile) -> tuple[int, int]:
    page = tiff.pages.first
    return _check_size(path, int(page.imagewidth), int(page.imagelength))


def _read_tiff(path: Path, tiff: TiffFile) -> Array:
    width_px, height_px = _tiff_size(path, tiff)
    page = tiff.pages.first
    # tifffile fills segments that are not listed, or lie behind the end of the file, with zeros in some formats:
    # a scene with a black half would pass for whole
    listed, needed = min(len(page.dataoffsets), len(page.databytecounts)), math.prod(page.chunked)
    if listed < needed and not page.is_contiguous:
        raise DataError(
            path,
            found=f"a broken TIFF that lists {listed} of {needed} strips or tiles",
            expected="all of them",
            mend=_AGAIN,
        )
    end = max((offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)
    have = path.stat().st_size
    if end > have:
        raise DataError(
            path,
            found=f"a truncated TIFF of {have:,} bytes",
            expected=f"at least {end:,} bytes of pixels",
            mend=_AGAIN,
        )
    array = np.asarray(page.asarray())
    if array.ndim == 3 and page.axes[0] == "S":
        array = np.moveaxis(array, 0, -1)
    if array.ndim not in (2, 3) or array.shape[:2] != (height_px, width_px):
        raise DataError(
            path,
            found=f"a TIFF page of axes {page.axes}, shape {array.shape}",
            expected="rows, columns and at most one axis of bands",
            mend="write the scene as a plain image of one page",
        )
    return array
