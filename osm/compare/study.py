"""What a finished comparison consists of: the records that the report is rendered from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Names of the figures of one cell, of tiles and of whole scenes alike.
METRICS = ("ap50", "ap50_voc07", "ap50_coco", "ap_coco")


#: By these in its name an arm is known as a placebo.
PLACEBO_WORDS = ("shuffled", "placebo")


def is_placebo(arm: str) -> bool:
    """Whether an arm of this name was pretrained on shuffled pairs."""
    return any(word in arm for word in PLACEBO_WORDS)


@dataclass(frozen=True)
class ArmInfo:
    """One way to initialise a detector.

    Attributes:
        name: As on the command line, e.g. ``imagenet``.
        label: As in tables, e.g. ``imagenet (partial)``.
        kind: ``scratch``, ``imagenet``, ``osm``, ``osd`` or ``fusion``, which is no initialisation.
        source: File or folder the weights came from; None for ``scratch``.
        note: What a reader has to know about this arm, possibly empty.
        members: Arms whose predictions a fusion is made of; none for an arm that is trained.
    """

    name: str
    label: str
    kind: str
    source: str | None
    note: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellResult:
    """One finished cell: one arm × one detector × one seed.

    Attributes:
        tile: Figures per tile: ``METRICS`` as fractions, ``truth_count``, ``detection_count``.
        scene: The same per whole scene, detections of overlapping tiles merged.
        seconds: Wall time of training and inference.
        coverage: Fraction of the detector's backbone tensors that the arm filled; None for scratch and for a fusion.
        folder: Where ``predictions.json`` and the other files of the cell lie.
    """

    detector: str
    arm: str
    seed: int
    tile: dict[str, float]
    scene: dict[str, float]
    seconds: float
    coverage: float | None
    folder: Path


@dataclass(frozen=True)
class SkippedCell:
    """A detector × arm that was not run, and why."""

    detector: str
    arm: str
    reason: str


@dataclass(frozen=True)
class Study:
    """A comparison, whole or as far as it has come.

    Attributes:
        baseline: Name of the arm that all others are compared with.
        caveats: What must stand beside the figures.
        leakage: What was looked for among what was trained on, and found; empty where nobody looked.
        groups: Group by test scene (``inshore``, ``offshore``), where the data set comes with such lists.
        pixel_m: Ground size of a pixel by test scene, where it is known.
        tuning: Learning rates that were tried and how one was chosen (``osm.compare.tuning``); empty where the
            recipe's was taken.
        groups_note: Where the groups are from, if not from the data set.
    """

    title: str
    data: dict[str, Any]
    arms: tuple[ArmInfo, ...]
    detectors: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: tuple[CellResult, ...]
    skipped: tuple[SkippedCell, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    baseline: str
    caveats: tuple[str, ...]
    leakage: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    pixel_m: dict[str, float] = field(default_factory=dict)
    tuning: dict[str, Any] = field(default_factory=dict)
    groups_note: str = ""
