"""torchvision's ResNets: our keys are theirs. It has no Darknet-53."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osm.transfer.adapters.base import Adapter, load_strict, same_keys

if TYPE_CHECKING:
    from torch import Tensor, nn


def build(architecture: str) -> nn.Module:
    """torchvision's own model without its classifier."""
    from torch import nn
    from torchvision.models import get_model

    model: nn.Module = get_model(architecture, weights=None)
    model.fc = nn.Identity()
    return model


def features(model: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    """The maps of its four layers, strides 4 to 32, by torchvision's own means."""
    from torchvision.models.feature_extraction import create_feature_extractor

    layers = [f"layer{number}" for number in range(1, 5)]
    maps = create_feature_extractor(model, layers)(images)
    return tuple(maps[layer] for layer in layers)


def usage(architecture: str, file: str) -> str:
    """How torchvision's users load the file."""
    if file.endswith(".safetensors"):
        read, state = "from safetensors.torch import load_file\n", f"load_file({file!r})"
    else:
        read, state = "", f"torch.load({file!r}, weights_only=True)"
    return (
        f"import torch\nimport torchvision\n{read}model = torchvision.models.{architecture}()\n"
        "model.fc = torch.nn.Identity()  # there is no classifier in the file\n"
        f"model.load_state_dict({state})"
    )


ADAPTER = Adapter(
    name="torchvision",
    architectures=("resnet18", "resnet50"),
    rename=same_keys,
    build=build,
    load=load_strict,
    features=features,
    usage=usage,
)
