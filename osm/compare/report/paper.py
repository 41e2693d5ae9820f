"""Published figures that a table of ours is read beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from osm.compare.study import ArmInfo, is_placebo

#: Bao et al., "Boosting ship detection in SAR images with complementary pretraining techniques", JSTARS 2021.
SOURCE = "Bao et al., JSTARS 2021, Table III"
LINK = "https://arxiv.org/abs/2103.08251"
NOTE = (
    "As published for AIR-SARShip-1.0: other data, other settings, and a single run each. They show the order of "
    "size of the effect, and are no yardstick for the rows of this report."
)


@dataclass(frozen=True)
class PaperRow:
    """One row of Table III: AP as a fraction.

    Attributes:
        arm: As the paper calls it.
        kind: Our kind of arm that it answers to.
        faster_rcnn: AP of Faster R-CNN.
        yolov3: AP of YOLOv3.
    """

    arm: str
    kind: str
    faster_rcnn: float
    yolov3: float


TABLE_III = (
    PaperRow("ImageNet-SSD", "imagenet", 0.8720, 0.8712),
    PaperRow("OSM-SSD", "osm", 0.8852, 0.8836),
)


def published(detector: str, arm: ArmInfo) -> float | None:
    """The paper's AP for a detector and an arm of ours, None where it has none: no placebo, and no YOLOv3u."""
    name = detector.lower()
    for row in TABLE_III:
        if row.kind == arm.kind and not is_placebo(arm.name):
            ours = "yolov3" in name and "yolov3u" not in name
            return row.faster_rcnn if "faster" in name else row.yolov3 if ours else None
    return None


def to_json() -> dict[str, Any]:
    """Table III as JSON values, with its source and what it can be compared with."""
    rows = [
        {"arm": row.arm, "detector": detector, "ap": value}
        for row in TABLE_III
        for detector, value in (("Faster R-CNN", row.faster_rcnn), ("YOLOv3", row.yolov3))
    ]
    return {"source": SOURCE, "url": LINK, "note": NOTE, "rows": rows}
