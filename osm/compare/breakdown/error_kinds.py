"""Of what kind a detector's errors are, and what AP would be without those of each kind.

The kinds are those of TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020,
section 2) for one class, with its thresholds: a detection is right from an IoU of 0.5 on and lies in the background
below 0.1. Kinds of confused classes do not exist here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osm.data.boxes import iou_matrix
from osm.detection.claims import nearest
from osm.detection.coco import judge_coco
from osm.detection.evaluate import area_under_curve, curve_of, in_order
from osm.detection.results import FALSE_ALARM, HIT, NOT_COUNTED, ImageResult, Judged

FOREGROUND, BACKGROUND = 0.5, 0.1

KINDS = ("localisation", "duplicate", "background", "missed")


@dataclass(frozen=True)
class ErrorKind:
    """Errors of one kind.

    Attributes:
        kind: ``localisation`` (the best IoU with a ship is in [0.1, 0.5)), ``duplicate`` (at least 0.5, but that ship
            is another detection's), ``background`` (below 0.1), or ``missed`` (a ship that is neither hit nor badly
            localised).
        count: Their number.
        delta_ap: AP50 gained if errors of this kind alone were mended, a fraction; None without ships.
    """

    kind: str
    count: int
    delta_ap: float | None


def error_kinds(results: Sequence[ImageResult]) -> list[ErrorKind]:
    """Errors by kind, in the order of ``KINDS``.

    Mending is TIDE's: a badly localised detection becomes a hit of its ship, or goes where that ship is hit already
    or claimed by a surer one; duplicates and detections of the background go; missed ships no longer count as truth.
    """
    ordered = in_order(results)
    judged = judge_coco(ordered, np.array([FOREGROUND]))
    verdict = judged.verdict[0]
    truth_count = int(judged.truth_counts.sum())
    kind, ship = _kinds(ordered, judged, verdict)
    hits = np.flatnonzero(verdict == HIT)
    hit_ships = set(zip(judged.image[hits].tolist(), ship[hits].tolist(), strict=True))
    localised = {(int(judged.image[p]), int(ship[p])) for p in np.flatnonzero(kind == "localisation")}
    missed = truth_count - len(hit_ships | localised)
    base = _ap(verdict, truth_count)
    mended = {
        "localisation": (_localised(verdict, kind, ship, judged.image, hit_ships), truth_count),
        "duplicate": (np.where(kind == "duplicate", NOT_COUNTED, verdict), truth_count),
        "background": (np.where(kind == "background", NOT_COUNTED, verdict), truth_count),
        "missed": (verdict, truth_count - missed),
    }
    counts = {name: int(np.count_nonzero(kind == name)) for name in KINDS} | {"missed": missed}
    made = []
    for name in KINDS:
        after = _ap(*mended[name])
        # without what it missed, a detector that has hit nothing has no ships left to be judged by
        gain = None if base is None else 0.0 if after is None else after - base
        made.append(ErrorKind(name, counts[name], gain))
    return made


def _kinds(
    ordered: Sequence[ImageResult], judged: Judged, verdict: NDArray[np.int8]
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """The kind of each false alarm, and the ship of its image that it, or a hit, belongs to; -1 where there is none."""
    counted = [np.flatnonzero(~result.ignore) for result in ordered]
    near = nearest(
        [result.truth.reshape(-1, 4)[own] for result, own in zip(ordered, counted, strict=True)],
        [result.boxes for result in ordered],
    )
    counts = np.array([len(result.scores) for result in ordered], dtype=np.int64)
    flat = (np.cumsum(counts) - counts)[judged.image] + judged.detection
    reach, own = near.reach[flat], near.first[flat].copy()
    taken: set[tuple[int, int]] = set()
    # a hit's is the free ship that it overlaps most, as when it was judged: of equal ones the last
    for place in np.flatnonzero(verdict == HIT).tolist():
        image, chosen = int(judged.image[place]), int(near.last[flat[place]])
        if (image, chosen) in taken:
            result = ordered[image]
            box, ships = result.boxes.reshape(-1, 4)[judged.detection[place]], result.truth.reshape(-1, 4)
            overlap = iou_matrix(box, ships[counted[image]])[0]
            free = [k for k in range(len(overlap)) if (image, k) not in taken]
            chosen = max(free, key=lambda k: (overlap[k], k))
        taken.add((image, chosen))
        own[place] = chosen
    alarm = verdict == FALSE_ALARM
    kind = np.full(len(verdict), "", dtype=object)
    kind[alarm] = "background"
    kind[alarm & (reach >= BACKGROUND)] = "localisation"
    kind[alarm & (reach >= FOREGROUND)] = "duplicate"
    known = (alarm | (verdict == HIT)) & (own >= 0)
    return kind, np.where(known, own, -1)


def _localised(
    verdict: NDArray[np.int8],
    kind: NDArray[np.object_],
    ship: NDArray[np.int64],
    image: NDArray[np.int64],
    hit_ships: set[tuple[int, int]],
) -> NDArray[np.int8]:
    mended = verdict.copy()
    claimed = set(hit_ships)
    for place in np.flatnonzero(kind == "localisation"):
        key = int(image[place]), int(ship[place])
        mended[place] = NOT_COUNTED if key in claimed else HIT
        claimed.add(key)
    return mended


def _ap(verdict: NDArray[np.int8], truth_count: int) -> float | None:
    return area_under_curve(*curve_of(verdict, truth_count)) if truth_count else None
