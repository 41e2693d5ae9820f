"""What a training is seen to do: the tiles it draws, and the detector as it stands at the first step."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm.files import read_json, write_sealed
from osm.transfer.certificate import is_counter
from osm.transfer.export import tensor_sha256

if TYPE_CHECKING:
    from torch import nn

#: Draws that go into the hash of the order: several epochs of a small data set, a part of the first of a large one.
FIRST = 2000


class Draws:
    """The first tiles that a training really read, in their order and with their turns.

    Args:
        most: How many count.

    Attributes:
        count: How many were read so far, at most ``most``.
    """

    def __init__(self, most: int = FIRST) -> None:
        self.most = most
        self.count = 0
        self._digest = hashlib.sha256()

    def note(self, code: int) -> None:
        """Take note of a tile that is being read, ``index × 8 + turn``."""
        if self.count < self.most:
            self._digest.update(f"{code} ".encode())
            self.count += 1

    def to_json(self) -> dict[str, Any]:
        """How many were read, and the SHA-256 of their codes."""
        return {"draws": self.count, "sha256": self._digest.hexdigest()}


class Witness:
    """Stands by a training and writes down what it sees beside what was known before.

    Args:
        path: The file, written at once, at the first step and at the end; None to write nothing.
        known: What it was told to do.
        resume: Whether an interrupted training goes on, whose first step can be looked at no more: what was seen then
            is taken from ``path``.

    Attributes:
        draws: Told of every tile that is read for training.
        parts: What ``at_step0`` saw; None before.
    """

    def __init__(self, path: Path | None = None, known: Mapping[str, Any] | None = None, resume: bool = False) -> None:
        self.path = path
        self.known = dict(known or {})
        self.draws = Draws()
        self.parts: dict[str, Any] | None = None
        self._from_the_start = False
        if resume and path is not None and path.is_file():
            self.parts = read_json(path).get("step0")
        self._write()

    def at_step0(self, model: nn.Module, backbone: Collection[str]) -> None:
        """Look at a detector at the last moment before its first step.

        Args:
            model: In the mode it is trained in.
            backbone: Keys of its backbone's tensors; those are the certificate's.
        """
        self._from_the_start = True
        self.parts = {"beside_the_backbone": {"sha256": digest_rest(model, backbone), **count_rest(model, backbone)}}
        self._write()

    def finish(self, seen: Mapping[str, Any]) -> None:
        """Write it all down at the end of the training.

        Args:
            seen: What else there is to say by then.
        """
        self._write({"order": self.draws.to_json() if self._from_the_start else None, **seen})

    def _write(self, seen: Mapping[str, Any] | None = None) -> None:
        if self.path is not None:
            write_sealed(self.path, {**self.known, "step0": self.parts, **(seen or {})})


def digest_rest(model: nn.Module, backbone: Collection[str]) -> str:
    """SHA-256 over names and values of all tensors but those of a backbone and the counters of batches."""
    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        if key not in backbone and not is_counter(key):
            digest.update(f"{key} {tensor_sha256(value)}\n".encode())
    return digest.hexdigest()


def count_rest(model: nn.Module, backbone: Collection[str]) -> dict[str, int]:
    """What of a detector, its backbone aside, no gradient reaches, and which norms do not learn from the batch."""
    from torch.nn.modules.batchnorm import _NormBase

    holders = {key.rpartition(".")[0] for key in backbone}
    trained = [value for key, value in model.named_parameters() if key not in backbone]
    norms = [one for key, one in model.named_modules() if isinstance(one, _NormBase) and key not in holders]
    return {
        "parameters": sum(value.numel() for value in trained),
        "parameters_frozen": sum(value.numel() for value in trained if not value.requires_grad),
        "norms": len(norms),
        "norms_eval": sum(not one.training for one in norms),
    }
