"""What a folder is found to be."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osm.errors import DataError
from osm.files import write_json
from osm.view.find import open_collection
from tests.view.made import FOUND_A, FOUND_B, SCORES_A, SCORES_B, SHIPS, a_comparison, a_search, coco, predictions

SCENES = {"one": "images/one.png", "two": "images/two.png"}


def test_a_comparison_has_its_detectors_arms_and_seeds(tmp_path):
    found = open_collection(a_comparison(tmp_path / "c", SCENES))
    assert found.kind == "comparison"
    assert found.title == "A <b>title</b>"
    assert [run.label for run in found.runs] == [
        f"faster-rcnn_r18 · {arm} · seed {seed}" for arm in ("scratch", "osm (partial)") for seed in (2, 10)
    ]
    assert found.scene_ids == ("one", "two")
    assert found.has_truth
    assert found.pixel_m == {"one": 2.5}
    entry = found.entry(3, "two")
    np.testing.assert_array_equal(entry.scene.boxes, FOUND_B)
    np.testing.assert_array_equal(found.result(entry).truth, SHIPS)
    assert found.entry(0, "three") is None


def test_a_single_run_and_a_single_file(tmp_path):
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "predictions.json"
    predictions(SCENES, FOUND_A, SCORES_A).write(path)
    for folder in (tmp_path / "run", path):
        found = open_collection(folder)
        assert found.scene_ids == ("one", "two")
        assert len(found.runs) == 1
        assert found.has_truth


def test_a_search_with_truth_and_a_second_one(tmp_path):
    first = a_search(tmp_path / "first", SCENES)
    second = a_search(tmp_path / "second", SCENES | {"three": "images/three.png"}, FOUND_B, SCORES_B)
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps(coco("elsewhere/two.tif", SHIPS)))
    found = open_collection(first, truth=truth, second=second)
    assert (found.kind, [run.arm for run in found.runs]) == ("ships found", ["first", "second"])
    assert found.scene_ids == ("one", "two", "three")
    assert found.entry(0, "three") is None
    assert found.first_entry("three", 0).scene.scene_id == "three"
    # truth is found by the name of the image
    assert found.truth_of(found.entry(0, "one")) is None
    np.testing.assert_array_equal(found.result(found.entry(1, "two")).truth, SHIPS)
    assert len(found.result(found.entry(1, "one")).truth) == 0
    alone = open_collection(first)
    assert not alone.has_truth
    # two folders of one name can be told apart
    other = a_search(tmp_path / "x" / "first", SCENES)
    assert len({run.arm for run in open_collection(first, second=other).runs}) == 2


def test_a_broken_file_among_several_is_said_and_the_others_are_shown(tmp_path):
    folder = a_search(tmp_path / "s", SCENES)
    (folder / "bad.coco.json").write_text("{")
    outside = tmp_path / "outside.coco.json"
    outside.write_text(json.dumps(coco("x.tif", SHIPS, [0.1, 0.2, 0.3])))
    (folder / "link.coco.json").symlink_to(outside)
    found = open_collection(folder)
    assert found.scene_ids == ("one", "two")
    assert len(found.notes) == 2
    assert any("bad.coco.json" in note for note in found.notes)
    assert any("link.coco.json" in note and "leads out" in note for note in found.notes)


def test_what_cannot_be_shown_is_one_line(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"an empty folder.*osm detect.*osm finetune"):
        open_collection(empty)
    (empty / "readme.txt").write_text("x")
    with pytest.raises(DataError, match=r"none of it, but readme\.txt"):
        open_collection(empty)
    with pytest.raises(DataError, match="no such folder"):
        open_collection(tmp_path / "gone")
    (tmp_path / "odd.json").write_text("[1]")
    with pytest.raises(DataError, match=r"odd\.json"):
        open_collection(tmp_path / "odd.json")
    write_json(tmp_path / "none.json", {"images": [], "annotations": []})
    with pytest.raises(DataError, match="without a scene"):
        open_collection(tmp_path / "none.json")
    search = a_search(tmp_path / "s", SCENES)
    with pytest.raises(DataError, match="no box without a score"):
        open_collection(search, truth=search)
    with pytest.raises(DataError, match="--images"):
        open_collection(search, images=[tmp_path / "gone"])


@pytest.mark.parametrize(
    "plan",
    [5, {}, {"arms": 5, "detectors": 3, "pixel_m": [1]}, {"arms": [3, {"name": 1}, {"name": "osm"}], "title": ["x"]},
     {"pixel_m": {"one": 10**400, "two": "x", "three": -1}}],
)  # fmt: skip
def test_a_plan_that_is_broken_costs_its_labels_alone(tmp_path, plan):
    folder = a_comparison(tmp_path / "c", SCENES)
    write_json(folder / "plan.json", plan)
    found = open_collection(folder)
    assert len(found.runs) == 4
    assert {run.arm for run in found.runs} == {"osm", "scratch"}
    assert found.pixel_m == {}


def test_a_plan_that_is_no_json_is_said(tmp_path):
    folder = a_comparison(tmp_path / "c", SCENES)
    (folder / "plan.json").write_text("{")
    with pytest.raises(DataError, match=r"plan\.json"):
        open_collection(folder)
