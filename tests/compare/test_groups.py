"""Groups that a comparison was told of once: remembered, replaced, and refused where they are of other scenes."""

import dataclasses
import json

import numpy as np
import pytest

from osm.cli.compare import group_scenes
from osm.cli.main import main
from osm.compare.arms import gather_arms
from osm.compare.groups import GROUPS, Grouping, make_grouping, places_of, recall, remember
from osm.compare.plan import make_plan
from osm.detection.predictions import ScenePrediction
from osm.errors import ConfigError, DataError
from osm.files import digests, write_json, write_sealed
from tests.compare.studies import a_study, report_of


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a comparison, as `osm compare` leaves it."""
    root = tmp_path_factory.mktemp("begun")
    study = a_study(root, detectors=("faster-rcnn_r18",), seeds=(0, 1))
    for cell in study.cells:
        files = digests(cell.folder, ("predictions.json",))
        values = {"detector": cell.detector, "arm": cell.arm, "seed": cell.seed, "tile": cell.tile, "scene": cell.scene}
        values |= {"seconds": cell.seconds, "coverage": cell.coverage, "files": files}
        write_sealed(cell.folder / "cell.json", values)
    plan = {key: getattr(study, key) for key in ("title", "data", "detectors", "seeds", "settings", "versions")}
    plan |= {"arms": [dataclasses.asdict(arm) for arm in study.arms], "skipped": [], "caveats": [], "format": 1}
    write_json(root / "plan.json", plan | {"baseline": "scratch", "groups": {"1": "north"}})
    return root


def report(*words):
    """The exit code of ``osm report``."""
    with pytest.raises(SystemExit) as stopped:
        main(["report", *map(str, words)])
    return stopped.value.code


def groups_of(folder):
    return {group["name"] for cell in report_of(folder / "report")["breakdown"] for group in cell["groups"]}


def write_list(path, **groups):
    path.write_text("scene,group\n" + "".join(f"{scene[1:]},{group}\n" for scene, group in groups.items()))
    return path


def test_a_comparison_remembers_what_it_was_told(begun, tmp_path, capsys):
    assert report(begun) == 0
    assert groups_of(begun) == {"north"}
    listed = write_list(tmp_path / "list.csv", s1="inshore", s2="offshore", s3="inshore")
    assert report(begun, "--groups", listed) == 0
    assert groups_of(begun) == {"inshore", "offshore"}
    assert report(begun) == 0  # told of nothing this time
    assert groups_of(begun) == {"inshore", "offshore"}
    assert "Groups of list.csv." in (begun / "report/report.md").read_text()
    (begun / GROUPS).unlink()
    assert report(begun) == 0
    assert groups_of(begun) == {"north"}


def test_a_wrong_list_is_refused_and_nothing_is_remembered(begun, tmp_path, capsys):
    listed = write_list(tmp_path / "list.csv", s77="inshore")
    assert report(begun, "--groups", listed) == 2
    assert "none of the test scenes" in capsys.readouterr().err
    assert not (begun / GROUPS).exists()


def test_scenes_without_a_position_cannot_be_told_apart_by_land(begun, tmp_path, capsys):
    pytest.importorskip("pyogrio", reason="the extra geo is not installed")
    assert report(begun, "--land-mask", tmp_path / "land.gpkg") == 2
    said = capsys.readouterr().err
    assert "none of which carries a position" in said
    assert "--groups" in said


def test_a_list_and_a_mask_contradict_each_other(tmp_path):
    with pytest.raises(ConfigError, match="one of the two"):
        make_grouping({}, listed=tmp_path / "a.csv", land_mask=tmp_path / "b.gpkg")
    assert make_grouping({}, listed=None, land_mask=None) is None


def test_a_damaged_memory_is_an_error(tmp_path):
    remember(tmp_path, Grouping({"1": "inshore"}, "x"))
    assert recall(tmp_path) == Grouping({"1": "inshore"}, "x")
    values = json.loads((tmp_path / GROUPS).read_text())
    values["groups"]["1"] = "offshore"
    (tmp_path / GROUPS).write_text(json.dumps(values))
    with pytest.raises(DataError, match="SHA-256"):
        recall(tmp_path)


def test_a_comparison_is_told_before_its_first_cell(config, scenes_root, tmp_path, capsys):
    plan = make_plan(config, gather_arms([]))
    listed = write_list(tmp_path / "list.csv", s5="inshore", s6="offshore")
    group_scenes(plan, scenes_root, tmp_path / "work", listed, None, 1000.0)
    assert recall(tmp_path / "work") == Grouping({"5": "inshore", "6": "offshore"}, "Groups of list.csv.")
    assert "Groups of list.csv." in capsys.readouterr().err
    group_scenes(plan, scenes_root, tmp_path / "other", None, None, 1000.0)
    assert recall(tmp_path / "other") is None


def test_ships_near_land_make_a_scene_inshore(tmp_path):
    pytest.importorskip("pyogrio", reason="the extra geo is not installed")
    from tests.data.test_coast import LAND, write_scene
    from tests.data.test_land import polygon, write_geojson

    path = write_scene(tmp_path / "scene.tif", (11.02, 54.5), side_px=400)  # 1.3 km from land, and 4 km wide
    none = np.zeros((0, 4))
    ships = {"a": [[0, 0, 20, 20]], "b": [[300, 300, 320, 320]], "c": none}
    scenes = [
        ScenePrediction(name, str(path), 400, 400, "none", box, [False] * len(box), none, [])
        for name, box in ships.items()
    ]
    land = write_geojson(tmp_path / "land.geojson", polygon(LAND))
    grouping = make_grouping(places_of(scenes), listed=None, land_mask=land, near_m=1500.0)
    assert grouping.groups == {"a": "inshore", "b": "offshore", "c": "offshore"}
    assert "within 1,500 m of land, by land.geojson" in grouping.note
