"""What coherent imaging does to a scene: speckle, and the response to point scatterers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osm.simulate.noise import Float32

RESOLUTION_PX = 1.3


def speckle_intensity(rng: np.random.Generator, shape: tuple[int, int], looks: float) -> Float32:
    """Multiplicative speckle in intensity: mean 1, variance ``1 / looks``, independent from pixel to pixel.

    One look is exponential in intensity and Rayleigh in amplitude; L looks are Gamma(L, 1/L)
    (Oliver and Quegan, Understanding Synthetic Aperture Radar Images, 2004, section 4.3).
    """
    if looks == 1:
        return rng.standard_exponential(shape, dtype=np.float32)
    return rng.standard_gamma(looks, shape, dtype=np.float32) / np.float32(looks)


def point_response(offset_px: Float32, reach_px: float) -> Float32:
    """Amplitude response along one axis: a sinc of the resolution, faded out towards ``reach_px``."""
    response = np.sinc(offset_px / np.float32(RESOLUTION_PX))
    fade = np.clip((reach_px - np.abs(offset_px)) / np.float32(0.3 * reach_px), 0.0, 1.0)
    return np.asarray(response * fade, dtype=np.float32)


def add_scatterers(
    field: NDArray[np.complex64],
    x_px: NDArray[np.float64],
    y_px: NDArray[np.float64],
    amplitude: NDArray[np.complex64],
    reach_px: float,
) -> None:
    """Add point scatterers to a complex image, in place.

    Each leaves a cross: the product of a sinc in range and one in azimuth.

    Args:
        field: ``(H, W)`` complex64.
        x_px: ``(N,)`` positions in pixel edges; they should lie close together.
        y_px: The same along the other axis.
        amplitude: ``(N,)`` complex64.
        reach_px: How far the sidelobes are followed.
    """
    height, width = field.shape
    x1, x2 = max(0, int(x_px.min() - reach_px)), min(width, int(x_px.max() + reach_px) + 1)
    y1, y2 = max(0, int(y_px.min() - reach_px)), min(height, int(y_px.max() + reach_px) + 1)
    if x2 <= x1 or y2 <= y1:
        return
    across = point_response((np.arange(x1, x2) + 0.5 - x_px[:, None]).astype(np.float32), reach_px)
    down = point_response((np.arange(y1, y2) + 0.5 - y_px[:, None]).astype(np.float32), reach_px)
    # einsum, not matmul: BLAS may sum in another order on another number of threads.
    patch = np.empty((y2 - y1, x2 - x1), dtype=np.complex64)
    patch.real = np.einsum("ny,nx->yx", down * amplitude.real[:, None], across)
    patch.imag = np.einsum("ny,nx->yx", down * amplitude.imag[:, None], across)
    field[y1:y2, x1:x2] += patch


def merge_with_clutter(
    rng: np.random.Generator, intensity: Float32, field: NDArray[np.complex64], looks: float
) -> None:
    """Add a complex image of scatterers to speckled clutter, in place.

    ``|s + c|^2 = |s|^2 + |c|^2 + 2 |s| |c| cos(phase)`` with the phase uniform is exact for one look;
    with L looks the interference term averages down with ``sqrt(L)``.
    """
    touched = np.flatnonzero(field.real)
    scatterers = field.reshape(-1)[touched]
    power = scatterers.real**2 + scatterers.imag**2
    flat = intensity.reshape(-1)
    clutter = flat[touched]
    phase = rng.random(touched.size, dtype=np.float32) * np.float32(2 * np.pi)
    beat = 2.0 * np.sqrt(power * clutter) * np.cos(phase) / np.float32(np.sqrt(max(looks, 1.0)))
    flat[touched] = np.maximum(power + clutter + beat, 0.0)
