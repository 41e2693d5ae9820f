"""What counts as the same, what as a tie, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from osm.detection.onnx.proof import BOX_PX, SCORE, Rules, compare_tile, edge_cases, prove
from osm.errors import WeightsError

RULES = Rules(score_thr=0.01, nms_iou=0.5, max_per_img=100)


def found(*rows):
    values = np.asarray(rows, dtype=np.float32).reshape(-1, 5)
    return values[:, :4], values[:, 4]


SHIP = (10, 10, 30, 20, 0.9)


def test_equal_lists_have_no_difference():
    tile = found(SHIP, (50, 50, 60, 60, 0.4))
    difference = compare_tile(tile, tile, RULES)
    assert (difference.pairs, difference.box_px, difference.score, difference.ties) == (2, 0, 0, 0)
    assert not difference.strays


def test_the_largest_differences_are_reported():
    difference = compare_tile(found(SHIP), found((10, 10.25, 30, 20, 0.9005)), RULES)
    assert difference.pairs == 1
    assert difference.box_px == pytest.approx(0.25)
    assert difference.score == pytest.approx(5e-4, rel=1e-3)


@pytest.mark.parametrize(
    "other",
    [(10, 10, 30 + BOX_PX + 0.01, 20, 0.9 - SCORE - 1e-4), (10, 10, 30, 20, 0.9 - SCORE - 1e-4)],
    ids=["a corner and the score", "the score"],
)
def test_what_is_further_off_than_the_rule_strays_on_both_sides(other):
    difference = compare_tile(found(SHIP), found(other), RULES)
    # ONNX's is the less sure one: torch's may have suppressed nothing
    assert difference.pairs == 0
    assert difference.strays[0].endswith("in torch alone")


def test_what_is_missing_strays_and_what_is_below_the_floor_does_not():
    assert len(compare_tile(found(SHIP), found(), RULES).strays) == 1
    assert not compare_tile(found((*SHIP[:4], 0.04)), found(), RULES).strays


def test_no_partner_is_taken_twice():
    difference = compare_tile(found(SHIP, SHIP), found(SHIP), RULES)
    assert (difference.pairs, difference.ties) == (1, 1)


def test_an_overlap_at_the_threshold_is_a_tie():
    # IoU of 0.5: (20 · 10) of (20 · 20)
    sure, other = (0, 0, 20, 20, 0.9), (0, 0, 20, 10, 0.5)
    difference = compare_tile(found(sure, other), found(sure), RULES)
    assert (difference.pairs, difference.ties, difference.strays) == (1, 1, ())
    apart = (0, 0, 20, 8, 0.5)
    assert len(compare_tile(found(sure, apart), found(sure), RULES).strays) == 1


def test_a_less_sure_box_suppresses_nothing():
    sure, other = (0, 0, 20, 20, 0.9), (0, 0, 20, 10, 0.5)
    assert len(compare_tile(found(sure, other), found(other), RULES).strays) == 1


def test_equally_sure_boxes_may_suppress_each_other():
    one, two = (0, 0, 20, 20, 0.9), (2, 0, 22, 20, 0.9)
    difference = compare_tile(found(one), found(two), RULES)
    assert (difference.ties, difference.strays) == (2, ())


def test_the_end_of_a_full_list_is_a_tie_and_of_another_is_not():
    one, two = (0, 0, 5, 5, 0.3), (50, 50, 55, 55, 0.3)
    full, open_ = Rules(0.01, 0.5, 2), Rules(0.01, 0.5, 3)
    assert compare_tile(found(SHIP, one), found(SHIP, two), full).ties == 2
    assert len(compare_tile(found(SHIP, one), found(SHIP, two), open_).strays) == 2
    better = (0, 0, 5, 5, 0.4)
    assert len(compare_tile(found(SHIP, better), found(SHIP, two), full).strays) == 1


def search(by_level):
    """Finds in each tile what its largest value stands for."""

    def run(tiles):
        return [by_level(int(tile.max()), tile) for tile in tiles]

    return run


TILES = np.stack([np.pad(np.full((4, 4), level, np.uint8), ((0, 28), (0, 28))) for level in (100, 150, 200)])


def only_ships(level, tile):
    return found(SHIP) if level in (100, 150, 200) else found()


def test_a_search_that_is_the_same_is_proven():
    proof = prove("x.onnx", search(only_ships), search(only_ships), TILES, 2, RULES)
    assert (proof.tiles, proof.detections, proof.box_px, proof.score, proof.ties) == (7, 3, 0, 0, 0)


def test_one_stray_refuses_the_file():
    def less(level, tile):
        return found() if level == 150 else only_ships(level, tile)

    with pytest.raises(WeightsError, match="do not share"):
        prove("x.onnx", search(only_ships), search(less), TILES, 2, RULES)


def test_without_a_detection_nothing_is_proven():
    nothing = search(lambda level, tile: found())
    with pytest.raises(WeightsError, match="no detection"):
        prove("x.onnx", nothing, nothing, TILES, 2, RULES)


def test_a_file_that_minds_its_batch_is_refused():
    def alone(tiles):
        return [found((*SHIP[:4], 0.9 if len(tiles) > 1 else 0.8)) for _ in tiles]

    with pytest.raises(WeightsError, match="alone"):
        prove("x.onnx", search(lambda level, tile: found(SHIP)), alone, TILES, 7, RULES)


def test_a_file_whose_boxes_are_all_moved_is_refused():
    moved = (10, 10, 30 + BOX_PX + 0.01, 20, 0.9)

    def other(level, tile):
        return found(moved) if level in (100, 150, 200) else found()

    with pytest.raises(WeightsError, match="ties"):
        prove("x.onnx", search(only_ships), search(other), TILES, 2, RULES)


@pytest.mark.parametrize("level", [0, 255])
def test_ties_on_tiles_of_a_single_value_do_not_count(level):
    many = [[(x, y, x + 20, y + 20, 0.5) for x in range(0, 200, 40) for y in range(at, 200, 40)] for at in (0, 4)]

    def flat_too(rows):
        return search(
            lambda value, tile: found(*rows) if tile.min() == tile.max() == level else only_ships(value, tile)
        )

    proof = prove("x.onnx", flat_too(many[0]), flat_too(many[1]), TILES, 2, RULES)
    assert (proof.detections, proof.ties) == (3, 0)


def test_what_is_no_tie_refuses_the_file_on_any_tile():
    def more(level, tile):
        return found(SHIP) if level in (0, 100, 150, 200) else found()

    with pytest.raises(WeightsError, match=r"tile 3: .* in ONNX alone"):
        prove("x.onnx", search(only_ships), search(more), TILES, 2, RULES)


def test_detections_on_tiles_of_a_single_value_prove_nothing():
    flat = search(lambda level, tile: found(SHIP) if level in (0, 255) and tile.min() == tile.max() else found())
    with pytest.raises(WeightsError, match="no detection"):
        prove("x.onnx", flat, flat, TILES, 2, RULES)


def test_too_many_ties_refuse_the_file():
    one, two = (0, 0, 20, 20, 0.9), (2, 0, 22, 20, 0.9)

    def other(level, tile):
        return found(two) if level in (100, 150, 200) else found()

    def first(level, tile):
        return found(one) if level in (100, 150, 200) else found()

    with pytest.raises(WeightsError, match="6 ties"):
        prove("x.onnx", search(first), search(other), TILES, 2, RULES)


def test_edge_cases_are_what_occurs_at_the_edges_of_scenes():
    nothing, largest, noise, corner = edge_cases(64)
    assert (nothing.max(), largest.min()) == (0, 255)
    assert noise.std() > 10
    assert corner[-1].max() == 0
    assert corner[0].max() > 0
