"""Reading weights from wherever a user has them: our exports, and plain state dicts of others.

Only tensors are ever read: safetensors, or ``torch.load(weights_only=True)``; and no more of them than a file has
(``osm.compat.pickles``, ``osm.transfer.header``).
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm.compat.pickles import check_pickles
from osm.errors import WeightsError
from osm.transfer.card import Card
from osm.transfer.export import CARD_KEY, card_of, read_safetensors

if TYPE_CHECKING:
    import torch

#: Prefixes under which frameworks store a backbone (mmdet detectors, DataParallel).
PREFIXES = ("module.backbone.", "backbone.", "module.")
#: Classifier heads of published backbones: known to be of no use here.
HEADS = ("fc.", "head.", "classifier.")


@dataclass(frozen=True)
class SourceWeights:
    """Backbone tensors found in a file.

    Attributes:
        path: The file.
        tensors: Key with the prefix removed → tensor.
        source_keys: Key with the prefix removed → key as it stands in the file.
        unused: Keys of the file that belong to no backbone (heads, necks, optimiser).
        card: The card, for exports of ours.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    source_keys: dict[str, str]
    unused: tuple[str, ...]
    card: Card | None


def backbone_keys(keys: list[str]) -> tuple[dict[str, str], list[str]]:
    """Map keys of a file to keys of a backbone.

    Args:
        keys: Keys as they stand in the file.

    Returns:
        Backbone key → key in the file, and the keys that belong to no backbone. The first prefix of
        ``PREFIXES`` that occurs decides; with none, all keys but those of a classifier head count.
    """
    for prefix in PREFIXES:
        chosen = {key[len(prefix) :]: key for key in keys if key.startswith(prefix)}
        if chosen:
            break
    else:
        chosen = {key: key for key in keys}
    mapped = {short: key for short, key in chosen.items() if not short.startswith(HEADS)}
    used = set(mapped.values())
    return mapped, [key for key in keys if key not in used]


def read_weights(path: str | Path) -> SourceWeights:
    """Read the backbone tensors of a ``.safetensors`` or a PyTorch file.

    Raises:
        WeightsError: The file is missing, damaged, holds code, or holds no tensors.
    """
    source = Path(path)
    if not source.is_file():
        found = "a folder" if source.is_dir() else "no such file"
        raise WeightsError(source, found=found, expected="a file of weights", mend="check the path")
    card = None
    if source.suffix == ".safetensors":
        raw, metadata = read_safetensors(source)
        if CARD_KEY in metadata:
            card = card_of(source, metadata)
            if card.matching:
                raise WeightsError(
                    source,
                    found="both branches of a bridge network",
                    expected="one backbone",
                    mend="give sar_backbone.safetensors, which lies beside it",
                )
    else:
        raw = _read_pickle(source)
    mapped, unused = backbone_keys(list(raw))
    if not mapped:
        raise WeightsError(
            source,
            found=f"{len(raw)} tensors, none of a backbone",
            expected="a state dict of a backbone or of a detector",
            mend="check that this is the right file",
        )
    return SourceWeights(
        path=source,
        tensors={short: raw[key] for short, key in mapped.items()},
        source_keys=mapped,
        unused=tuple(unused),
        card=card,
    )


def _read_pickle(path: Path) -> dict[str, torch.Tensor]:
    import torch

    check_pickles(path)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            path,
            found="a pickle that is damaged or holds more than tensors, as the checkpoints of a training do",
            expected="a plain state dict (nothing else is read, since a pickle can run code)",
            mend="give the sar_backbone.safetensors of a finished run, or load the file where you trust it and save "
            "only its state_dict()",
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise WeightsError(
            path,
            found=f"an unreadable file ({str(error).splitlines()[0][:120] if str(error) else type(error).__name__})",
            expected="a PyTorch state dict",
            mend="copy or download the file again",
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise WeightsError(path, found=f"a {type(content).__name__}", expected="a state dict", mend="save state_dict()")
    return {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
