"""What SAR and optical images of one place have in common: where things change, and along which direction.

Brightness differs between the two without rule, even in sign; edges lie at the same places. Each image is smoothed, its
gradient is taken without its sign along four directions, and these are divided by their local strength. Windows of
such images are compared by correlation over all four (OpenCV's ``matchTemplate``).

Source: the idea is that of channel features of oriented gradients (Ye et al., IEEE TGRS 57(11), 2019).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_SCALES_PX = (1.0, 2.0)
_LOCAL_PX = 16.0
_FLOOR = 0.3  # of the local strength, below which differences are noise
_TINY = 1e-6


def structure(image: Bytes, missing: Mask) -> tuple[Floats, ...]:
    """Oriented gradients of one image, one array a scale.

    Args:
        image: ``(H, W)`` SAR, whose logarithm is taken against its speckle, or ``(H, W, 3)`` optical.
        missing: ``(H, W)``: what says nothing.

    Returns:
        ``(H, W, 4)`` float32 each.
    """
    import cv2

    grey = np.log1p(image.astype(np.float32)) if image.ndim == 2 else image.astype(np.float32).mean(axis=2)
    if missing.any():
        grey[missing] = grey[~missing].mean() if not missing.all() else 0
        near = cv2.dilate(missing.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    found = []
    for scale in _SCALES_PX:
        smooth = cv2.GaussianBlur(grey, (0, 0), scale)
        right, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
        diagonal = np.float32(np.sqrt(0.5))
        along = (right, (right + down) * diagonal, down, (down - right) * diagonal)
        channels = cv2.GaussianBlur(np.abs(np.stack(along, axis=2)), (0, 0), scale)
        strength = np.sqrt((channels**2).sum(axis=2))
        level = cv2.GaussianBlur(strength, (0, 0), _LOCAL_PX)
        channels = channels / (strength + np.float32(_FLOOR) * level + np.float32(_TINY))[..., None]
        if missing.any():
            channels[near] = 0
        found.append(np.ascontiguousarray(channels, dtype=np.float32))
    return tuple(found)


def likeness(template: tuple[Floats, ...], searched: tuple[Floats, ...]) -> Floats:
    """Correlation at every offset of a template within a larger window: ``(h - th + 1, w - tw + 1)``, in [-1, 1]."""
    import cv2

    total = sum(
        cv2.matchTemplate(there, here, cv2.TM_CCOEFF_NORMED) for here, there in zip(template, searched, strict=True)
    )
    found = np.asarray(total, dtype=np.float32) / len(template)
    # where a window is flat the correlation is not defined
    return np.where(np.isfinite(found) & (np.abs(found) <= 1.001), found, np.float32(-1))


def peak(surface: Floats) -> tuple[float, float, float, float]:
    """The highest place of a surface, to a part of a pixel by a parabola.

    Returns:
        Column, row, its height, and how far it stands above the highest place more than 5 pixels away, in units of the
        spread of the surface.
    """
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    height = float(surface[row, column])
    away = surface.copy()
    away[max(row - 5, 0) : row + 6, max(column - 5, 0) : column + 6] = -np.inf
    rest = away[np.isfinite(away)]
    prominence = (height - float(rest.max())) / max(float(rest.std()), _TINY) if rest.size else 0.0
    steps = []
    for at, line in ((column, surface[row]), (row, surface[:, column])):
        step = 0.0
        if 0 < at < len(line) - 1:
            before, here, after = (float(value) for value in line[at - 1 : at + 2])
            bend = before - 2 * here + after
            step = 0.5 * (before - after) / bend if bend < 0 else 0.0
        steps.append(float(np.clip(step, -0.5, 0.5)))
    return column + steps[0], row + steps[1], height, prominence
