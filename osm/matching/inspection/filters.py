"""The filters of the first layer: what they look like to a SAR image, and which of them do nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import nn

Floats = npt.NDArray[np.float64]

#: A filter, or the gain of its batch norm, below this part of the median one is dead.
DEAD = 1e-3
#: A filter whose response to equal bands is below this part of the largest possible one sees colour alone.
COLOUR_ONLY = 0.1


@dataclass(frozen=True, eq=False)
class Filters:
    """The first convolution of a backbone.

    Attributes:
        weights: (K, 3, h, w).
        gain: (K,) weights of the batch norm behind it; None without one.
        std: What each band (RGB) is divided by before it comes here, in units of 0..255.
    """

    weights: Floats
    gain: Floats | None
    std: tuple[float, ...]

    @property
    def scaled(self) -> Floats:
        """(K, 3, h, w) as they act on values of 0..255, before those are divided by ``std``."""
        return np.asarray(self.weights / np.asarray(self.std)[None, :, None, None])

    @property
    def as_sar(self) -> Floats:
        """(K, h, w) as they act on SAR: its one band is given three times, so that only the sum counts."""
        return np.asarray(self.scaled.sum(axis=1))

    @property
    def norms(self) -> Floats:
        """(K,) Euclidean length of each filter over its three bands."""
        return np.asarray(np.sqrt(np.square(self.weights).sum(axis=(1, 2, 3))))

    @property
    def grey_share(self) -> Floats:
        """(K,) response to equal bands, as part of the largest that a filter of this length can have; in [0, 1].

        1 where the three bands of the filter are equal, 0 where they cancel (a colour filter, blind to SAR).
        """
        whole = np.sqrt(3 * np.square(self.scaled).sum(axis=(1, 2, 3)))
        grey = np.sqrt(np.square(self.as_sar).sum(axis=(1, 2)))
        return np.asarray(np.clip(np.divide(grey, whole, out=np.zeros_like(whole), where=whole > 0), 0, 1))

    @property
    def dead(self) -> npt.NDArray[np.bool_]:
        """(K,) filters that are next to zero beside the median one, or whose batch norm is."""
        silent = _next_to_zero(self.norms)
        return silent if self.gain is None else silent | _next_to_zero(np.abs(self.gain))

    @property
    def colour_only(self) -> npt.NDArray[np.bool_]:
        """(K,) filters that are not dead and give SAR less than ``COLOUR_ONLY`` of what they could."""
        return (self.grey_share < COLOUR_ONLY) & ~self.dead


def first_filters(backbone: nn.Module, std: tuple[float, ...]) -> Filters:
    """The first convolution of a backbone and the batch norm behind it.

    Args:
        backbone: A module whose first convolution has three input channels.
        std: That of its input contract.

    Raises:
        ValueError: It has no such convolution.
    """
    from torch import nn

    modules = list(backbone.modules())
    convolution = next((module for module in modules if isinstance(module, nn.Conv2d)), None)
    if convolution is None or convolution.in_channels != 3:
        raise ValueError("the backbone does not begin with a convolution of three input channels")
    channels = convolution.out_channels
    behind = modules[modules.index(convolution) + 1 :]
    norm = next((module for module in behind if isinstance(module, nn.BatchNorm2d)), None)
    gain = norm.weight.detach().double().cpu().numpy() if norm is not None and norm.num_features == channels else None
    return Filters(convolution.weight.detach().double().cpu().numpy(), gain, std)


def _next_to_zero(values: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray(values <= DEAD * np.median(values))
