"""Writing and reading what a training leaves behind: safetensors with a card and a digest inside, whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from osm.errors import WeightsError
from osm.files import atomic_path
from osm.transfer.card import Card, card_from_json
from osm.transfer.header import check_header

if TYPE_CHECKING:
    import torch
    from torch import nn

CARD_KEY = "osm.card"
DIGEST_KEY = "osm.sha256"
#: SHA-256 over all other texts of a file, its card and the digest of its tensors included.
TEXTS_KEY = "osm.texts_sha256"
#: Texts of files from before there was ``TEXTS_KEY``; any other name in one of them is a damaged name.
_EARLIER_KEYS = {CARD_KEY, DIGEST_KEY, "osm.index", "osm.export", "format"}


def tensor_sha256(tensor: torch.Tensor) -> str:
    """SHA-256 of a tensor's values in row-major order, in hexadecimal."""
    import torch

    array = tensor.detach().cpu().contiguous()
    return hashlib.sha256(array.reshape(-1).view(torch.uint8).numpy().data).hexdigest()


def tensors_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, shapes, types and values of a set of tensors, whatever their order."""
    digest = hashlib.sha256()
    # hashlib lets go of the interpreter, so that each core hashes tensors of its own; the largest begin
    order = sorted(tensors, key=lambda name: -tensors[name].nbytes)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        of = dict(zip(order, pool.map(lambda name: tensor_sha256(tensors[name]), order), strict=True))
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)} {tensors[name].dtype} {of[name]}\n".encode())
    return digest.hexdigest()


def export_backbone(path: str | Path, backbone: nn.Module, card: Card) -> None:
    """Write a backbone's parameters and buffers with their card, atomically.

    Args:
        path: The ``.safetensors`` file to write.
        backbone: The module; floating-point tensors are stored as float32.
        card: What travels with it.
    """
    export_tensors(path, backbone.state_dict(), card)


def export_tensors(path: str | Path, tensors: Mapping[str, torch.Tensor], card: Card) -> None:
    """Write named tensors with a card, atomically; those of floating point as float32."""
    stored = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    write_safetensors(path, stored, {CARD_KEY: card.to_json()})


def write_safetensors(path: str | Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors as they are, with texts and the digests that ``read_safetensors`` looks at, atomically."""
    from safetensors.torch import save_file

    apart = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        texts = {**metadata, DIGEST_KEY: tensors_sha256(apart), "format": "pt"}
        save_file(apart, temporary, metadata={**texts, TEXTS_KEY: _texts_sha256(texts)})


def read_safetensors(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of any safetensors file; what ``write_safetensors`` wrote is checked to the last byte.

    Raises:
        WeightsError: The file is missing, cut short, no safetensors file, claims more than it has, or is not what
            was written.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise WeightsError(path, found="no such file", expected="exported weights", mend="check the path")
    check_header(path)
    try:
        with safe_open(path, framework="pt") as stream:
            metadata: dict[str, str] = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsError(
            path,
            found=f"no whole safetensors file ({error})",
            expected="exported weights",
            mend="export or copy the file again",
        ) from error
    if TEXTS_KEY in metadata:
        _check_texts(path, metadata)
    elif DIGEST_KEY in metadata and (strange := sorted(set(metadata) - _EARLIER_KEYS)):
        raise _damaged(path, f"an entry {strange[0]!r}", "the entries that were written")
    if TEXTS_KEY in metadata or DIGEST_KEY in metadata:
        check_digest(path, tensors, metadata)
    return tensors, metadata


def read_export(path: str | Path) -> tuple[dict[str, torch.Tensor], Card]:
    """Tensors and card of an export, checked against the digest in the file.

    Raises:
        WeightsError: The file is broken, has no card, or its tensors are not those that were exported.
    """
    tensors, metadata = read_safetensors(path)
    return tensors, card_of(path, metadata)


def read_card(path: str | Path) -> Card | None:
    """The card of a safetensors file, without its tensors; None where it has none, or is another kind of file.

    Raises:
        WeightsError: The file is broken, or its card is not what was written.
    """
    from safetensors import SafetensorError, safe_open

    if Path(path).suffix != ".safetensors" or not Path(path).is_file():
        return None
    check_header(path)
    try:
        with safe_open(path, framework="pt") as stream:
            metadata: dict[str, str] = stream.metadata() or {}
    except SafetensorError as error:
        raise _damaged(path, f"no whole safetensors file ({error})", "exported weights") from error
    if TEXTS_KEY in metadata:
        _check_texts(path, metadata)
    return card_of(path, metadata) if CARD_KEY in metadata else None


def card_of(path: str | Path, metadata: Mapping[str, str]) -> Card:
    """The card among the texts that ``read_safetensors`` gave.

    Raises:
        WeightsError: There is none, or it is broken.
    """
    if CARD_KEY not in metadata or DIGEST_KEY not in metadata:
        raise WeightsError(
            path,
            found="safetensors without a card",
            expected="weights exported by osm",
            mend="name the file as imagenet:PATH if it holds plain weights, or pretrain and export again",
        )
    return card_from_json(metadata[CARD_KEY], str(path))


def check_digest(path: str | Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Make sure that tensors are those that ``write_safetensors`` wrote.

    Raises:
        WeightsError: They are not.
    """
    found, expected = tensors_sha256(tensors), metadata.get(DIGEST_KEY, "")
    if found != expected:
        raise _damaged(path, f"tensors with SHA-256 {found[:12]}…", f"{expected[:12]}… as exported")


def require_digest(path: str | Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Refuse a file without a digest; where there is one, ``read_safetensors`` has checked it.

    Raises:
        WeightsError: There is none.
    """
    if TEXTS_KEY not in metadata and DIGEST_KEY not in metadata:
        check_digest(path, tensors, metadata)


def _texts_sha256(texts: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


def _check_texts(path: str | Path, metadata: Mapping[str, str]) -> None:
    found = _texts_sha256({key: text for key, text in metadata.items() if key != TEXTS_KEY})
    if found != metadata[TEXTS_KEY]:
        raise _damaged(path, f"a card or other texts with SHA-256 {found[:12]}…", f"{metadata[TEXTS_KEY][:12]}…")


def _damaged(path: str | Path, found: str, expected: str) -> WeightsError:
    return WeightsError(
        path, found=found, expected=expected, mend="the file was changed or damaged: copy or export it again"
    )
