"""AP of some of the ships: by their size, or in some of the scenes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osm.data.boxes import area
from osm.detection.claims import flat
from osm.detection.evaluate import area_under_curve, curve_of, in_order, judge_voc
from osm.detection.results import FALSE_ALARM, NOT_COUNTED, ImageResult


@dataclass(frozen=True)
class SizeClass:
    """Ships whose box has an area in [least_px2, most_px2)."""

    name: str
    least_px2: float
    most_px2: float


#: COCO's three classes of area.
COCO_SIZES = (
    SizeClass("small", 0.0, 32.0**2),
    SizeClass("medium", 32.0**2, 96.0**2),
    SizeClass("large", 96.0**2, float("inf")),
)


@dataclass(frozen=True)
class SubsetAP:
    """AP50 (VOC, area under the curve) of a part of the ships.

    Attributes:
        name: Of the part.
        ap50: Fraction; None where the part holds no ship.
        ships: Ships in it.
        scenes: Images that hold one of them, or for a group of scenes, all of the group.
    """

    name: str
    ap50: float | None
    ships: int
    scenes: int


def by_size(
    results: Sequence[ImageResult], sizes: Sequence[SizeClass] = COCO_SIZES, iou: float = 0.5
) -> list[SubsetAP]:
    """AP of the ships of each class of size.

    Ships of other sizes are ignored: who detects them gains nothing and loses nothing. A false alarm counts in the
    class of its own size only (COCO's rule).
    """
    ordered = in_order(results)
    ships_px2 = area(flat([result.truth for result in ordered]))
    boxes_px2 = area(flat([result.boxes for result in ordered]))
    counts = np.array([len(result.scores) for result in ordered], dtype=np.int64)
    begins, ends = np.cumsum(counts) - counts, np.cumsum([len(result.ignore) for result in ordered], dtype=np.int64)
    found = []
    for size in sizes:
        other = np.split(~_inside(ships_px2, size), ends)[:-1]
        judged = judge_voc([_without(result, own) for result, own in zip(ordered, other, strict=True)], iou)
        verdict = judged.verdict[0].copy()
        own = _inside(boxes_px2[begins[judged.image] + judged.detection], size)
        verdict[(verdict == FALSE_ALARM) & ~own] = NOT_COUNTED
        ships = int(judged.truth_counts.sum())
        ap = area_under_curve(*curve_of(verdict, ships)) if ships else None
        found.append(SubsetAP(size.name, ap, ships, int(np.count_nonzero(judged.truth_counts))))
    return found


def by_group(results: Sequence[ImageResult], groups: dict[str, Collection[str]], iou: float = 0.5) -> list[SubsetAP]:
    """AP in each group of images (inshore and offshore, say); images of no group are left out.

    Raises:
        ValueError: An image stands in two groups.
    """
    seen: dict[str, str] = {}
    for name, members in groups.items():
        for member in members:
            if seen.setdefault(member, name) != name:
                raise ValueError(f"image {member!r} is in groups {seen[member]!r} and {name!r}")
    found = []
    for name, members in groups.items():
        wanted = set(members)
        chosen = in_order([result for result in results if result.image_id in wanted])
        judged = judge_voc(chosen, iou)
        ships = int(judged.truth_counts.sum())
        ap = area_under_curve(*curve_of(judged.verdict[0], ships)) if ships else None
        found.append(SubsetAP(name, ap, ships, len(chosen)))
    return found


def _without(result: ImageResult, ships: NDArray[np.bool_]) -> ImageResult:
    return ImageResult(result.image_id, result.truth, result.ignore | ships, result.boxes, result.scores)


def _inside(areas_px2: NDArray[np.float64], size: SizeClass) -> NDArray[np.bool_]:
    return np.asarray((areas_px2 >= size.least_px2) & (areas_px2 < size.most_px2))
