"""The input contract: whether a network is fed what its weights were trained on, and what is done where it is not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from osm.errors import WeightsError
from osm.transfer.card import OSD, Card, InputContract

#: Said of weights without a card, whose contract nobody wrote down.
NO_CARD = "unknown (no card; ImageNet photographs, where these are published weights)"
#: Said of weights that came from another framework's file: their card is ours, their training is not.
IMPORTED = "unknown (imported from {}; ImageNet photographs, where these are published weights)"
#: Said of a backbone that no file filled.
RANDOM = "none (random start)"
CARD = "card"

#: The option that lets a mismatch pass.
ALLOW = "--allow-contract-mismatch"
_EQUAL = ("mean", "std", "bands", "replicate_to", "bit_depth")


@dataclass(frozen=True)
class Mismatch:
    """One entry of two contracts that does not agree.

    Attributes:
        entry: Name of the entry of ``InputContract``.
        source: What the weights were trained on.
        target: What the network is fed.
    """

    entry: str
    source: Any
    target: Any

    @property
    def line(self) -> str:
        """The mismatch in a few words."""
        return f"{_WORDS[self.entry]} {_shown(self.source)} where {_shown(self.target)} is fed"


@dataclass(frozen=True)
class ContractCheck:
    """What weights were trained on, beside what they are fed now.

    Attributes:
        source: Contract on the card of the weights; None where there is none.
        source_said: Where ``source`` comes from, or why there is none: "card" or a sentence.
        target: What the network is fed.
        mismatches: What does not agree and stops a run that was not told otherwise.
        notes: What differs and is no reason to stop.
        allowed: Whether the user let the mismatches pass.
    """

    source: InputContract | None
    source_said: str
    target: InputContract
    mismatches: tuple[Mismatch, ...] = ()
    notes: tuple[str, ...] = ()
    allowed: bool = False

    @property
    def agree(self) -> bool | None:
        """Whether the contracts agree; None where that of the source is unknown."""
        return None if self.source is None else not self.mismatches

    def to_json(self) -> dict[str, Any]:
        """The content of ``contract`` in a certificate."""
        return {
            "source": asdict(self.source) if self.source else None,
            "source_said": self.source_said,
            "target": asdict(self.target),
            "agree": self.agree,
            "mismatches": [asdict(mismatch) for mismatch in self.mismatches],
            "notes": list(self.notes),
            "allowed": self.allowed,
        }


def compare_contracts(
    source: InputContract, target: InputContract, *, colours_given_up: bool = False
) -> tuple[tuple[Mismatch, ...], tuple[str, ...]]:
    """What of two contracts does not agree, and what merely differs.

    Mean, std, bands, channels and bit depth are what a network is fed numerically: they must be equal. A radiometry
    is how a scene came to that bit depth. All that end in it are fed alike, and few data sets are mapped alike: 8-bit
    Sentinel-1 scenes are as delivered (``none``: whoever made them chose, and did not say), AIR-SARShip-1.0 has
    16 bits and takes a percentile. So another radiometry is a note, with one exception. ``max``, ``minmax``,
    ``percentile`` and ``linear`` are affine in the values of the scene and differ by a gain and an offset, which the
    first layer and its batch norm take up; ``log`` bends the values, which no gain undoes. Where both are
    known and just one of them is ``log``, the network is fed something else than what it was trained on, and that
    is a mismatch.

    Args:
        source: What the weights were trained on.
        target: What the network is fed.
        colours_given_up: Whether the weights are meant to go from images in colours to SAR: three bands in training
            where one is now given three times are then a note. Mean and std have to be equal all the same.
    """
    mismatches = [
        Mismatch(entry, getattr(source, entry), getattr(target, entry))
        for entry in _EQUAL
        if getattr(source, entry) != getattr(target, entry)
    ]
    notes = []
    bands = Mismatch("bands", 3, 1)
    if colours_given_up and bands in mismatches and source.replicate_to == target.replicate_to == 3:
        mismatches.remove(bands)
        notes.append("trained on the 3 bands of images in colours, fed 1 band of SAR given 3 times")
    if source.radiometry != target.radiometry:
        kinds = [text.partition(":")[0] for text in (source.radiometry, target.radiometry)]
        if "none" not in kinds and kinds.count("log") == 1:
            mismatches.append(Mismatch("radiometry", source.radiometry, target.radiometry))
        else:
            unknown = "; none means as delivered, by a mapping that nobody wrote down" if "none" in kinds else ""
            notes.append(
                f"radiometry {source.radiometry} in training, {target.radiometry} now, both to "
                f"{target.bit_depth} bits{unknown}"
            )
    return tuple(mismatches), tuple(notes)


def check_contract(path: str | Path, card: Card | None, target: InputContract, *, allowed: bool) -> ContractCheck:
    """Hold what a network is fed against the card of its weights.

    Args:
        path: The file of weights, for the error.
        card: Its card, where it has one.
        target: What the network is fed.
        allowed: Whether the user lets mismatches pass.

    Raises:
        WeightsError: The contracts do not agree, and nobody said that this may be.
    """
    if card is None:
        return ContractCheck(None, NO_CARD, target)
    if origin := card.start.get("imported_from"):
        return ContractCheck(None, IMPORTED.format(origin), target)
    mismatches, notes = compare_contracts(card.input, target, colours_given_up=card.pretrained == OSD)
    if mismatches and not allowed:
        raise WeightsError(
            path,
            found=f"weights trained on {'; '.join(mismatch.line for mismatch in mismatches)}",
            expected="the input contract of their card",
            mend=_mend(mismatches),
        )
    return ContractCheck(card.input, CARD, target, mismatches, notes, allowed=bool(mismatches))


_WORDS = {
    "mean": "inputs normalised by mean",
    "std": "inputs normalised by std",
    "bands": "images of so many bands:",
    "replicate_to": "so many channels:",
    "bit_depth": "so many bits:",
    "radiometry": "SAR mapped by",
}


def _shown(value: Any) -> str:
    return "/".join(f"{entry:g}" for entry in value) if isinstance(value, tuple | list) else str(value)


def _mend(mismatches: tuple[Mismatch, ...]) -> str:
    other = "pretrain again with what is fed"
    if [mismatch.entry for mismatch in mismatches] == ["radiometry"]:
        other = f"set data.radiometry={mismatches[0].source}"
    return f"{other}, or say {ALLOW}, which is written into the certificate"
