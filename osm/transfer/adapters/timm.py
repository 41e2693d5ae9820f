"""timm's ResNets, whose keys are torchvision's, and its Darknet-53, which has names and a slope of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from osm.transfer.adapters.base import Adapter, load_strict, require, same_keys

if TYPE_CHECKING:
    from torch import Tensor, nn

_STEM = re.compile(r"conv1\.(.+)")
_DOWN = re.compile(r"conv_res_block([1-5])\.conv\.(.+)")
_BLOCK = re.compile(r"conv_res_block([1-5])\.res([0-7])\.(.+)")
#: Darknet's LeakyReLU. timm builds its Darknet-53 with PyTorch's default of 0.01 unless it is told.
SLOPE = 0.1


def rename(architecture: str, keys: Sequence[str]) -> dict[str, str]:
    """Our keys → timm's.

    Raises:
        KeyError: A key is none of ours.
    """
    if architecture != "darknet53":
        return same_keys(architecture, keys)
    return {key: _darknet_key(key) for key in keys}


def _darknet_key(key: str) -> str:
    if found := _STEM.fullmatch(key):
        return f"stem.conv1.{found[1]}"
    if found := _DOWN.fullmatch(key):
        return f"stages.{int(found[1]) - 1}.conv_down.{found[2]}"
    if found := _BLOCK.fullmatch(key):
        return f"stages.{int(found[1]) - 1}.blocks.{found[2]}.{found[3]}"
    raise KeyError(key)


def build(architecture: str) -> nn.Module:
    """timm's own model without its classifier.

    Raises:
        EnvironmentProblem: timm is not installed.
    """
    timm = require("timm", "timm")
    from torch import nn

    settings = {"act_layer": partial(nn.LeakyReLU, negative_slope=SLOPE)} if architecture == "darknet53" else {}
    model: nn.Module = timm.create_model(architecture, pretrained=False, num_classes=0, **settings)
    return model


def features(model: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    """Its maps, by timm's own means; the first of a ResNet, its stem, is none of ours."""
    maps: list[Tensor] = model.forward_intermediates(images, intermediates_only=True)  # type: ignore[operator]
    return tuple(maps[1:] if hasattr(model, "layer1") else maps)


def usage(architecture: str, file: str) -> str:
    """How timm's users load the file."""
    if architecture != "darknet53":
        return f"import timm\nmodel = timm.create_model({architecture!r}, num_classes=0, checkpoint_path={file!r})"
    return (
        "import functools\nimport timm\nimport torch\n"
        f"leaky = functools.partial(torch.nn.LeakyReLU, negative_slope={SLOPE})  # timm's own default is 0.01\n"
        f"model = timm.create_model('darknet53', num_classes=0, act_layer=leaky, checkpoint_path={file!r})"
    )


ADAPTER = Adapter(
    name="timm",
    architectures=("resnet18", "resnet50", "darknet53"),
    rename=rename,
    build=build,
    load=load_strict,
    features=features,
    usage=usage,
    suffixes=(".safetensors", ".pth"),
    not_imported={
        "darknet53": "timm trains its Darknet-53 with LeakyReLU 0.01 and ImageNet's mean and std, which the file "
        "does not tell; ours has 0.1 and values divided by 255"
    },
)
