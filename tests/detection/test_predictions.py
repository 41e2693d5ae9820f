"""predictions.json: a round trip changes nothing, and nothing broken is read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from osm.detection.evaluate import average_precision
from osm.detection.predictions import Predictions, ScenePrediction, TilePrediction, read_predictions
from osm.errors import DataError

FIELDS = ("truth", "ignore", "boxes", "scores")


def boxes_and_flags(count):
    finite = st.floats(-1e6, 1e6, width=32)
    return st.tuples(
        arrays(np.float32, (count, 4), elements=finite),
        arrays(np.bool_, count),
        arrays(np.float32, (count + 1, 4), elements=finite),
        arrays(np.float32, count + 1, elements=finite),
    )


def small():
    truth, boxes = [[0, 0, 10, 10]], [[0, 0, 10, 9], [20.1, 20, 30, 30]]
    scene = ScenePrediction("1", "images/1.png", 60, 40, "max", truth, [False], boxes, [0.9, 0.1])
    tiles = [TilePrediction("1", (x, 0, x + 40, 40), truth, [False], boxes, [0.9, 0.1]) for x in (0, 20)]
    return Predictions((scene,), tuple(tiles))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 3).flatmap(boxes_and_flags), st.text(max_size=8))
def test_a_round_trip_changes_nothing(tmp_path, columns, name):
    scene = ScenePrediction(name, f"/some/{name}.tiff", 3000, 2999, "percentile:0.5,99.5", *columns)
    tile = TilePrediction(name, (0, 100, 512, 612), *columns)
    path = tmp_path / "predictions.json"
    Predictions((scene,), (tile,)).write(path)
    again = read_predictions(path)
    for before, after in ((scene, again.scenes[0]), (tile, again.tiles[0])):
        for field in FIELDS:
            written, read = getattr(before, field), getattr(after, field)
            assert written.dtype == read.dtype
            np.testing.assert_array_equal(written, read)
    assert (again.scenes[0].scene_id, again.scenes[0].image_path) == (name, f"/some/{name}.tiff")
    assert (again.scenes[0].width_px, again.scenes[0].height_px) == (3000, 2999)
    assert again.scenes[0].radiometry == "percentile:0.5,99.5"
    assert again.tiles[0].window == (0, 100, 512, 612)


def test_results_are_ready_for_the_evaluator(tmp_path):
    predictions = small()
    assert average_precision(predictions.scene_results()).ap50 == 1
    assert average_precision(predictions.tile_results()).truth_count == 2
    assert len({result.image_id for result in predictions.tile_results()}) == 2


def test_the_file_has_the_fields_of_the_contract(tmp_path):
    small().write(tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text())
    assert content["format"] == 1
    assert content["scenes"] == [
        {"scene_id": "1", "image_path": "images/1.png", "width_px": 60, "height_px": 40, "radiometry": "max"}
        | {"truth": [[0, 0, 10, 10]], "ignore": [False], "boxes": [[0, 0, 10, 9], [20.1, 20, 30, 30]]}
        | {"scores": [0.9, 0.1]}
    ]
    assert set(content["tiles"][0]) == {"scene_id", "window", *FIELDS}


def test_a_number_that_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="not finite"):
        ScenePrediction("1", "1.png", 9, 9, "max", [[0, 0, np.nan, 1]], [False], [], [])


def spoil(change):
    def spoiled(path):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return spoiled


BREAKAGES = {
    "cut short": (lambda p: p.write_text(p.read_text()[:-40]), "broken JSON"),
    "missing": (lambda p: p.unlink(), "no such file"),
    "a list": (lambda p: p.write_text("[]"), "found list"),
    "other format": (spoil(lambda c: c.update(format=2)), "format 2"),
    "no tiles": (spoil(lambda c: c.pop("tiles")), "no 'tiles'"),
    "no scores": (spoil(lambda c: c["scenes"][0].pop("scores")), r"no 'scores' in scenes\[0\]"),
    "a score too many": (spoil(lambda c: c["tiles"][1]["scores"].append(0.5)), r"2 boxes, 3 scores in tiles\[1\]"),
    "NaN": (spoil(lambda c: c["scenes"][0]["scores"].__setitem__(0, float("nan"))), "not finite"),
    "infinite": (spoil(lambda c: c["tiles"][0]["boxes"][0].__setitem__(2, 1e39)), "not finite"),
    "null": (spoil(lambda c: c["tiles"][0]["boxes"][0].__setitem__(2, None)), r"tiles\[0\]"),
    "a flag too few": (spoil(lambda c: c["scenes"][0]["ignore"].clear()), "0 ignore flags"),
    "flags as words": (spoil(lambda c: c["scenes"][0].update(ignore=["false"])), "ignore"),
    "three edges": (spoil(lambda c: c["tiles"][0]["window"].pop()), r"tiles\[0\]"),
    "no extent": (spoil(lambda c: c["tiles"][0].update(window=[5, 5, 5, 9])), "empty window"),
    "boxes of three": (spoil(lambda c: c["scenes"][0].update(boxes=[[1, 2, 3], [1, 2, 3]])), "shape"),
    "size as word": (spoil(lambda c: c["scenes"][0].update(width_px="60")), "width_px"),
    "a scene twice": (spoil(lambda c: c["scenes"].append(c["scenes"][0])), "scene 1 twice"),
    "a tile twice": (spoil(lambda c: c["tiles"].append(c["tiles"][0])), "tile 1@0,0,40,40 twice"),
    "scenes a number": (spoil(lambda c: c.update(scenes=3)), "scenes"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, name):
    path = tmp_path / "predictions.json"
    small().write(path)
    breakage, message = BREAKAGES[name]
    breakage(path)
    with pytest.raises(DataError, match=message) as caught:
        read_predictions(path)
    assert "predictions.json" in caught.value.line
    assert "\n" not in caught.value.line
