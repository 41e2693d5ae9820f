"""Which pairs and queries a report shows: spread over all there are, not the best of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osm.matching.evaluate import Evidence
from osm.matching.retrieval import nearest, ranks


@dataclass(frozen=True)
class Kind:
    """One of the four outcomes of a verdict.

    Attributes:
        match: What the pair is.
        taken: What it was taken for.
        name: In words.
    """

    match: bool
    taken: bool
    name: str

    @property
    def right(self) -> bool:
        """Whether the verdict is right."""
        return self.match == self.taken


KINDS = (
    Kind(True, True, "match, found"),
    Kind(True, False, "match, missed"),
    Kind(False, True, "non-match, taken for a match"),
    Kind(False, False, "non-match, told apart"),
)


@dataclass(frozen=True)
class Example:
    """A SAR and an optical patch that were judged.

    Attributes:
        kind: Outcome.
        sar: Number of the pair that gave the SAR patch.
        optical: Number of the pair that gave the optical patch.
        distance: Between the two.
        of_kind: How many pairs had this outcome.
    """

    kind: Kind
    sar: int
    optical: int
    distance: float
    of_kind: int


@dataclass(frozen=True)
class Query:
    """A SAR patch and the optical patches that are nearest to it.

    Attributes:
        sar: Number of the pair.
        found: Numbers of the pairs that gave the optical patches, nearest first.
        distances: Of these.
        rank: Of the true partner, from 1; the mean where others are exactly as near.
    """

    sar: int
    found: tuple[int, ...]
    distances: tuple[float, ...]
    rank: float


def spread(order: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """At most ``count`` evenly spaced entries of (N,), the first and the last among them where count allows."""
    if len(order) <= count:
        return order
    return np.asarray(order[np.linspace(0, len(order) - 1, count).round().astype(int)])


def verdict_examples(evidence: Evidence, threshold: float, count: int) -> list[Example]:
    """At most ``count`` examples of each of ``KINDS``, from the nearest to the farthest pair of the kind."""
    chosen = []
    own = np.arange(len(evidence.match))
    for kind in KINDS:
        far, optical = (evidence.match, own) if kind.match else (evidence.nonmatch, evidence.partners)
        members = np.flatnonzero((far <= threshold) == kind.taken)
        members = members[np.argsort(far[members], kind="stable")]
        chosen += [
            Example(kind, int(row), int(optical[row]), float(far[row]), len(members)) for row in spread(members, count)
        ]
    return chosen


def query_examples(evidence: Evidence, count: int, found: int = 5) -> list[Query]:
    """At most ``count`` queries from the best to the worst rank, and the ``found`` nearest patches of each."""
    embeddings = evidence.embeddings
    rank = ranks(embeddings.sar, embeddings.optical)[0].mean
    rows = spread(np.argsort(rank, kind="stable"), count)
    places, _ = nearest(embeddings.sar[rows], embeddings.optical, found)
    queries = []
    for row, near in zip(rows, places, strict=True):
        distances = embeddings.between(np.full(len(near), row), near)
        queries.append(Query(int(row), tuple(near.tolist()), tuple(distances.tolist()), float(rank[row])))
    return queries
