"""YOLOv3u: our Darknet under ultralytics' anchor-free head, and its backbone as ours again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osm.compat.ultralytics_scope import ultralytics_scope
from osm.transfer.adapters.base import load_strict
from osm.transfer.adapters.ultralytics import model_config, rename, settle_backbone
from osm.transfer.architectures import build_backbone

if TYPE_CHECKING:
    from torch import nn


class ExactLoss:
    """Mixed into ultralytics' model: convolutions in the recipe's precision, the loss in float32.

    bfloat16 has eight bits for a number, and the loss computes with coordinates. ultralytics' own mixed precision
    refuses CPUs.

    Attributes:
        bfloat16: Whether the forward pass of a training step runs under autocast.
    """

    bfloat16 = False

    def loss(self, batch: dict[str, Any], preds: Any = None) -> Any:
        """See ultralytics' ``BaseModel.loss``."""
        import torch

        model: Any = super()
        device = batch["img"].device.type
        if preds is None:
            with torch.autocast(device, dtype=torch.bfloat16, enabled=self.bfloat16):
                preds = model.forward(batch["img"])
        with torch.autocast(device, enabled=False):
            return model.loss(batch, preds)


class ExactHead:
    """Mixed into ultralytics' head: it turns maps into coordinates, and does so in float32."""

    def forward(self, x: list[Any]) -> Any:
        """See ultralytics' ``Detect.forward``."""
        import torch

        head: Any = super()
        with torch.autocast(x[0].device.type, enabled=False):
            return head.forward([level.float() for level in x])


def build_network(architecture: str, seed: int, *, bfloat16: bool = False) -> nn.Module:
    """The network at random weights; those of neck and head by ultralytics' scheme, and a function of the seed alone.

    Args:
        architecture: Of the backbone.
        seed: Seed of the draw.
        bfloat16: Whether its convolutions are trained in bfloat16.

    Returns:
        ultralytics' ``DetectionModel`` for one class, in training mode.
    """
    with ultralytics_scope():
        import torch
        from ultralytics.nn.modules import Detect
        from ultralytics.nn.tasks import DetectionModel

        kind: Any = type("YOLOv3u", (ExactLoss, DetectionModel), {"bfloat16": bfloat16})
        torch.manual_seed(seed)
        network: nn.Module = kind(model_config(architecture), ch=3, nc=1, verbose=False)
        layers: Any = network.model
        # the class and not the instance: a copy of the network (its moving average) must have a head of its own
        layers[-1].__class__ = type("ExactDetect", (ExactHead, Detect), {})
    settle_backbone(network, architecture)
    return network


def fill_backbone(network: nn.Module, backbone: nn.Module, architecture: str) -> None:
    """Copy a backbone of ours into the network.

    Raises:
        WeightsError: A tensor has no place, or a place no tensor.
    """
    tensors = backbone.state_dict()
    names = rename(architecture, list(tensors))
    target = settle_backbone(network, architecture)
    load_strict(target, {names[key].removeprefix("model."): value for key, value in tensors.items()})


def backbone_of(network: nn.Module, architecture: str) -> nn.Module:
    """The network's backbone as ours: a copy with the same values, frozen and in training mode where that one is.

    The certificate, which knows our keys, can be held against it.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        ours = build_backbone(architecture)
    own = ours.state_dict(keep_vars=True)
    names = rename(architecture, list(own))
    theirs = network.state_dict(keep_vars=True)
    load_strict(ours, {key: theirs[names[key]] for key in own})
    for key, value in own.items():
        value.requires_grad_(theirs[names[key]].requires_grad)
    modules = dict(network.named_modules())
    for key in own:
        # a key without its last part is the module that holds the tensor
        holder = modules[names[key].rpartition(".")[0]]
        ours.get_submodule(key.rpartition(".")[0]).train(holder.training)
    return ours
