"""The recipes of Table III: what they compare, and under which rules."""

from __future__ import annotations

import pytest

from osm.compare.arms import gather_arms
from osm.compare.plan import make_plan
from osm.compat.config_files import read_config_file
from osm.errors import ConfigError

KINDS = {
    "table3.py": "air-sarship-1.0",
    "table3_air-sarship-2.0.py": "air-sarship-2.0",
    "table3_ssdd.py": "ssdd",
    "table3_hrsid.py": "hrsid",
}


@pytest.mark.parametrize("name", KINDS)
def test_table_iii_has_two_detectors_and_five_seeds_and_stops_at_leaks(repo_root, name):
    plan = make_plan(repo_root / "configs/compare" / name, gather_arms([]))
    assert [recipe.detector for recipe in plan.recipes] == ["faster-rcnn_r50", "yolov3_d53"]
    assert [recipe.architecture for recipe in plan.recipes] == ["resnet50", "darknet53"]
    assert plan.seeds == (0, 1, 2, 3, 4)
    assert plan.leakage == "stop"
    assert {recipe.data.kind for recipe in plan.recipes} == {KINDS[name]}
    # images that were cut from larger scenes overlap; the scenes of AIR-SARShip-1.0 were not
    assert all(recipe.data.drop_leaked_train == (name != "table3.py") for recipe in plan.recipes)


def test_the_test_images_of_air_sarship_2_are_a_run_of_numbers(repo_root):
    (recipe, _) = make_plan(repo_root / "configs/compare/table3_air-sarship-2.0.py", gather_arms([])).recipes
    assert recipe.data.test_ids == tuple(str(number) for number in range(211, 301))


def test_the_recipe_with_both_pretrainings_fuses_their_detectors(repo_root):
    path = repo_root / "configs/compare/table3_osd.py"
    with pytest.raises(ConfigError, match=r"a fusion of osd and osm, and no arm osd; .*--arm osd=FILE"):
        make_plan(path, gather_arms([]))
    assert read_config_file(path)["seeds"] == [0, 1, 2, 3, 4]
