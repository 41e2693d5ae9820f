"""Cells at fractions of the training scenes: folders, fingerprints, who is drawn, and what is refused before a cell."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.compare import fractions
from osm.compare.arms import gather_arms
from osm.compare.fractions import cell_folder, name_at, parse_fractions, parse_name
from osm.compare.plan import make_plan
from osm.compare.run import describe_data, load_study, run_plan
from osm.detection.finetune import read_split
from osm.errors import ConfigError, DataError

STEPS = {"train.min_steps": 6}


def plan_of(config, weights, **options):
    return make_plan(config, gather_arms([f"osm={weights['darknet-narrow']}"]), **options)


@given(st.text(min_size=1, max_size=9).filter(lambda text: "\n" not in text), st.integers(1, 1000))
def test_a_name_tells_detector_and_fraction(detector, thousandths):
    fraction = thousandths / 1000
    name = name_at(detector, fraction)
    assert parse_name(name) == (detector, pytest.approx(fraction, rel=1e-9))
    assert cell_folder(name, "osm", 3).parts[-2:] == (f"frac{fraction:g}", "seed3")


def test_without_fractions_cells_keep_their_folders():
    assert cell_folder("yolov3_d53", "osm", 0) == Path("cells/yolov3_d53/osm/seed0")
    assert cell_folder("yolov3_d53 (5 % of scenes)", "osm", 0) == Path("cells/yolov3_d53/osm/frac0.05/seed0")


def test_a_fraction_multiplies_cells_and_changes_no_other_cell(config, weights):
    plain = plan_of(config, weights)
    assert not any("frac" in str(cell.folder) for cell in plain.cells)
    plan = plan_of(config, weights, fractions=(1.0, 0.5), overrides=STEPS)
    assert len(plan.cells) == 2 * len(plain.cells)
    assert len({cell.folder for cell in plan.cells}) == len({cell.fingerprint for cell in plan.cells}) == 8
    assert [recipe.data.train_fraction for recipe in plan.recipes] == [0.5, 1.0]
    assert {cell.fingerprint for cell in plain.cells} == {cell.fingerprint for cell in plan_of(config, weights).cells}


def test_the_words_that_are_younger_than_finished_cells_leave_their_settings_alone(config, weights):
    settings = plan_of(config, weights).cells[0].recipe.settings()
    assert "min_steps" not in settings["train"]
    assert "validate_every_epochs" not in settings["train"]
    assert "validation_fraction" not in settings["data"]


def test_a_seed_draws_the_scenes_of_all_its_arms(config, weights, scenes_root):
    plan = plan_of(config, weights, fractions=(0.5, 1), overrides=STEPS)
    drawn = {}
    for cell in plan.cells:
        train, _ = read_split(cell.recipe, scenes_root)
        names = frozenset(scene.scene_id for scene in train)
        drawn.setdefault((cell.recipe.data.train_fraction, cell.seed), set()).add(names)
    # the same scenes in both arms, nested, and others with the other seed
    assert all(len(one) == 1 for one in drawn.values())
    half = [next(iter(drawn[0.5, seed])) for seed in (0, 1)]
    assert all(len(names) == 2 and names < next(iter(drawn[1.0, 0])) for names in half)
    assert half[0] != half[1]


def test_the_digest_of_the_data_is_that_of_all_scenes(config, weights, scenes_root):
    plan = plan_of(config, weights, fractions=(0.25, 0.5), overrides=STEPS)
    facts, digest = describe_data(plan, scenes_root)
    one = dataclasses.replace(plan, recipes=tuple(map(fractions.whole, plan.recipes)))
    assert facts["train_scenes"] == 4
    quarter, half = facts["label_fractions"]
    assert (quarter["train_scenes"], half["train_scenes"]) == (1, 2)
    assert all(steps >= 6 for steps in [*quarter["steps"], *half["steps"]])
    assert len(half["train_ships"]) == len(plan.seeds)
    # seeds draw other scenes: the labels of every scene count, whatever the first seed drew
    assert digest == describe_data(dataclasses.replace(one, seeds=(5,)), scenes_root)[1]


def test_two_fractions_of_one_scene_are_said_to_be_one(config, weights, scenes_root):
    plan = plan_of(config, weights, fractions=(0.2, 0.25), overrides=STEPS)
    facts, _ = describe_data(plan, scenes_root)
    assert fractions.caveats(facts["label_fractions"]) == ["20 % and 25 % are the same 1 scene."]


@pytest.mark.parametrize(
    ("shares", "overrides", "found"),
    [
        ((0.5, 1.5), STEPS, "above 0, at most 1"),
        ((0.5, 0.5), STEPS, "different ones"),
        ((0.5, 1.0), {}, "no train.min_steps"),
        ((0.5,), STEPS | {"data.train_fraction": 0.5}, "beside fractions"),
    ],
)
def test_what_cannot_be_is_refused(config, weights, shares, overrides, found):
    with pytest.raises(ConfigError, match=found):
        plan_of(config, weights, fractions=shares, overrides=overrides)


def test_too_few_tiles_are_found_before_a_cell_runs(config, weights, scenes_root, tmp_path):
    plan = plan_of(config, weights, fractions=(0.25, 1.0), overrides=STEPS | {"train.batch_size": 12})
    with pytest.raises(ConfigError, match=r"fraction 0\.25 of 4 training scenes, seed 0"):
        run_plan(plan, data_root=scenes_root, work_dir=tmp_path / "work")
    assert not (tmp_path / "work/cells").exists()


def test_fractions_of_the_command_line():
    assert parse_fractions("0.05,0.1,1") == (0.05, 0.1, 1.0)
    with pytest.raises(ConfigError, match="--fractions"):
        parse_fractions("5 %")


def test_cells_at_fractions_run_are_kept_and_are_read_back(config, scenes_root, tmp_path):
    overrides = {"train.min_steps": 2, "train.validate_every_epochs": 1, "data.validation_fraction": 0.25}
    plan = make_plan(config, gather_arms([]), seeds=[1], fractions=(0.5, 1), overrides=overrides)
    study = run_plan(plan, data_root=scenes_root, work_dir=tmp_path)
    assert study.detectors == ("yolov3_darknet-narrow (50 % of scenes)", "yolov3_darknet-narrow (100 % of scenes)")
    assert [cell.folder.relative_to(tmp_path) for cell in study.cells] == [
        Path(f"cells/yolov3_darknet-narrow/scratch/frac{share}/seed1") for share in ("0.5", "1")
    ]
    fresh = []
    again = run_plan(
        plan, data_root=scenes_root, work_dir=tmp_path, finished=lambda number, cell, new: fresh.append(new)
    )
    assert fresh == [False, False]
    assert [cell.scene for cell in again.cells] == [cell.scene for cell in study.cells]
    # what a report reads is under the seal of the cell
    (study.cells[0].folder / "validation.json").write_text("[]")
    with pytest.raises(DataError, match=r"validation\.json: found a file that was changed"):
        load_study(tmp_path)
