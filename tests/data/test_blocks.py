from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.data.blocks import across, components, divide, layout
from osm.data.neighbours import Links


def _links(edges: list[tuple[int, int, int, int]]) -> Links:
    table = np.array(edges, dtype=np.int64).reshape(-1, 4)
    return Links(table[:, 0], table[:, 1], table[:, 2:])


def _grid(columns: int, rows: int, first: int = 0) -> list[tuple[int, int, int, int]]:
    """Links of a mosaic whose patches are numbered row by row."""
    edges = []
    for row in range(rows):
        for column in range(columns):
            here = first + row * columns + column
            if column + 1 < columns:
                edges.append((here, here + 1, 1, 0))
            if row + 1 < rows:
                edges.append((here, here + columns, 0, 1))
    return edges


def test_a_mosaic_is_laid_out_as_it_was() -> None:
    place = layout(np.arange(20), _links(_grid(5, 4)))
    np.testing.assert_array_equal(place - place[0], [(n % 5, n // 5) for n in range(20)])


def test_components_are_counted() -> None:
    number, member = components(12, _links([*_grid(2, 2), *_grid(3, 1, first=4)]))
    assert number == 2 + 5
    assert len(set(member[:4])) == len(set(member[4:7])) == 1


@pytest.mark.parametrize("backwards", [False, True])
def test_a_component_is_walked_along_its_longer_side(backwards: bool) -> None:
    walk = across(np.arange(3, 15), _links(_grid(3, 4, first=3)), backwards=backwards)
    assert sorted(walk[:3].tolist()) == ([12, 13, 14] if backwards else [3, 4, 5])


def test_whole_components_are_drawn_where_they_come_near_enough() -> None:
    blocks = divide(100, _links([edge for start in range(0, 100, 10) for edge in _grid(5, 2, first=start)]), 0.7, 0)
    assert (len(blocks.train), len(blocks.test), len(blocks.seam), blocks.components) == (70, 30, 0, 10)


def test_the_seed_draws_other_components_and_the_other_end_of_a_mosaic() -> None:
    links = _links([edge for start in range(0, 100, 10) for edge in _grid(5, 2, first=start)])
    tests = {tuple(divide(100, links, 0.7, seed).test.tolist()) for seed in range(6)}
    assert len(tests) > 3
    ends = {int(divide(100, _links(_grid(20, 5)), 0.7, seed).test.min()) for seed in range(6)}
    assert len(ends) == 2


def test_a_mosaic_loses_one_line_of_patches() -> None:
    blocks = divide(2000, _links(_grid(50, 40)), 0.7, 0)
    assert blocks.components == 1
    assert len(blocks.seam) == 40
    assert len(blocks.test) == 600


def test_whole_components_are_drawn_where_a_cut_would_leave_nothing() -> None:
    # two patches that overlap and one alone: no cut through the two leaves a part of them
    for seed in range(8):
        blocks = divide(3, _links([(0, 1, 1, 0)]), 0.4, seed)
        assert len(blocks.train)
        assert len(blocks.test)


edges = st.lists(
    st.tuples(st.integers(0, 29), st.integers(0, 29), st.integers(-1, 1), st.integers(-1, 1)).filter(
        lambda edge: edge[0] != edge[1]
    ),
    max_size=60,
)


@given(st.integers(2, 30), edges, st.floats(0.05, 0.95), st.integers(0, 100))
def test_no_link_ever_crosses_and_nothing_is_lost(
    count: int, drawn: list[tuple[int, int, int, int]], fraction: float, seed: int
) -> None:
    inside = [edge for edge in drawn if max(edge[:2]) < count]
    blocks = divide(count, _links(inside), fraction, seed)
    parts = [set(part.tolist()) for part in (blocks.train, blocks.test, blocks.seam)]
    assert sum(map(len, parts)) == count
    assert set().union(*parts) == set(range(count))
    for first, second, _, _ in inside:
        assert not ({first, second} & parts[0] and {first, second} & parts[1])
    assert parts[1]
    assert parts[0] or blocks.components == 1
