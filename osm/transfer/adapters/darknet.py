"""Darknet's own files of Darknet-53: ``darknet53.conv.74``, ``darknet53.weights``, and what YOLOv3 begins with.

A file is a header and then bare numbers, layer after layer, so that nothing in it says which network it is of: sizes
and the sign of variances have to tell. For the proof there is a second Darknet-53 here, laid out as Darknet's
``darknet53.cfg`` does, a flat list of convolutions with shortcuts, apart from the one that we train.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from osm.errors import WeightsError
from osm.transfer.adapters.base import Adapter, load_strict
from osm.transfer.weights import SourceWeights

#: Residual blocks of each stage, and the channels they give.
STAGES = ((1, 64), (2, 128), (8, 256), (8, 512), (4, 1024))
#: What a convolution with batch norm is stored as, in this order: four rows of a value a filter, then the filters.
ROWS = ("bn.bias", "bn.weight", "bn.running_mean", "bn.running_var")
FILTERS = "conv.weight"
#: Versions that Darknet has had, generously; what is beyond is no header.
LARGEST_VERSION = 99


@dataclass(frozen=True)
class Convolution:
    """One convolution of Darknet-53 with its batch norm.

    Attributes:
        ours: The module in our backbone.
        channels: Of its input.
        filters: How many, the channels of its output.
        size_px: Side of a filter.
        stride: 1 or 2.
        shortcut: Whether the input of the convolution before it is added to its output.
        ends: Whether its output (with the shortcut) is the last of its stride, a map of our backbone's.
    """

    ours: str
    channels: int
    filters: int
    size_px: int
    stride: int = 1
    shortcut: bool = False
    ends: bool = False

    @property
    def values(self) -> int:
        """Numbers in the file."""
        return self.filters * (len(ROWS) + self.channels * self.size_px**2)


def convolutions() -> Iterator[Convolution]:
    """The 52 convolutions of the backbone in the order of the file."""
    yield Convolution("conv1", 3, 32, 3, ends=True)
    for stage, (blocks, width) in enumerate(STAGES, 1):
        module = f"conv_res_block{stage}"
        yield Convolution(f"{module}.conv", width // 2, width, 3, stride=2)
        for block in range(blocks):
            yield Convolution(f"{module}.res{block}.conv1", width, width // 2, 1)
            yield Convolution(
                f"{module}.res{block}.conv2", width // 2, width, 3, shortcut=True, ends=block == blocks - 1
            )


def rename(architecture: str, keys: Sequence[str]) -> dict[str, str]:
    """Our keys → number of the convolution in the file, from 0, and the part of it.

    Raises:
        KeyError: A key is none of ours.
    """
    number = {convolution.ours: index for index, convolution in enumerate(convolutions())}
    renamed = {}
    for key in keys:
        module, kind, part = key.rsplit(".", 2) if key.count(".") > 1 else ("", "", key)
        renamed[key] = f"convolutions.{number[module]}.{kind}.{part}"
    return renamed


class DarknetLayers(nn.Module):
    """Darknet-53 without its classifier, layer after layer as ``darknet53.cfg`` lists them."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = tuple(convolutions())
        self.convolutions = nn.ModuleList(
            nn.ModuleDict(
                {
                    "conv": nn.Conv2d(
                        layer.channels,
                        layer.filters,
                        layer.size_px,
                        stride=layer.stride,
                        padding=layer.size_px // 2,
                        bias=False,
                    ),
                    # PyTorch's epsilon is that of Darknet's CUDA kernels
                    "bn": nn.BatchNorm2d(layer.filters),
                }
            )
            for layer in self.plan
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W) → the last map of each stride, 1 to 32."""
        maps = []
        outputs = [images]
        for layer, parts in zip(self.plan, self.convolutions, strict=True):
            output = nn.functional.leaky_relu(parts["bn"](parts["conv"](outputs[-1])), 0.1)  # type: ignore[index]
            if layer.shortcut:
                output = output + outputs[-2]
            outputs = [outputs[-1], output]
            if layer.ends:
                maps.append(output)
        return tuple(maps)


def build(architecture: str) -> nn.Module:
    """Darknet-53 as Darknet lists it."""
    return DarknetLayers()


def features(model: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    """Its maps."""
    maps: tuple[Tensor, ...] = model(images)
    return maps


def read(path: Path) -> SourceWeights:
    """Read the backbone of a file of Darknet's; what follows it (a classifier, YOLOv3's head) is left.

    Nothing is allocated before the size of the file was found to suffice.

    Raises:
        WeightsError: The file is missing, too short, no file of Darknet's, or of another network.
    """
    if not path.is_file():
        raise WeightsError(path, found="no such file", expected="a file of Darknet's", mend="check the path")
    header_bytes = _header_bytes(path)
    plan = tuple(convolutions())
    needed = sum(convolution.values for convolution in plan)
    present, odd = divmod(max(0, path.stat().st_size - header_bytes), 4)
    if odd or present < needed:
        raise WeightsError(
            path,
            found=f"{present:,} values" + (f" and {odd} odd bytes" if odd else ""),
            expected=f"at least the {needed:,} of Darknet-53's 52 convolutions",
            mend="the file was cut short or is of another network: copy or download it again",
        )
    values = torch.from_numpy(np.fromfile(path, "<f4", needed, offset=header_bytes).astype(np.float32, copy=False))
    tensors: dict[str, Tensor] = {}
    begin = 0
    for number, convolution in enumerate(plan):
        filters = convolution.filters
        for part in ROWS:
            tensors[f"convolutions.{number}.{part}"] = values[begin : begin + filters]
            begin += filters
        end = begin + convolution.values - len(ROWS) * filters
        shape = (filters, convolution.channels, convolution.size_px, convolution.size_px)
        tensors[f"convolutions.{number}.{FILTERS}"] = values[begin:end].reshape(shape)
        begin = end
        if not bool((tensors[f"convolutions.{number}.bn.running_var"] >= 0).all()):
            raise WeightsError(
                path,
                found=f"variances below zero or NaN at convolution {number + 1} of 52",
                expected="the layers of Darknet-53",
                mend="the file is damaged or of another network: give darknet53.conv.74 or yolov3.weights",
            )
    rest = present - needed
    return SourceWeights(
        path=path,
        tensors=tensors,
        source_keys={key: key for key in tensors},
        unused=(f"{rest:,} values behind the backbone",) if rest else (),
        card=None,
    )


def _header_bytes(path: Path) -> int:
    """Length of the header: three int32 of version, and the images seen as int64, before version 0.2 as int32."""
    version = np.fromfile(path, "<i4", 3)
    if len(version) < 3 or not all(0 <= number <= LARGEST_VERSION for number in version[:2].tolist()):
        raise WeightsError(
            path,
            found="no header of Darknet's",
            expected="a version below 100, the images seen, and float32 values",
            mend="give darknet53.conv.74 or yolov3.weights as Darknet writes them",
        )
    major, minor = (int(number) for number in version[:2])
    return 12 + (8 if 10 * major + minor >= 2 else 4)


ADAPTER = Adapter(
    name="darknet",
    architectures=("darknet53",),
    rename=rename,
    build=build,
    load=load_strict,
    features=features,
    suffixes=(".weights",),
    read=read,
)
