"""Smooth random fields: the raw material of coastlines, land cover and texture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Float32 = NDArray[np.float32]


def fractal_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    coarsest_px: float,
    finest_px: float,
    gain: float = 0.5,
) -> Float32:
    """Draw a fractal field of roughly zero mean and unit variance.

    White grids are summed from coarse to fine, each at half the spacing of the one before; only the
    last one is enlarged to the full size, so the cost is that of one resize whatever the number of octaves.

    Args:
        rng: Source of randomness.
        shape: ``(height, width)`` of the result.
        coarsest_px: Spacing of the coarsest grid.
        finest_px: No octave is finer than this.
        gain: Amplitude of each octave relative to the one before.

    Returns:
        ``(height, width)`` float32.
    """
    height, width = shape
    spacing = max(float(coarsest_px), 1.0)
    octaves = max(1, 1 + int(np.floor(np.log2(max(spacing / max(finest_px, 1.0), 1.0)))))
    rows, columns = (int(np.ceil(size / spacing)) + 3 for size in shape)
    field = rng.standard_normal((rows, columns), dtype=np.float32)
    amplitude, power = 1.0, 1.0
    for _ in range(octaves - 1):
        rows, columns, spacing, amplitude = 2 * rows, 2 * columns, spacing / 2, amplitude * gain
        field = _enlarge(field, (rows, columns), (0.0, 0.0, field.shape[1], field.shape[0]))
        field = field + np.float32(amplitude) * rng.standard_normal((rows, columns), dtype=np.float32)
        power += amplitude**2
    # The margin of one and a half coarse cells keeps the mirrored borders of the resizes out of sight.
    left, top = rng.uniform(0.5, 1.5, 2) * (coarsest_px / spacing)
    left = min(left, columns - width / spacing)
    top = min(top, rows - height / spacing)
    box = (left, top, left + width / spacing, top + height / spacing)
    # Interpolation between nodes lowers the variance to about 0.6 of theirs.
    return _enlarge(field, shape, box) * np.float32(1.0 / np.sqrt(0.6 * power))


def _enlarge(grid: Float32, shape: tuple[int, int], box: tuple[float, float, float, float]) -> Float32:
    """Resize the ``box`` (x1, y1, x2, y2 in grid cells) of ``grid`` to ``shape`` by cubic interpolation."""
    image = Image.fromarray(grid).resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box)
    return np.asarray(image, dtype=np.float32)


def ramp(shape: tuple[int, int], angle_rad: float) -> Float32:
    """Signed position along a direction, zero in the middle, in units of the shorter side, ``(H, W)``."""
    height, width = shape
    unit = float(min(shape))
    x = ((np.arange(width) + 0.5 - width / 2) / unit).astype(np.float32)
    y = ((np.arange(height) + 0.5 - height / 2) / unit).astype(np.float32)
    return (np.float32(np.cos(angle_rad)) * x)[None, :] + (np.float32(np.sin(angle_rad)) * y)[:, None]


def plane_wave(shape: tuple[int, int], length_px: float, angle_rad: float, phase_rad: float) -> Float32:
    """``sin`` of a plane wave, ``(H, W)`` in [-1, 1]; two outer products instead of a sine per pixel."""
    wave_number = 2 * np.pi / length_px
    x = (np.arange(shape[1]) * (wave_number * np.cos(angle_rad)) + phase_rad).astype(np.float32)
    y = (np.arange(shape[0]) * (wave_number * np.sin(angle_rad))).astype(np.float32)
    return np.asarray(np.sin(x)[None, :] * np.cos(y)[:, None] + np.cos(x)[None, :] * np.sin(y)[:, None])
