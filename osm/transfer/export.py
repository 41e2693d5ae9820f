"""Writing and reading exported backbones: safetensors with a card inside, whole or absent."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from osm.errors import WeightsError
from osm.files import atomic_path
from osm.transfer.card import Card, card_from_json

if TYPE_CHECKING:
    import torch
    from torch import nn

CARD_KEY = "osm.card"
DIGEST_KEY = "osm.sha256"


def tensor_sha256(tensor: torch.Tensor) -> str:
    """SHA-256 of a tensor's values in row-major order, in hexadecimal."""
    import torch

    array = tensor.detach().cpu().contiguous()
    return hashlib.sha256(array.reshape(-1).view(torch.uint8).numpy().data).hexdigest()


def tensors_sha256(tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 over names, shapes, types and values of a set of tensors, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} {tensor_sha256(tensor)}\n".encode())
    return digest.hexdigest()


def export_backbone(path: str | Path, backbone: nn.Module, card: Card) -> None:
    """Write a backbone's parameters and buffers with their card, atomically.

    Args:
        path: The ``.safetensors`` file to write.
        backbone: The module; floating-point tensors are stored as float32.
        card: What travels with it.
    """
    from safetensors.torch import save_file

    tensors = {
        name: (value.float() if value.is_floating_point() else value).detach().cpu().contiguous().clone()
        for name, value in backbone.state_dict().items()
    }
    metadata = {CARD_KEY: card.to_json(), DIGEST_KEY: tensors_sha256(tensors), "format": "pt"}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def read_safetensors(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of any safetensors file.

    Raises:
        WeightsError: The file is missing, cut short or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise WeightsError(path, found="no such file", expected="exported weights", mend="check the path")
    try:
        with safe_open(path, framework="pt") as stream:
            return {name: stream.get_tensor(name) for name in stream.keys()}, stream.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsError(
            path,
            found=f"no whole safetensors file ({error})",
            expected="exported weights",
            mend="export or copy the file again",
        ) from error


def read_export(path: str | Path) -> tuple[dict[str, torch.Tensor], Card]:
    """Tensors and card of an exported backbone, checked against the digest in the file.

    Raises:
        WeightsError: The file is broken, has no card, or its tensors are not those that were exported.
    """
    tensors, metadata = read_safetensors(path)
    if CARD_KEY not in metadata or DIGEST_KEY not in metadata:
        raise WeightsError(
            path,
            found="safetensors without a card",
            expected="a backbone exported by osm",
            mend="name the file as imagenet:PATH if it holds plain weights, or pretrain and export again",
        )
    found, expected = tensors_sha256(tensors), metadata[DIGEST_KEY]
    if found != expected:
        raise WeightsError(
            path,
            found=f"tensors with SHA-256 {found[:12]}…",
            expected=f"{expected[:12]}… as exported",
            mend="the file was changed or damaged: copy or export it again",
        )
    return tensors, card_from_json(metadata[CARD_KEY], str(path))
