"""From an image of any size to the patch that a network was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.eight_bit import AUTO, ReadRule, read_optical, read_sar
from osm.errors import ConfigError, DataError

Bytes = npt.NDArray[np.uint8]

#: Centre: a square of the patch's side is cut from the middle. Scale: the largest square in the middle is scaled.
FITS = ("centre", "scale")


@dataclass(frozen=True)
class PatchRule:
    """How an image becomes a patch.

    Args:
        size_px: Side of the patch.
        fit: One of ``FITS``. "centre" keeps the ground size of a pixel, which a network has learned.
        sar_radiometry: How SAR becomes 8 bits, as ``osm data build-pairs`` spells it.
        optical_radiometry: The same for optical images.

    Raises:
        ConfigError: A radiometry that cannot be read, or no such fit.
    """

    size_px: int
    fit: str = "centre"
    sar_radiometry: str = AUTO
    optical_radiometry: str = AUTO

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ConfigError("--fit", found=repr(self.fit), expected=f"one of {', '.join(FITS)}", mend="correct it")
        self.reading  # noqa: B018  (refuses what it cannot read before the first image is opened)

    @property
    def reading(self) -> ReadRule:
        """How the values are read."""
        return ReadRule(sar_radiometry=self.sar_radiometry, optical_radiometry=self.optical_radiometry)


@dataclass(frozen=True, eq=False)
class Patch:
    """One image as the network gets it.

    Attributes:
        path: Where it came from.
        pixels: uint8, (S, S) of SAR, (S, S, 3) of optical.
        note: What was done to the image; empty where it was a patch already.
    """

    path: Path
    pixels: Bytes
    note: str


def read_patch(path: Path, modality: str, rule: PatchRule) -> Patch:
    """Read an image and make it a patch; values are mapped to 8 bits over the whole image first.

    Args:
        path: A PNG, JPEG or TIFF.
        modality: "sar" or "optical".
        rule: How.

    Raises:
        DataError: The image cannot be read, does not fit its radiometry, or is smaller than the patch and may
            not be scaled.
    """
    whole = (read_sar if modality == "sar" else read_optical)(path, rule.reading)
    height_px, width_px = whole.pixels.shape[:2]
    size_px = rule.size_px
    done = [] if str(whole.radiometry) == "none" else [f"values mapped by {whole.radiometry}"]
    if rule.fit == "centre":
        if min(height_px, width_px) < size_px:
            raise DataError(
                path,
                found=f"an image of {width_px}x{height_px} pixels",
                expected=f"at least {size_px}x{size_px}, the patches that the network was trained on",
                mend="give a larger image of the same ground resolution, or scale it with --fit scale",
            )
        pixels = _middle(whole.pixels, size_px)
        if (height_px, width_px) != (size_px, size_px):
            done.append(f"the centre {size_px}x{size_px} of {width_px}x{height_px} pixels")
    else:
        side_px = min(height_px, width_px)
        pixels = _scale(_middle(whole.pixels, side_px), size_px)
        if (height_px, width_px) != (size_px, size_px):
            done.append(f"the centre {side_px}x{side_px} of {width_px}x{height_px} pixels scaled to {size_px}")
    return Patch(path, np.ascontiguousarray(pixels), "; ".join(done))


def _middle(pixels: npt.NDArray[Any], size_px: int) -> npt.NDArray[Any]:
    row, column = ((length - size_px) // 2 for length in pixels.shape[:2])
    return pixels[row : row + size_px, column : column + size_px]


def _scale(pixels: npt.NDArray[Any], size_px: int) -> npt.NDArray[Any]:
    if pixels.shape[0] == size_px:
        return pixels
    from PIL import Image

    # PIL's bilinear filter grows with the factor, so that nothing aliases
    return np.asarray(Image.fromarray(pixels).resize((size_px, size_px), Image.Resampling.BILINEAR))
