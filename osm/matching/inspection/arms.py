"""The arms that are looked at: backbones of one architecture, each from its start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from osm.errors import ConfigError, WeightsError
from osm.transfer.architectures import ARCHITECTURES, architecture, build_backbone
from osm.transfer.card import Card
from osm.transfer.initialise import initialise
from osm.transfer.load import fits, load_backbone
from osm.transfer.weights import read_weights

if TYPE_CHECKING:
    from torch import nn

#: One for each arm, in tables and figures, since paths are long.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Asked:
    """An arm as it was asked for.

    Attributes:
        kind: ``scratch``, ``imagenet``, ``osm`` or ``osd``.
        path: The weights; None from scratch.
        min_coverage: Least fraction of the backbone's tensors that they must fill.
    """

    kind: str
    path: Path | None = None
    min_coverage: float = 0.0


@dataclass(frozen=True, eq=False)
class Arm:
    """An arm with its backbone.

    Attributes:
        letter: Its name in tables and figures.
        label: ``scratch``, ``imagenet (partial)``, or the file as it was given.
        kind: As asked.
        path: The weights.
        sha256: Of that file.
        coverage: Fraction of the backbone's tensors that it fills; 0 from scratch.
        card: What the file says of itself, where it says anything.
        seed: Seed of what stayed random.
        added: Whether nobody asked for it: the random start, to compare a single arm with.
        backbone: In evaluation.
    """

    letter: str
    label: str
    kind: str
    path: Path | None
    sha256: str | None
    coverage: float
    card: Card | None
    seed: int
    added: bool
    backbone: nn.Module

    @property
    def network_beside(self) -> Path | None:
        """``bridge_network.safetensors`` in the folder of an ``osm`` arm's weights."""
        if self.kind != "osm" or self.path is None:
            return None
        path = self.path.parent / "bridge_network.safetensors"
        return path if path.is_file() else None


def find_architecture(paths: Sequence[Path], named: str | None = None) -> str:
    """The one architecture that all weights are of: by their cards, and where they have none by their tensors.

    Args:
        paths: Files of weights; none for arms from scratch alone.
        named: What the user says it is.

    Raises:
        ConfigError: There is neither a file nor a name.
        WeightsError: A file is unreadable or of no known backbone, or two are of different ones.
    """
    if named is not None:
        architecture(named)
    found = {path: _architecture_of(path) for path in paths}
    wanted = named or next(iter(found.values()), None)
    if wanted is None:
        raise ConfigError(
            "--architecture",
            found="no weights that would tell it",
            expected=f"one of {', '.join(ARCHITECTURES)}",
            mend="name it, or give weights",
        )
    for path, name in found.items():
        if name != wanted:
            raise WeightsError(
                path,
                found=f"a backbone of {name}",
                expected=f"one of {wanted}, since stages of different architectures are not the same thing",
                mend="inspect each architecture on its own",
            )
    return wanted


def load_arms(asked: Sequence[Asked], name: str, seed: int, device: str = "cpu") -> list[Arm]:
    """Build the backbones. A single arm with weights gets its random start beside it.

    Args:
        asked: At least one, at most 8.
        name: The architecture.
        seed: Seed of what is random; the random start of a single arm has the seed that its card names, if any.
        device: A device of torch.

    Raises:
        ConfigError: Too many arms.
        WeightsError: Weights are unreadable, do not fit or cover too little.
    """
    if not 1 <= len(asked) <= _MOST:
        raise ConfigError(
            "WEIGHTS", found=f"{len(asked)} arms", expected=f"1 to {_MOST}", mend="inspect some of them at a time"
        )
    arms = [_load(one, name, letter, seed, device) for one, letter in zip(asked, LETTERS, strict=False)]
    if len(arms) == 1 and arms[0].path is not None:
        card = arms[0].card
        begun = card.start.get("seed", seed) if card is not None else seed
        arms.append(_load(Asked("scratch"), name, LETTERS[1], int(begun), device, added=True))
    return arms


_MOST = 8


def _load(asked: Asked, name: str, letter: str, seed: int, device: str, *, added: bool = False) -> Arm:
    backbone = build_backbone(name)
    initialise(backbone, seed)
    label = str(asked.path) if asked.kind in ("osm", "osd") else asked.kind
    sha256, coverage, card = None, 0.0, None
    if asked.path is not None:
        certificate = load_backbone(backbone, asked.path, architecture=name, min_coverage=asked.min_coverage)
        sha256, coverage = certificate.source_sha256, certificate.coverage
        card = read_weights(asked.path).card
        if not certificate.complete:
            label += " (partial)"
    backbone.requires_grad_(False).to(device)
    backbone.eval()  # apart: mmdet's ResNet returns nothing from it
    return Arm(letter, label, asked.kind, asked.path, sha256, coverage, card, seed, added, backbone)


def _architecture_of(path: Path) -> str:
    import torch

    card = read_weights(path).card
    if card is not None:
        return card.architecture
    for name in ARCHITECTURES:
        with torch.device("meta"):
            backbone = build_backbone(name)
        if fits(path, backbone, architecture=name):
            return name
    raise WeightsError(
        path,
        found="tensors of no backbone that is known here, and no card",
        expected=f"weights of one of {', '.join(ARCHITECTURES)}",
        mend="check that this is the right file",
    )
