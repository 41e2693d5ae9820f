"""The card of a deployed detector: how it is to be searched with, and what was measured when it was written."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from osm.errors import WeightsError

#: Of the file as a whole: names and types of inputs and outputs, the card, the seal.
FORMAT = 1

_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}


@dataclass(frozen=True)
class Proof:
    """How far a file's detections in onnxruntime are from those in torch.

    Attributes:
        tiles: Tiles that were searched by both.
        detections: Detections in torch whose score is at least ``floor``; of tiles of a single value, none.
        floor: Least score that was compared.
        box_px: Largest difference of a corner's coordinate.
        score: Largest difference of a score.
        ties: Detections that only one of the two has, for a reason that ``osm.detection.onnx.proof`` calls a tie.
    """

    tiles: int
    detections: int
    floor: float
    box_px: float
    score: float
    ties: int


@dataclass(frozen=True)
class DetectorCard:
    """What travels inside an ONNX file.

    Attributes:
        detector: Name in tables.
        architecture: Name of the backbone.
        engine: What trained it.
        tile_px: Side of the tiles that it takes.
        overlap_px: Overlap of neighbouring tiles.
        radiometry: How pixels become 8 bits, as ``osm.data.radiometry`` spells it.
        batch_size: Tiles a call, unless the user says otherwise; any number is taken.
        merge_iou: Detections of a scene that overlap this much are one.
        merge_smaller: So are detections of different tiles that share this much of the smaller one.
        mean: Subtracted inside the graph from the values 0..255, per channel.
        std: Divided by there.
        source: Name of the file of weights.
        source_sha256: Of that file.
        versions: Versions of the packages that wrote it.
        proof: What was measured at the end; None while it is being measured.
    """

    detector: str
    architecture: str
    engine: str
    tile_px: int
    overlap_px: int
    radiometry: str
    batch_size: int
    merge_iou: float
    merge_smaller: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    source_sha256: str
    versions: dict[str, str]
    proof: Proof | None = None

    def to_json(self) -> str:
        """The card as JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, allow_nan=False, sort_keys=True)


def card_from_json(text: str, where: str | Path) -> DetectorCard:
    """Read a card back.

    Args:
        text: What ``DetectorCard.to_json`` gave.
        where: The file it stood in, for the error.

    Raises:
        WeightsError: It is no card of this format, or a value is none that a search can be made with.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        if values.pop("format") != FORMAT:
            raise ValueError("another format")
        known = {entry.name: entry.type for entry in fields(DetectorCard)}
        if set(values) != set(known):
            raise ValueError(f"entries {sorted(set(values) ^ set(known))}")
        proof = values.pop("proof")
        for name, kind in known.items():
            types = _TYPES.get(str(kind))
            if types and (not isinstance(values[name], types) or isinstance(values[name], bool)):
                raise ValueError(f"{name} = {values[name]!r}")
        card = DetectorCard(
            **{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])},
            proof=None if proof is None else Proof(**proof),
        )
        if not 0 <= card.overlap_px < card.tile_px or card.batch_size < 1:
            raise ValueError("a tile, an overlap or a batch that is none")
        if not (0 < card.merge_iou <= 1 and 0 < card.merge_smaller <= 1):
            raise ValueError("thresholds of merging outside 0 to 1")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WeightsError(
            where,
            found=f"a card that cannot be read ({error})",
            expected=f"one of format {FORMAT}",
            mend="export the detector again with this version",
        ) from error
    return card
