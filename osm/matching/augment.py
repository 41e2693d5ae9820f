"""Paired augmentation: one geometry for both patches of a pair, radiometry for SAR, colour for optical.

Everything works on whole batches, on the device that holds them, in the units of the stored pixels (0..255). The
small draws, a few numbers a pair, come from the CPU; the speckle of a patch comes from a generator of its own on the
device of the patches.

Turns and windows move stored pixels and make none: a turn is an exact one of the square's eight, and a window lies
inside the patch, so that no interpolation, border or padding is common to the two patches of a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from osm.matching.draws import RowDraws
from osm.matching.settings import AugmentSettings

#: Elements of the symmetry group of the square.
TURNS = 8
_UPSIDE_DOWN, _MIRRORED, _TRANSPOSED = 1, 2, 4
#: Weights of R, G and B in luminance (ITU-R BT.601).
_LUMINANCE = (0.299, 0.587, 0.114)
_QUANTILES = 1 << 16


@dataclass(frozen=True, eq=False)
class View:
    """Where N patches are looked at, and how they are turned; on the CPU.

    Attributes:
        turn: (N,) int64, 0..7; its bits say upside down (1), mirrored (2), then transposed (4).
        top_px: (N,) int64, first row of the window.
        left_px: (N,) int64, first column of the window.
        side_px: Height and width of the windows.
    """

    turn: Tensor
    top_px: Tensor
    left_px: Tensor
    side_px: int


def draw_view(count: int, size_px: int, settings: AugmentSettings, draw: RowDraws) -> View:
    """Draw a window and a turn for each of ``count`` patches, both uniform.

    Args:
        count: Number of patches.
        size_px: Their height and width, at least ``settings.crop_px``.
        settings: Whether patches are turned and cropped; what is drawn does not depend on it.
        draw: One turn, row and column a patch.
    """
    uniform = draw.uniform(3, count)
    side_px = settings.crop_px or size_px
    places = size_px - side_px + 1
    turn = (uniform[0] * TURNS).long() if settings.turn else torch.zeros(count, dtype=torch.long)
    return View(turn, (uniform[1] * places).long(), (uniform[2] * places).long(), side_px)


def centre_view(count: int, size_px: int, crop_px: int) -> View:
    """The window in the middle, not turned, for each of ``count`` patches; 0 means no crop."""
    side_px = crop_px or size_px
    first = torch.full((count,), (size_px - side_px) // 2)
    return View(torch.zeros(count, dtype=torch.long), first, first, side_px)


def cut(view: View, *images: Tensor) -> tuple[Tensor, ...]:
    """Look at several images of N places through one view, so that their pixels stay registered.

    Args:
        view: For N patches; every window lies inside the images.
        images: (N, H, W) or (N, H, W, C) each, of the same N, H and W and on one device.

    Returns:
        (N, side_px, side_px) or (N, side_px, side_px, C) each; the images themselves where the view is all of them.

    Raises:
        ValueError: The images differ in N, H or W.
    """
    count, height, width = images[0].shape[:3]
    if any(image.shape[:3] != images[0].shape[:3] for image in images):
        raise ValueError(f"images of {' and '.join(str(tuple(image.shape[:3])) for image in images)} are no pairs")
    side_px = view.side_px
    if height == width == side_px and not bool(view.turn.any()):
        return images
    forward = torch.arange(side_px)
    backward = forward.flip(0)
    rows = torch.where((view.turn & _UPSIDE_DOWN > 0)[:, None], backward, forward) + view.top_px[:, None]
    columns = torch.where((view.turn & _MIRRORED > 0)[:, None], backward, forward) + view.left_px[:, None]
    # the place of a pixel in memory is a term of its row plus one of its column; a transposed patch swaps them
    transposed = (view.turn & _TRANSPOSED > 0)[:, None]
    rows = rows * width
    down, across = torch.where(transposed, columns, rows), torch.where(transposed, rows, columns)
    down = down + (torch.arange(count) * height * width)[:, None]
    small = torch.int32 if count * height * width < 2**31 else torch.int64
    down, across = (term.to(images[0].device, small, non_blocking=True) for term in (down, across))
    places = (down[:, :, None] + across[:, None, :]).flatten()
    return tuple(
        image.reshape(-1, *image.shape[3:]).index_select(0, places).reshape(count, side_px, side_px, *image.shape[3:])
        for image in images
    )


def speckle(size_px: tuple[int, int], looks: float, pixels: Sequence[torch.Generator]) -> Tensor:
    """Factors for amplitudes: the root of gamma-distributed intensities of mean 1 and variance 1/looks.

    Fully developed speckle of L looks (Goodman 1976); drawn from 65,536 quantiles, since drawing the gamma
    distribution itself costs more than everything else here together.

    Args:
        size_px: Height and width of a patch.
        looks: L, at least 1; the fewer, the stronger.
        pixels: A generator for each of N patches, on the device of the result.

    Returns:
        (N, height, width) float32.
    """
    device = pixels[0].device
    count = size_px[0] * size_px[1]
    # four draws of 16 bits from one of 64
    words = torch.empty(len(pixels), -(-count // 4), dtype=torch.int64, device=device)
    for row, own in zip(words, pixels, strict=True):
        row.random_(-(2**63), None, generator=own)
    rank = words.view(torch.int16)[:, :count].int().bitwise_and_(_QUANTILES - 1)
    factors = _speckle_quantiles(float(looks), str(device)).index_select(0, rank.flatten())
    return factors.view(len(pixels), *size_px)


@lru_cache(maxsize=4)
def _speckle_quantiles(looks: float, device: str) -> Tensor:
    import numpy as np
    from scipy.special import gammaincinv

    intensity = gammaincinv(looks, (np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    return torch.from_numpy(np.sqrt(intensity / intensity.mean()).astype(np.float32)).to(device)


def disturb_sar(sar: Tensor, settings: AugmentSettings, draw: RowDraws, pixels: RowDraws) -> Tensor:
    """Disturb SAR amplitudes: brightness curve and gain, then a noise floor, then speckle over both.

    Args:
        sar: (N, H, W) uint8.
        settings: The strengths.
        draw: One gain, one exponent and one floor a patch.
        pixels: The speckle of each patch.

    Returns:
        float32 of the same shape, at most 255; ``sar`` itself where nothing is on.
    """
    uniform = draw.uniform(3, len(sar))[:, :, None]
    curved = bool(settings.sar_gain_db or settings.sar_gamma or settings.sar_floor)
    if not curved and not settings.speckle_looks:
        return sar
    if curved:
        gain = 10 ** (settings.sar_gain_db * (2 * uniform[0] - 1) / 20)
        exponent = torch.exp(settings.sar_gamma * (2 * uniform[1] - 1))
        # 256 values a patch, looked up: a power for every pixel would cost four times as much
        curve = 255 * gain * torch.linspace(0, 1, 256, dtype=torch.float64) ** exponent
        # noise adds to intensity
        curve = torch.hypot(curve, settings.sar_floor * uniform[2])
        curve = curve.to(sar.device, torch.float32)
        amplitude = curve.gather(1, sar.flatten(1).long()).view(sar.shape)
    else:
        amplitude = sar.float()
    if settings.speckle_looks:
        height_px, width_px = sar.shape[1:]
        own = pixels.generators(len(sar), sar.device)
        amplitude.mul_(speckle((height_px, width_px), settings.speckle_looks, own))
    return amplitude.clamp_(max=255)


def recolour(optical: Tensor, settings: AugmentSettings, draw: RowDraws) -> Tensor:
    """Change brightness, contrast and saturation of optical patches, or take their colour away.

    All of it is linear in the pixels until the last clamp, so it may follow a reduction in size.

    Args:
        optical: (N, 3, H, W) float, 0..255.
        settings: The strengths.
        draw: Three factors and one decision a patch.

    Returns:
        float of the same shape, 0..255; ``optical`` itself where nothing is on.
    """
    uniform = draw.uniform(4, len(optical))[:, :, None, None, None]
    if not (settings.brightness or settings.contrast or settings.saturation or settings.grey):
        return optical
    strengths = (settings.brightness, settings.contrast, settings.saturation)
    brightness, contrast, saturation = (
        1 + strength * (2 * part - 1) for strength, part in zip(strengths, uniform[:3], strict=True)
    )
    saturation = torch.where(uniform[3] < settings.grey, 0.0, saturation)
    own, shared, level = (
        factor.to(optical.device, torch.float32, non_blocking=True)
        for factor in (
            brightness * contrast * saturation,
            brightness * contrast * (1 - saturation),
            brightness * (1 - contrast),
        )
    )
    # element by element: autocast would round a product of matrices to 8 bits of mantissa
    red, green, blue = optical.split(1, dim=1)
    luminance = _LUMINANCE[0] * red + _LUMINANCE[1] * green + _LUMINANCE[2] * blue
    common = luminance * shared + luminance.mean(dim=(2, 3), keepdim=True) * level
    recoloured: Tensor = (optical * own).add_(common).clamp_(0, 255)
    return recoloured
