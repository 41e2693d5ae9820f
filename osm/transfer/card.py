"""The card: what a reader of exported weights has to know, inside the file itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from osm.compat.versions import git_revision, package_versions
from osm.errors import WeightsError
from osm.transfer.architectures import architecture

FORMAT = 1
#: Value of ``data["learned"]`` where a backbone was part of a ship detector; others learned by matching.
DETECTION = "ship detection"
#: How a backbone was pretrained, as ``Card.pretrained`` says: by matching; as an optical ship detector; as one of SAR.
OSM, OSD, SAR_DETECTOR = "osm", "osd", "detector of SAR ships"


@dataclass(frozen=True)
class InputContract:
    """What a network expects to be fed.

    Attributes:
        mean: Subtracted, per channel (RGB), in units of 0..255.
        std: Divided by, likewise.
        bands: Bands of the image before replication: 1 of SAR, 3 of an optical image in colours.
        replicate_to: Channels the network sees.
        bit_depth: Bits of the image after radiometry.
        radiometry: How other depths become that, as ``osm.data.radiometry`` spells it.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bands: int = 1
    replicate_to: int = 3
    bit_depth: int = 8
    radiometry: str = "none"

    @classmethod
    def of(cls, name: str, *, radiometry: str = "none", bands: int = 1) -> InputContract:
        """The contract of an architecture: its mean and std, 8-bit SAR replicated to three channels, or colours."""
        known = architecture(name)
        return cls(mean=known.mean, std=known.std, radiometry=radiometry, bands=bands)


@dataclass(frozen=True)
class Card:
    """Metadata that travels with exported weights.

    Attributes:
        architecture: A name of ``osm.transfer.architectures``.
        input: What the network expects to be fed.
        data: What it learned from: root folder's name, counts, split, whether simulated. Pairs, or, where ``learned``
            says ``DETECTION``, the scenes of a detector and whether they were ``optical``.
        config: The resolved settings of the training.
        start: What the branch, or the detector's backbone, started from, and how much of it was filled.
        metrics: Matching figures on the test pairs; of a detector its AP, under ``detection``.
        matching: What it takes to match with both branches; empty where the file holds one backbone alone.
        git_revision: Revision of this software.
        versions: Versions of the packages that matter.
    """

    architecture: str
    input: InputContract
    data: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    start: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    matching: dict[str, Any] = field(default_factory=dict)
    git_revision: str = field(default_factory=git_revision)
    versions: dict[str, str] = field(default_factory=package_versions)

    @property
    def pretrained(self) -> str:
        """How the backbone was pretrained: ``OSM``, ``OSD`` or ``SAR_DETECTOR``."""
        if self.data.get("learned") != DETECTION:
            return OSM
        return OSD if self.data.get("optical") else SAR_DETECTOR

    def to_json(self) -> str:
        """The card as JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, allow_nan=False)


def card_from_json(text: str, where: str) -> Card:
    """Read a card back.

    Args:
        text: What ``Card.to_json`` gave.
        where: The file it stood in, for the error.

    Raises:
        WeightsError: The text is no card, or of a format this version does not know.
    """
    problem = {"expected": f"a card of format {FORMAT}", "mend": "export the weights again with this version"}
    try:
        values = json.loads(text)
        found = values.pop("format")
        contract = values.pop("input")
        known = {entry.name for entry in fields(Card)}
        if found != FORMAT:
            raise WeightsError(where, found=f"a card of format {found}", **problem)
        if unknown := set(values) - known:
            raise WeightsError(where, found=f"unknown entries {sorted(unknown)} in its card", **problem)
        contract["mean"], contract["std"] = tuple(contract["mean"]), tuple(contract["std"])
        return Card(input=InputContract(**contract), **values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsError(where, found=f"a broken card ({error!r})", **problem) from error
