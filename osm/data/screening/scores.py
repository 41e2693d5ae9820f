"""What is measured of a patch pair to judge whether it is worth learning from; pure functions of its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osm.data.screen import is_constant
from osm.data.screening.seam import seam_score
from osm.errors import ConfigError

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

NO_DATA, CONSTANT_SAR, CONSTANT_OPTICAL = "no-data", "constant SAR", "constant optical"
WATER, SEAM, DUPLICATE = "texture-less", "seam line", "near duplicate"
REASONS = (NO_DATA, CONSTANT_SAR, CONSTANT_OPTICAL, WATER, SEAM, DUPLICATE)

_SMOOTH_PX = 1.5
_LOCAL_PX = 17
_CELL_PX = 16


@dataclass(frozen=True)
class ScreenRule:
    """When a patch pair is dropped.

    Attributes:
        sar_contrast: A pair is texture-less if the contrast of its SAR patch is below this …
        optical_texture: … and the texture of its optical patch is below this.
        seam: How steadily the optical patch may step along a straight line (``seam_score``); 1 keeps all.
        duplicate: Correlation from which two patch pairs are near duplicates; above 1 keeps all.

    Raises:
        ConfigError: A threshold out of range.
    """

    sar_contrast: float = 0.15
    optical_texture: float = 2.5
    seam: float = 0.7
    duplicate: float = 0.9

    def __post_init__(self) -> None:
        for name, least in (("sar_contrast", 0.0), ("optical_texture", 0.0), ("seam", 0.0), ("duplicate", 0.3)):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= least):
                raise ConfigError(
                    f"screening {name}", found=str(value), expected=f"at least {least:g}", mend="correct it"
                )


@dataclass(frozen=True)
class Scores:
    """What was measured of one patch pair.

    Attributes:
        missing: Part of its pixels without a measurement.
        sar_contrast: ``sar_contrast``.
        optical_texture: ``optical_texture``.
        seam: ``osm.data.screening.seam.seam_score``.
        constant: ``CONSTANT_SAR``, ``CONSTANT_OPTICAL`` or empty.
    """

    missing: float
    sar_contrast: float
    optical_texture: float
    seam: float
    constant: str


def measure(sar: Bytes, optical: Bytes, missing: Mask, *, texture: bool = True) -> Scores:
    """Measure a patch pair.

    Args:
        sar: ``(H, W)``.
        optical: ``(H, W, 3)``.
        missing: ``(H, W)``: where either has no measurement.
        texture: Whether texture and seams are measured too.
    """
    constant = CONSTANT_SAR if is_constant(sar) else CONSTANT_OPTICAL if is_constant(optical) else ""
    if not texture:
        return Scores(float(missing.mean()), 0.0, 0.0, 0.0, constant)
    return Scores(
        float(missing.mean()), sar_contrast(sar), optical_texture(optical), seam_score(sar, optical, missing), constant
    )


def sar_contrast(sar: Bytes) -> float:
    """Spread of the brightness over cells of 16 pixels, relative to its mean, in units in which 0 is none.

    The mean of a cell of single-look speckle varies by a thirtieth: water stays near that, towns and fields do not.
    """
    high, wide = (max(1, length // _CELL_PX) for length in sar.shape)
    cells = _means(sar.astype(np.float32), high, wide)
    return float(cells.std() / max(float(cells.mean()), 1.0))


def optical_texture(optical: Bytes) -> float:
    """Mean local spread in grey levels: how much neighbouring pixels differ, large gradients left aside."""
    import cv2

    grey = cv2.GaussianBlur(optical.astype(np.float32).mean(axis=2), (0, 0), _SMOOTH_PX)
    mean = cv2.blur(grey, (_LOCAL_PX, _LOCAL_PX))
    variance = cv2.blur(grey * grey, (_LOCAL_PX, _LOCAL_PX)) - mean * mean
    return float(np.sqrt(np.clip(variance, 0, None)).mean())


def judge(scores: Scores, rule: ScreenRule | None, *, max_missing: float, keep_constant: bool) -> str:
    """Why a pair is dropped, by itself; empty where it is kept. Near duplicates take a look at all pairs.

    Args:
        scores: What was measured.
        rule: Thresholds; None where texture and seams do not matter.
        max_missing: Largest part of missing pixels.
        keep_constant: Whether patches of one value are kept.
    """
    if scores.missing > max_missing:
        return NO_DATA
    if scores.constant and not keep_constant:
        return scores.constant
    if rule is not None:
        if scores.sar_contrast < rule.sar_contrast and scores.optical_texture < rule.optical_texture:
            return WATER
        if scores.seam > rule.seam:
            return SEAM
    return ""


def _means(image: npt.NDArray[np.float32], high: int, wide: int) -> npt.NDArray[np.float32]:
    rows, columns = image.shape[0] // high, image.shape[1] // wide
    part = image[: high * rows, : wide * columns]
    return np.asarray(part.reshape(high, rows, wide, columns).mean(axis=(1, 3)))
