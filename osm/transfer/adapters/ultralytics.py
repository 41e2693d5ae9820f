"""ultralytics: the backbone as the first layers of a model that is built from one of our YAML files.

ultralytics is AGPL-3.0: an optional extra, imported where it is used. Its own "darknet53" is another network (3×3+3×3
blocks, SiLU, 68.0 M parameters). It gives every batch norm eps 1e-3 and momentum 0.03; a backbone of ours keeps the
1e-5 and 0.1 it was trained with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm.compat.ultralytics_scope import ultralytics_scope
from osm.errors import WeightsError
from osm.transfer.adapters.base import Adapter, load_strict

if TYPE_CHECKING:
    import torch
    from torch import nn

MODELS = Path(__file__).parents[1] / "ultralytics_models"
YAML_FILES = {
    "darknet53": MODELS / "yolov3u_darknet53.yaml",
    "darknet-narrow": MODELS / "yolov3u_darknet-narrow.yaml",
    "resnet18": MODELS / "resnet18.yaml",
    "resnet50": MODELS / "resnet50.yaml",
}
#: Residual blocks a stage: ultralytics numbers the blocks of a stage only where there are several.
BLOCKS = {"darknet53": (1, 2, 8, 8, 4), "darknet-narrow": (1, 1, 2, 2, 1)}
#: Of our backbones, whatever the framework: mmdet's and torchvision's default.
NORM_EPS, NORM_MOMENTUM = 1e-5, 0.1

_DOWN = re.compile(r"conv_res_block(\d)\.conv\.(.+)")
_BLOCK = re.compile(r"conv_res_block(\d)\.res(\d)\.conv(\d)\.(.+)")


def rename(architecture: str, keys: Sequence[str]) -> dict[str, str]:
    """Our key → the key in the model of the YAML file.

    Raises:
        WeightsError: A key that the architecture does not have.
    """
    name = _darknet_key if architecture in BLOCKS else _resnet_key
    return {key: f"model.{name(architecture, key)}" for key in keys}


def _darknet_key(architecture: str, key: str) -> str:
    if key.startswith("conv1."):
        return key.replace("conv1", "0", 1)
    if found := _DOWN.fullmatch(key):
        stage, rest = int(found[1]), found[2]
        return f"{2 * stage - 1}.{rest}"
    if found := _BLOCK.fullmatch(key):
        stage, block, conv, rest = int(found[1]), found[2], found[3], found[4]
        number = f"{block}." if BLOCKS[architecture][stage - 1] > 1 else ""
        return f"{2 * stage}.{number}cv{conv}.{rest}"
    raise _unknown(architecture, key)


def _resnet_key(architecture: str, key: str) -> str:
    # the places of torchvision's child modules: conv1, bn1, relu, maxpool, layer1 to layer4
    places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    child, _, rest = key.partition(".")
    if child not in places:
        raise _unknown(architecture, key)
    return f"0.m.{places[child]}.{rest}"


def _unknown(architecture: str, key: str) -> WeightsError:
    return WeightsError(
        key, found="no place for this tensor", expected=f"a key of {architecture}", mend="report this as a defect"
    )


def model_config(architecture: str) -> dict[str, Any]:
    """The content of the YAML file, as ultralytics' models take it."""
    import yaml

    config: dict[str, Any] = yaml.safe_load(YAML_FILES[architecture].read_text(encoding="utf-8"))
    return config


def settle_backbone(model: nn.Module, architecture: str) -> nn.Sequential:
    """Give the backbone of a freshly built model the batch norm of our backbones.

    Args:
        model: ultralytics' model of ``model_config``; changed in place.
        architecture: Which.

    Returns:
        Its backbone's layers.
    """
    from torch import nn

    layers: Any = model.model
    backbone: nn.Sequential = layers[: len(model_config(architecture)["backbone"])]
    for layer in backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps, layer.momentum = NORM_EPS, NORM_MOMENTUM
    return backbone


def build(architecture: str) -> nn.Module:
    """ultralytics' model of our YAML file without neck and head, at random weights.

    Raises:
        EnvironmentProblem: ultralytics is not installed.
    """
    with ultralytics_scope():
        from ultralytics.nn.tasks import DetectionModel

        model: nn.Module = DetectionModel(model_config(architecture), ch=3, verbose=False)
    model.model = settle_backbone(model, architecture)
    return model


def load(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Fill a model of ``build``; strict.

    Raises:
        WeightsError: A tensor too many, too few or of another shape.
    """
    load_strict(model, tensors)


def features(model: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Maps of a model of ``build``, shallow to deep: those of our backbone at all its levels.

    Args:
        model: The model.
        images: (N, 3, H, W), normalised.
    """
    maps: Any = images
    found = []
    layers: Any = model.model
    for layer in layers:
        maps = layer(maps)
        found.append(maps)
    if isinstance(maps, list):
        # a torchvision model gives its input and the output of every child module
        return tuple(maps[5:])
    return tuple(found[::2])


def usage(architecture: str, file: str) -> str:
    """How ultralytics' users load the file."""
    if file.endswith(".safetensors"):
        read, state = "from safetensors.torch import load_file\n", f"load_file({file!r})"
    else:
        read, state = "import torch\n", f"torch.load({file!r}, weights_only=True)"
    return (
        f"{read}from osm.transfer.adapters.ultralytics import YAML_FILES, settle_backbone\n"
        "from ultralytics.nn.tasks import DetectionModel  # AGPL-3.0\n"
        f"model = DetectionModel(str(YAML_FILES[{architecture!r}]), nc=1)\n"
        f"settle_backbone(model, {architecture!r})  # batch norm with eps 1e-5, as the weights were trained\n"
        f"found = model.load_state_dict({state}, strict=False)\n"
        "assert not found.unexpected_keys  # neck and head are not in the file\n"
        "# YOLO(...).train() would build the model anew and drop them: train with a Trainer whose get_model returns it"
    )


ADAPTER = Adapter(
    name="ultralytics",
    architectures=tuple(YAML_FILES),
    rename=rename,
    build=build,
    load=load,
    features=features,
    usage=usage,
)
