from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from osm.data.neighbours import DIMENSIONS, OVERLAP, PARTS, Likeness, compare, describe, find_links, overlap_of
from osm.data.pairs import read_pairs
from osm.errors import ConfigError, DataError
from osm.files import write_json

Mosaic = Callable[..., tuple[Path, np.ndarray]]


def _true(place: np.ndarray) -> set[tuple[int, int]]:
    same = place[:, None, 0] == place[None, :, 0]
    near = (np.abs(place[:, None, 1:] - place[None, :, 1:]) <= 1).all(axis=2)
    return {(int(a), int(b)) for a, b in zip(*np.nonzero(same & near), strict=True) if a < b}


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_exactly_the_patches_that_overlap_are_linked(write_mosaic: Mosaic, noise: float) -> None:
    root, place = write_mosaic([(5, 4), (3, 6), (1, 1), (1, 2)], noise)
    links = find_links(read_pairs(root))
    found = {(min(a, b), max(a, b)) for a, b in zip(links.first.tolist(), links.second.tolist(), strict=True)}
    assert found == _true(place)
    np.testing.assert_array_equal(place[links.second][:, 1:] - place[links.first][:, 1:], links.step)


def test_an_overlap_that_is_one_pixel_off_is_found_too(write_mosaic: Mosaic) -> None:
    """At 256 px a cell is 4 px wide, and one pixel a quarter of it; at 64 px it would be a whole one."""
    root, place = write_mosaic([(3, 3), (2, 2)])
    pairs = read_pairs(root)
    sar, optical = pairs.sar_patches(range(len(pairs))), pairs.optical_patches(range(len(pairs)))
    # every pixel 4 times: patches of 256 px that overlap by 52
    large = [np.repeat(np.repeat(patches, 4, axis=1), 4, axis=2) for patches in (sar, optical)]
    links = compare(describe(*large, overlap=51 / 256).transpose(1, 0, 2).astype(np.float16), root)
    found = {(min(a, b), max(a, b)) for a, b in zip(links.first.tolist(), links.second.tolist(), strict=True)}
    sides = {(a, b) for a, b in _true(place) if np.abs(place[a] - place[b]).sum() == 1}
    assert sides <= found <= _true(place)


def test_a_near_duplicate_is_linked_once() -> None:
    drawing = np.random.default_rng(0)
    sar = drawing.integers(0, 200, (6, 32, 32), dtype=np.uint8)
    optical = drawing.integers(0, 200, (6, 32, 32, 3), dtype=np.uint8)
    sar[4] = sar[1] + drawing.integers(0, 9, (32, 32), dtype=np.uint8)
    optical[4] = optical[1] + 30
    links = compare(describe(sar, optical, overlap=0.0).transpose(1, 0, 2).astype(np.float16), Path("x"))
    assert (links.first.tolist(), links.second.tolist(), links.step.tolist()) == ([1], [4], [[0, 0]])


def test_vectors_have_length_1_or_0() -> None:
    drawing = np.random.default_rng(0)
    sar = drawing.integers(0, 255, (3, 64, 64), dtype=np.uint8)
    sar[2] = 7
    optical = np.full((3, 64, 64, 3), 9, dtype=np.uint8)
    vectors = describe(sar, optical, 0.2)
    assert vectors.shape == (3, len(PARTS), DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(vectors[:2], axis=2), 1, atol=1e-5)
    # without texture in either there is nothing to tell by
    assert not vectors[2].any()


def test_patches_that_all_look_alike_are_refused() -> None:
    vectors = np.zeros((len(PARTS), 200, DIMENSIONS), dtype=np.float16)
    vectors[:, :, 0] = 1
    with pytest.raises(DataError, match="more than 64 overlaps a pair"):
        compare(vectors, Path("x"))


def test_the_overlap_comes_from_the_record_of_the_build(write_mosaic: Mosaic) -> None:
    root, _ = write_mosaic([(2, 2)])
    assert overlap_of(root) == OVERLAP
    write_json(root / "report.json", {"settings": {"overlap": 0.6}})
    assert overlap_of(root) == 0.6
    with pytest.raises(DataError, match=r"overlap by 0\.6"):
        find_links(read_pairs(root))
    write_json(root / "report.json", {"settings": {"overlap": 0.0}})
    assert len(find_links(read_pairs(root))) == 0


def test_links_are_kept_until_a_file_changes(write_mosaic: Mosaic, tmp_path: Path) -> None:
    root, _ = write_mosaic([(3, 1)])
    looked = []
    for _ in range(2):
        links = find_links(read_pairs(root), cache=tmp_path / "cache", progress=lambda *step: looked.append(step))
        assert len(links) == 2
        assert looked == [(0, 3), (3, 3)]
    (root / "sar" / "1.png").touch()
    find_links(read_pairs(root), cache=tmp_path / "cache", progress=lambda *step: looked.append(step))
    assert len(looked) == 4


def test_what_counts_as_an_overlap_is_a_setting_and_not_taken_from_the_cache_of_another(
    write_mosaic: Mosaic, tmp_path: Path
) -> None:
    root, place = write_mosaic([(3, 3)], 3.0)
    pairs = read_pairs(root)
    usual = find_links(pairs, cache=tmp_path)
    strict = find_links(pairs, likeness=Likeness(edge=1.0, corner=1.0, whole=1.0), cache=tmp_path)
    assert len(usual) == len(_true(place))
    # noise keeps every correlation below 1
    assert len(strict) == 0
    assert len(find_links(pairs, likeness=Likeness(corner=1.0), cache=tmp_path)) == 12  # the sides alone


@pytest.mark.parametrize("number", [0.1, 1.2, float("nan")])
def test_a_likeness_out_of_range_is_refused(number: float) -> None:
    with pytest.raises(ConfigError, match=r"likeness of corner: found .* from 0\.2 to 1"):
        Likeness(corner=number)
