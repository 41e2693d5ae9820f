"""Whether a file finds in onnxruntime what the detector finds in torch.

The rule. Of each tile, every detection of either side whose score is at least ``FLOOR`` (or the detector's own
threshold, where that is higher) has a partner on the other: a box none of whose coordinates is more than ``BOX_PX``
away, with a score that differs by ``SCORE`` at most; no partner is taken twice. Without one, it counts as a tie if
rounding alone decides whether it is there, and otherwise the file is refused. It is a tie

- where the other side's list is full, and its score is that of the last one on it (to ``SCORE``);
- where the other side has a box that may have suppressed it: at least as sure (to ``SCORE``), with an IoU within
  ``IOU`` of the threshold, or above that and as sure (to ``SCORE``), so that either may suppress the other.

More than one detection in fifty (and more than one in all) may not be a tie. Tiles of a single value are left out of
that count, ties and detections alike: there the same candidate repeats over the whole tile with scores that are equal
but for rounding, which alone picks those that stay. What is no tie refuses the file on these tiles too. Without a
single detection on other tiles nothing has been shown, and the file is refused as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from osm.data.boxes import iou_matrix
from osm.detection.onnx.card import Proof
from osm.detection.search.runtime import Found
from osm.errors import WeightsError

BOX_PX = 0.5
SCORE = 1e-3
IOU = 0.01
FLOOR = 0.05
MOST_TIES = 0.02

Tiles = npt.NDArray[np.uint8]
Search = Callable[[Tiles], Sequence[Found]]


@dataclass(frozen=True)
class Rules:
    """What the detector does with its candidates, as far as rounding can change it.

    Attributes:
        score_thr: Least score of a detection.
        nms_iou: Detections of a tile that overlap more than this are one.
        max_per_img: Most detections of a tile.
    """

    score_thr: float
    nms_iou: float
    max_per_img: int

    @property
    def floor(self) -> float:
        """Least score that is compared: what has it on one side is above the threshold on the other."""
        return max(FLOOR, self.score_thr + SCORE)


@dataclass(frozen=True)
class Difference:
    """Two searches of one tile, or of several.

    Attributes:
        pairs: Detections with a partner.
        box_px: Largest difference of a coordinate between partners.
        score: Largest difference of their scores.
        ties: Detections without a partner that are ties.
        strays: A line for every other detection without one.
    """

    pairs: int = 0
    box_px: float = 0.0
    score: float = 0.0
    ties: int = 0
    strays: tuple[str, ...] = ()

    def __add__(self, other: Difference) -> Difference:
        """Both together."""
        return Difference(
            self.pairs + other.pairs,
            max(self.box_px, other.box_px),
            max(self.score, other.score),
            self.ties + other.ties,
            self.strays + other.strays,
        )


def edge_cases(side_px: int, seed: int = 0) -> Tiles:
    """Tiles that no scene shows but that occur: no data, the largest value, noise, and a corner of a scene.

    Returns:
        (4, side_px, side_px).
    """
    rng = np.random.default_rng(seed)
    noise = rng.gamma(1.0, 40.0, (side_px, side_px)).clip(0, 255).astype(np.uint8)
    corner = np.zeros_like(noise)
    corner[: side_px // 3, : side_px // 2] = noise[: side_px // 3, : side_px // 2]
    return np.stack([np.zeros_like(noise), np.full_like(noise, 255), noise, corner])


def compare_tile(ours: Found, theirs: Found, rules: Rules, name: str = "tile") -> Difference:
    """Hold two searches of a tile against each other, by the rule above.

    Args:
        ours: Boxes (K, 4) and scores (K,).
        theirs: Likewise.
        rules: The detector's.
        name: Of the tile, for lines.
    """
    sides = (ours, theirs)
    near = np.abs(ours[0][:, None] - theirs[0][None]).max(-1, initial=0.0)
    apart = np.abs(ours[1][:, None] - theirs[1][None])
    free = (near <= BOX_PX) & (apart <= SCORE)
    partner = [np.full(len(side[1]), -1) for side in sides]
    pairs, box_px, score = 0, 0.0, 0.0
    for here in np.argsort(-ours[1], kind="stable"):
        there = int(np.argmin(np.where(free[here], near[here], np.inf))) if free[here].any() else -1
        if there < 0:
            continue
        partner[0][here], partner[1][there] = there, here
        free[:, there] = False
        if max(ours[1][here], theirs[1][there]) >= rules.floor:
            pairs += 1
            box_px, score = max(box_px, float(near[here, there])), max(score, float(apart[here, there]))
    ties, strays = 0, []
    for side, (mine, yours) in enumerate((sides, sides[::-1])):
        for lone in np.flatnonzero((partner[side] < 0) & (mine[1] >= rules.floor)):
            if _is_tie(mine[0][lone], float(mine[1][lone]), yours, rules):
                ties += 1
            else:
                corners = ", ".join(f"{value:.1f}" for value in mine[0][lone])
                strays.append(f"{name}: ({corners}) of score {mine[1][lone]:.4f} in {('torch', 'ONNX')[side]} alone")
    return Difference(pairs, box_px, score, ties, tuple(strays))


def _is_tie(box: npt.NDArray[np.float32], score: float, others: Found, rules: Rules) -> bool:
    boxes, scores = others
    if not len(scores):
        return False
    if len(scores) >= rules.max_per_img and score <= float(scores.min()) + SCORE:
        return True
    overlap = iou_matrix(box[None].astype(np.float64), boxes.astype(np.float64))[0]
    border = (np.abs(overlap - rules.nms_iou) <= IOU) & (scores >= score - SCORE)
    mutual = (overlap > rules.nms_iou) & (np.abs(scores - score) <= SCORE)
    return bool((border | mutual).any())


def prove(where: str, torch_search: Search, onnx_search: Search, tiles: Tiles, batch: int, rules: Rules) -> Proof:
    """Search tiles with both, in batches as full as a search's and one by one, and compare.

    Args:
        where: The file, for errors.
        torch_search: The detector that it was made from.
        onnx_search: The file.
        tiles: (N, side, side); those of ``edge_cases`` are added.
        batch: Tiles of a full batch.
        rules: The detector's.

    Raises:
        WeightsError: They differ, or neither finds anything.
    """
    every = np.concatenate([tiles, edge_cases(tiles.shape[1])])
    batches = [every[start : start + batch] for start in range(0, len(every), batch)]
    torch_found = [found for some in batches for found in torch_search(some)]
    onnx_found = [found for some in batches for found in onnx_search(some)]
    total = Difference()
    flat = every.min(axis=(1, 2)) == every.max(axis=(1, 2))
    for i, (ours, theirs) in enumerate(zip(torch_found, onnx_found, strict=True)):
        difference = compare_tile(ours, theirs, rules, f"tile {i}")
        total += replace(difference, pairs=0, ties=0) if flat[i] else difference
    # a batch of one, of the tile with most to find
    sure = np.asarray([int((scores >= rules.floor).sum()) for _, scores in torch_found])
    most = int(np.argmax(np.where(flat, -1, sure)))
    (alone,) = onnx_search(every[most : most + 1])
    single = compare_tile(torch_found[most], alone, rules, f"tile {most} alone")
    worst = total + single
    compared = int(sure[~flat].sum())
    allowed = max(1, int(MOST_TIES * compared))
    if worst.strays or max(total.ties, single.ties) > allowed:
        what = worst.strays[0] if worst.strays else f"{max(total.ties, single.ties)} ties"
        raise WeightsError(
            where,
            found=f"{len(worst.strays)} detections that torch and onnxruntime do not share ({what}), of {compared}",
            expected=f"the same to {BOX_PX} px and {SCORE}, but for {allowed} ties",
            mend="nothing was written; train the detector longer if it is hardly trained, or report this as a defect",
        )
    if not total.pairs:
        raise WeightsError(
            where,
            found=f"no detection above {rules.floor:.3f} in the {np.count_nonzero(~flat)} tiles that are compared",
            expected="at least one",
            mend="a detector that finds nothing cannot be proven: train it longer",
        )
    return Proof(
        tiles=len(every),
        detections=compared,
        floor=rules.floor,
        box_px=worst.box_px,
        score=worst.score,
        ties=total.ties,
    )
