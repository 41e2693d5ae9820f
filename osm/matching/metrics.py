"""How well distances tell matches from non-matches: pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Verdicts:
    """Figures of one threshold, as Table II of the QXS-SAROPT paper has them.

    Attributes:
        threshold: A pair matches if its distance is at most this.
        accuracy: Right verdicts among all.
        precision: Matches among the predicted matches; 0 when nothing was predicted to match.
        recall: Predicted matches among the matches.
        predicted_matches: How many pairs were predicted to match.
    """

    threshold: float
    accuracy: float
    precision: float
    recall: float
    predicted_matches: int


def verdicts(match: Floats, nonmatch: Floats, threshold: float) -> Verdicts:
    """Judge pairs by their distances.

    Args:
        match: (N,) distances of matching pairs.
        nonmatch: (M,) distances of non-matching pairs.
        threshold: A pair matches if its distance is at most this.

    Raises:
        ValueError: There are no matching or no non-matching pairs.
    """
    _check(match, nonmatch)
    true_positive = int((match <= threshold).sum())
    false_positive = int((nonmatch <= threshold).sum())
    predicted = true_positive + false_positive
    return Verdicts(
        threshold=float(threshold),
        accuracy=(true_positive + len(nonmatch) - false_positive) / (len(match) + len(nonmatch)),
        precision=true_positive / predicted if predicted else 0.0,
        recall=true_positive / len(match),
        predicted_matches=predicted,
    )


def auc(match: Floats, nonmatch: Floats) -> float:
    """Probability that a match is nearer than a non-match, ties counted as half: the area under the ROC curve.

    Args:
        match: (N,) distances of matching pairs.
        nonmatch: (M,) distances of non-matching pairs.

    Raises:
        ValueError: There are no matching or no non-matching pairs.
    """
    _check(match, nonmatch)
    ordered = np.sort(match)
    nearer = np.searchsorted(ordered, nonmatch, side="left")
    equal = np.searchsorted(ordered, nonmatch, side="right") - nearer
    return float((nearer + 0.5 * equal).sum() / (len(match) * len(nonmatch)))


def best_threshold(match: Floats, nonmatch: Floats) -> float:
    """The threshold of highest accuracy; the lowest of several, and midway between two distances.

    Args:
        match: (N,) distances of matching pairs.
        nonmatch: (M,) distances of non-matching pairs.

    Raises:
        ValueError: There are no matching or no non-matching pairs.
    """
    _check(match, nonmatch)
    values = np.unique(np.concatenate([match, nonmatch]).astype(np.float64))
    # at threshold values[k], and up to values[k + 1], so many are predicted to match
    hits = np.searchsorted(np.sort(match), values, side="right")
    false_alarms = np.searchsorted(np.sort(nonmatch), values, side="right")
    best = int(np.argmax(hits - false_alarms if len(match) == len(nonmatch) else hits + len(nonmatch) - false_alarms))
    if best + 1 == len(values):
        return float(values[best])
    return float((values[best] + values[best + 1]) / 2)


def _check(match: Floats, nonmatch: Floats) -> None:
    if not len(match) or not len(nonmatch):
        raise ValueError(f"{len(match)} matches and {len(nonmatch)} non-matches; at least one of each is needed")
