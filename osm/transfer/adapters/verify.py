"""The proof that a framework's network computes what ours does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from osm.errors import WeightsError
from osm.transfer.adapters.base import Adapter
from osm.transfer.architectures import ARCHITECTURES, build_backbone

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Largest difference of any value of any map, float32.
TOLERANCE = 1e-5
#: Side of the image that both are shown: the deepest map is 2 × 2.
SIZE_PX = 64
SEED = 0


def every_map(architecture: str) -> nn.Module:
    """Our backbone, giving the map of every stage."""
    return build_backbone(architecture, range(len(ARCHITECTURES[architecture].channels)))


def probe_image(architecture: str) -> Tensor:
    """Noise of 8 bits, normalised as the backbone is fed: (1, 3, ``SIZE_PX``, ``SIZE_PX``), always the same."""
    import torch

    known = ARCHITECTURES[architecture]
    noise = torch.rand(1, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(SEED))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (known.mean, known.std))
    return (255 * noise - mean) / std


def verify(architecture: str, ours: nn.Module, theirs: nn.Module, known: Adapter, where: str | Path) -> float:
    """Compare the maps of two networks in evaluation mode on the same image.

    Args:
        architecture: Of both.
        ours: What ``every_map`` built, filled.
        theirs: What ``known.build`` built, filled.
        known: The adapter, for their maps.
        where: The file they were filled from, for the error.

    Returns:
        The largest difference of any value.

    Raises:
        WeightsError: It is above ``TOLERANCE`` or no number, or their maps are not at our strides.
    """
    import torch

    # mmdet's train() and eval() return None
    ours.eval()
    theirs.eval()
    image = probe_image(architecture)
    with torch.no_grad():
        expected, found = tuple(ours(image)), known.features(theirs, image)
    shapes = [tuple(each.shape) for each in found]
    wanted = [tuple(each.shape) for each in expected[len(expected) - len(found) :]]
    if not found or shapes != wanted:
        raise WeightsError(
            where,
            found=f"maps {shapes} of {architecture} in {known.name}",
            expected=f"{wanted}",
            mend="report this as a defect of the adapter",
        )
    pairs = zip(found, expected[len(expected) - len(found) :], strict=True)
    # stacked, since Python's max() may pass over NaN
    largest = float(torch.stack([(mine - other).abs().max() for mine, other in pairs]).max())
    if not largest <= TOLERANCE:
        raise WeightsError(
            where,
            found=f"features in {known.name} that differ from ours by {largest:.2g}",
            expected=f"at most {TOLERANCE:g} in float32",
            mend="the weights, or the installed version of the framework, are not what they seem: see `osm doctor`",
        )
    return largest
