"""Finding the partner of a patch among many: pure functions of embeddings, in memory that is bounded.

Distances are compared as squared Euclidean ones, which order the patches as h does in both spaces of
``osm.matching.distance``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.floating]

#: At most so many distances are held at once: 32 MiB.
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Retrieval:
    """How well the true partner is found among N candidates.

    Attributes:
        recall_at_1: Part of the queries whose partner is the nearest candidate.
        recall_at_5: Part of those with the partner among the nearest 5.
        recall_at_10: Part of those with the partner among the nearest 10.
        median_rank: Median over queries of the partner's rank; 1 is best.
        candidates: N.
    """

    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    median_rank: float
    candidates: int


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where the true partner of each of N queries stands among N candidates.

    Attributes:
        nearer: (N,) candidates that are nearer than the partner.
        equal: (N,) other candidates that are exactly as near.
    """

    nearer: npt.NDArray[np.int64]
    equal: npt.NDArray[np.int64]

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """(N,) rank from 1, the mean of those that a tie leaves open."""
        return 1 + self.nearer + self.equal / 2

    def recall(self, count: int) -> float:
        """Expected part of the partners among the ``count`` nearest, ties being broken at random.

        A network that gives every patch the same embedding has the recall of chance, ``count`` / N.
        """
        return float(np.clip((count - self.nearer) / (self.equal + 1), 0, 1).mean())


def ranks(sar: Rows, optical: Rows) -> tuple[Ranks, Ranks]:
    """Rank every true partner, in both directions.

    Args:
        sar: (N, d).
        optical: (N, d); row i is the partner of row i of ``sar``.

    Returns:
        The ranks of the optical partners of SAR patches, and of the SAR partners of optical patches.

    Raises:
        ValueError: The two do not belong together, or there is nothing in them.
    """
    from scipy.spatial.distance import cdist

    if sar.shape != optical.shape or not len(sar):
        raise ValueError(f"embeddings of shape {sar.shape} and {optical.shape}; both must be (N, d), N at least 1")
    count = len(sar)
    own = np.concatenate([cdist(sar[i : i + 1], optical[i : i + 1], "sqeuclidean")[0] for i in range(count)])
    by_row, by_column = np.zeros((2, count), np.int64), np.zeros((2, count), np.int64)
    step = max(1, _BLOCK // count)
    for begin in range(0, count, step):
        # by differences in float64: |a|² + |b|² − 2ab is quicker, but makes ties and order of near things up
        block = cdist(sar[begin : begin + step], optical, "sqeuclidean")
        part = own[begin : begin + step, None]
        by_row[0, begin : begin + step] = (block < part).sum(axis=1)
        by_row[1, begin : begin + step] = (block == part).sum(axis=1)
        by_column[0] += (block < own).sum(axis=0)
        by_column[1] += (block == own).sum(axis=0)
    # each partner is as near as itself
    return Ranks(by_row[0], by_row[1] - 1), Ranks(by_column[0], by_column[1] - 1)


def retrieval(found: Ranks) -> Retrieval:
    """The figures of one direction."""
    one, five, ten = (found.recall(count) for count in (1, 5, 10))
    return Retrieval(one, five, ten, float(np.median(found.mean)), len(found.nearer))


def chance(candidates: int) -> Retrieval:
    """What guessing gives among N candidates.

    Args:
        candidates: N, at least 1.
    """
    one, five, ten = (min(count / candidates, 1.0) for count in (1, 5, 10))
    return Retrieval(one, five, ten, (candidates + 1) / 2, candidates)


def nearest(queries: Rows, gallery: Rows, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The nearest rows of a gallery, exactly; of equally near ones those that come first.

    Args:
        queries: (Q, d).
        gallery: (N, d).
        count: How many to find; fewer where the gallery has fewer.

    Returns:
        (Q, min(count, N)) numbers of rows, nearest first, and their squared Euclidean distances.

    Raises:
        ValueError: ``count`` is below 1.
    """
    from scipy.spatial.distance import cdist

    if count < 1:
        raise ValueError(f"count is {count}; it must be at least 1")
    wanted = min(count, len(gallery))
    places = np.empty((len(queries), wanted), np.int64)
    squared = np.empty((len(queries), wanted))
    step = max(1, _BLOCK // max(1, len(gallery)))
    for begin in range(0, len(queries), step):
        for number, row in enumerate(cdist(queries[begin : begin + step], gallery, "sqeuclidean"), start=begin):
            within = np.flatnonzero(row <= np.partition(row, wanted - 1)[wanted - 1])
            places[number] = within[np.argsort(row[within], kind="stable")][:wanted]
            squared[number] = row[places[number]]
    return places, squared
