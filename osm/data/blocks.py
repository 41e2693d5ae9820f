"""Dividing patches so that none in one part overlaps with one in the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osm.data.neighbours import Links

Indices = npt.NDArray[np.int64]

TOLERANCE = 0.02
"""How far from the wanted fraction whole components may stay before one of them is cut."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Two parts without an overlap between them.

    Attributes:
        train: Indices, rising.
        test: Indices, rising.
        seam: Indices of those in neither part, for each overlaps with a patch of the test part.
        components: Number of groups that hang together.
    """

    train: Indices
    test: Indices
    seam: Indices
    components: int

    @classmethod
    def of(cls, in_train: npt.NDArray[np.bool_], links: Links, components: int) -> Blocks:
        """The parts without their seam.

        Args:
            in_train: ``(N,)``: which patches lie on the training side.
            links: Which overlap.
            components: Number of groups that hang together.
        """
        crossing = in_train[links.first] != in_train[links.second]
        ends = np.concatenate([links.first[crossing], links.second[crossing]])
        seam = np.unique(ends[in_train[ends]])
        return cls(np.setdiff1d(np.flatnonzero(in_train), seam), np.flatnonzero(~in_train), seam, components)

    @property
    def train_fraction(self) -> float:
        """Part of the patches of both parts that is for training; 0 where there is none."""
        return len(self.train) / max(len(self.train) + len(self.test), 1)


def divide(count: int, links: Links, train_fraction: float, seed: int) -> Blocks:
    """Divide patches near a fraction.

    Connected components are drawn whole, in an order that the seed decides. Where that comes no nearer to the
    fraction than ``TOLERANCE`` (one component may hold nearly all patches of a continuous mosaic), the component that
    straddles the border is laid out in the plane by the steps of its links and cut across its longer side; patches on
    the training side of the cut that overlap with one on the other are left out.

    Args:
        count: Number of patches, at least 2.
        links: Which overlap.
        train_fraction: Wanted part for training, in (0, 1).
        seed: Seed of the drawing.

    Returns:
        The parts; one of them is empty where all patches overlap with each other.
    """
    drawing = np.random.default_rng(seed)
    number, member = components(count, links)
    order = drawing.permutation(number)
    backwards = bool(drawing.integers(2))
    ends = np.cumsum(np.bincount(member, minlength=number)[order])
    wanted = train_fraction * count
    found = []
    if number > 1:
        chosen = int(np.argmin(np.abs(ends[:-1] - wanted))) + 1
        whole = Blocks.of(np.isin(member, order[:chosen]), links, number)
        if abs(ends[chosen - 1] - wanted) <= TOLERANCE * count:
            return whole
        found.append(whole)
    straddling = int(np.searchsorted(ends, wanted, side="right"))
    inside = np.flatnonzero(member == order[straddling])
    before = int(ends[straddling]) - len(inside)
    if len(inside) > 1:
        share = min(max(round(wanted) - before, 1), len(inside) - 1)
        in_train = np.isin(member, order[:straddling])
        in_train[across(inside, links, backwards=backwards)[:share]] = True
        found.append(Blocks.of(in_train, links, number))
    # a seam may cost more than whole components are off, or all of a part
    return min(found, key=lambda blocks: (not len(blocks.train), abs(blocks.train_fraction - train_fraction)))


def components(count: int, links: Links) -> tuple[int, Indices]:
    """Number of groups of patches that hang together, and for each patch the number of its group."""
    from scipy.sparse.csgraph import connected_components

    number, member = connected_components(_graph(count, links), directed=False)
    return int(number), np.asarray(member, dtype=np.int64)


def across(inside: Indices, links: Links, *, backwards: bool = False) -> Indices:
    """The patches of one component, from one end of its longer side to the other.

    Args:
        inside: The patches of the component.
        links: All links.
        backwards: Whether to begin at the other end.
    """
    place = layout(inside, links)
    longer = int(np.argmax(np.ptp(place, axis=0)))
    order = np.lexsort((place[:, 1 - longer], place[:, longer]))
    in_order: Indices = inside[order[::-1] if backwards else order]
    return in_order


def layout(inside: Indices, links: Links) -> npt.NDArray[np.int64]:
    """Where the patches of one component lie, ``(len(inside), 2)`` in columns and rows of patches.

    The steps of the links are added up along a tree of shortest paths from the first patch, so that a false link
    displaces what lies behind it in the tree and nothing else.

    Args:
        inside: The patches of the component, rising.
        links: All links.
    """
    from scipy.sparse.csgraph import breadth_first_order

    own = np.isin(links.first, inside)
    first, second = np.searchsorted(inside, links.first[own]), np.searchsorted(inside, links.second[own])
    step = links.step[own]
    towards: dict[tuple[int, int], tuple[int, int]] = {}
    for here, there, (column, row) in zip(first.tolist(), second.tolist(), step.tolist(), strict=True):
        towards[here, there] = (column, row)
        towards[there, here] = (-column, -row)
    order, before = breadth_first_order(_graph(len(inside), Links(first, second, step)), 0, directed=False)
    place = np.zeros((len(inside), 2), dtype=np.int64)
    for node in order[1:].tolist():
        previous = int(before[node])
        place[node] = place[previous] + towards[previous, node]
    return place


def _graph(count: int, links: Links) -> object:
    from scipy.sparse import csr_array

    weight = np.ones(len(links), dtype=np.int8)
    return csr_array((weight, (links.first, links.second)), shape=(count, count))
