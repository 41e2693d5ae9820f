"""Choosing learning rates: the same trials for every arm, on scenes that no test and no trial's training touches."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from osm.compare.arms import gather_arms
from osm.compare.cells import finished_cells, ran
from osm.compare.dry_run import dry_run
from osm.compare.fairness import FairnessError
from osm.compare.grid import Grid, parse_lrs, read_grid
from osm.compare.held_out import choose_held_out, scene_groups
from osm.compare.leaks import LeakReport, check_leaks
from osm.compare.plan import make_plan
from osm.compare.report import write_report
from osm.compare.run import describe_data, load_study, run_plan
from osm.compare.tuning import choose, edges, held_out_scenes, trials, tune_plan
from osm.data.scenes import read_scenes
from osm.detection.conditions import read_conditions
from osm.detection.finetune import hold_out, read_split
from osm.detection.predictions import read_predictions
from osm.errors import ConfigError, DataError
from osm.files import read_json, write_sealed
from osm.simulate import simulate_scenes
from tests.compare.studies import page_of, report_of

CELLS = "yolov3_darknet-narrow"


def write_config(folder, repo_root, *lines):
    path = folder / "tiny.py"
    path.write_text(
        f"title = 'Tiny'\ndetectors = ['{repo_root}/configs/detect/demo_yolov3_narrow.py']\nseeds = [0, 1]\n"
        "overrides = {'data.tile_px': 128, 'data.overlap_px': 32, 'train.epochs': 1}\n"
        "tune = dict(lrs=[0.002, 0.0005], seeds=[0], fraction=0.25)\n" + "\n".join(lines)
    )
    return path


@pytest.fixture
def plan(repo_root, weights, tmp_path):
    return make_plan(write_config(tmp_path, repo_root), gather_arms([f"osm={weights['darknet-narrow']}"]))


# ---------------------------------------------------------------- the grid


def test_the_grid_is_the_same_for_every_arm_and_rises(plan):
    assert plan.grid == Grid({CELLS: (0.0005, 0.002)}, (0,), 0.25, 0)
    assert parse_lrs("0.005, 1e-2") == (0.005, 0.01)
    assert read_grid("c", None, None, ["a"], [0]) is None
    own = read_grid("c", {"lrs": {"a": [1, 2], "b": [3e-4, 3e-3]}}, None, ["a", "b"], [4, 5, 6, 7])
    assert own == Grid({"a": (1.0, 2.0), "b": (0.0003, 0.003)}, (4, 5, 6))
    # the command line's stand in place of the config's, which keeps its other words
    assert read_grid("c", {"lrs": [1, 2], "seeds": [9]}, (0.1, 0.2), ["a"], [0]) == Grid({"a": (0.1, 0.2)}, (9,))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"lr": [1, 2]}, r"an unknown word 'lr' in tune"),
        ({"lrs": [0.1]}, r"learning rates \[0\.1\] for a"),
        ({"lrs": [0.1, 0.1]}, "two or more different ones"),
        ({"lrs": [0.1, -0.1]}, "above 0"),
        ({"lrs": {"b": [1, 2]}}, r"an unknown word 'b' in tune\.lrs"),
        ({}, "learning rates None for a"),
        ({"lrs": [1, 2], "fraction": 0.6}, r"tune\.fraction = 0\.6"),
        ({"lrs": [1, 2], "seeds": []}, r"tune\.seeds"),
        ({"lrs": [1, 2], "seeds": ["0"]}, r"tune\.seeds"),
        ({"lrs": [1, float("nan")]}, "above 0"),
        ({"lrs": 0.1}, r"learning rates 0\.1 for a"),
        ([0.1, 0.2], r"tune = \[0\.1, 0\.2\]; expected tune = dict"),
    ],
)
def test_a_wrong_grid_is_named(words, named):
    with pytest.raises(ConfigError, match=named):
        read_grid("config.py", words, None, ["a"], [0])


def test_rates_that_are_no_numbers_are_named():
    with pytest.raises(ConfigError, match=r"--tune: found '0\.1;0\.2'"):
        parse_lrs("0.1;0.2")


# ---------------------------------------------------------------- the rule


@given(st.dictionaries(st.sampled_from([0.001, 0.01, 0.1, 1.0]), st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1))
def test_the_best_is_chosen_and_of_equal_ones_the_lowest(means):
    chosen = choose(means)
    assert means[chosen] == max(means.values())
    assert all(lr >= chosen for lr, value in means.items() if value == means[chosen])


def test_a_sum_that_differs_in_its_last_bits_is_equal():
    assert choose({0.01: 0.1 + 0.2, 0.005: 0.3}) == 0.005


def test_a_choice_at_the_edge_of_the_grid_is_said():
    rows = [{"arm": "osm", "detector": "d", "lr": 0.02, "edge": True}, {"arm": "a", "detector": "d", "edge": False}]
    assert edges(rows) == [
        "Tuning: the best learning rate of osm with d, 0.02, lies at the edge of the grid; a better one may lie "
        "beyond it."
    ]


# ---------------------------------------------------------------- the scenes


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory):
    """Sixteen SSDD images; the second and third overlap, and the fourth shows a part of the first test image."""
    root = tmp_path_factory.mktemp("overlap") / "ssdd"
    simulate_scenes(root, count=16, seed=1, width_px=256, height_px=256, layout="ssdd")

    def paste(source, target):
        shown = np.asarray(Image.open(root / f"JPEGImages/{source:06d}.jpg"))
        path = root / f"JPEGImages/{target:06d}.jpg"
        hidden = np.asarray(Image.open(path)).copy()
        hidden[:200, :200] = shown[30:230, 40:240]
        Image.fromarray(hidden).save(path, quality=95)

    paste(2, 3)
    paste(9, 4)
    return root


def names(scenes):
    return {scene.scene_id for scene in scenes}


def test_scenes_that_show_one_place_hang_together(overlapping):
    train = read_scenes("ssdd", overlapping, "train", None)
    groups = [{train[index].scene_id for index in group} for group in scene_groups(train)]
    assert {"000002", "000003"} in groups
    assert sorted(map(len, groups), reverse=True)[:2] == [2, 1]
    assert sum(map(len, groups)) == len(train)


def test_what_is_held_out_touches_neither_the_test_nor_what_the_trials_train_on(
    overlapping, repo_root, weights, tmp_path
):
    settings = "overrides |= {'data.kind': 'ssdd', 'data.radiometry': 'none'}", "leakage = 'warn'"
    config = write_config(tmp_path, repo_root, *settings)
    plan = make_plan(config, gather_arms([f"osm={weights['darknet-narrow']}"]))
    (recipe,) = plan.recipes
    train, test = read_split(recipe, overlapping)
    leaks = check_leaks(plan, overlapping, tmp_path)
    chosen = set()
    for seed in range(12):
        drawn = dataclasses.replace(plan, grid=dataclasses.replace(plan.grid, split_seed=seed, fraction=0.4))
        held_out = held_out_scenes(drawn, leaks, overlapping, tmp_path)
        # of every trial, as it will train
        for cell in trials(drawn, held_out):
            kept, scored = hold_out(train, cell.held_out)
            assert names(scored) == set(cell.held_out) == names(held_out[CELLS])
            assert names(scored) <= names(train)
            assert not names(scored) & names(test)
            assert not names(scored) & names(kept)
            assert len(kept) + len(scored) == len(train)
        # the overlapping two stay together, and what shows a test scene never chooses
        assert len({"000002", "000003"} & names(scored)) in (0, 2)
        assert "000004" not in names(scored)
        assert 0 < len(scored) <= round(0.4 * len(train))
        chosen.add(frozenset(names(scored)))
    assert len(chosen) > 6
    assert any("000002" in one for one in chosen)


def test_where_nothing_can_be_held_out_it_is_said(overlapping):
    train = read_scenes("ssdd", overlapping, "train", None)
    pair = [scene for scene in train if scene.scene_id in ("000002", "000003")]
    grid = Grid({"a": (1.0, 2.0)}, (0,), 0.5)
    with pytest.raises(DataError, match=r"2 training scenes in 1 groups that show the same place \(the largest: 2\)"):
        choose_held_out(pair, grid, overlapping)
    with pytest.raises(DataError, match="none that can be held out"):
        choose_held_out(train, grid, overlapping, never=names(train))


# ---------------------------------------------------------------- end to end


@pytest.fixture(scope="module")
def tuned(repo_root, scenes_root, weights, tmp_path_factory):
    """Two learning rates in two arms, killed after the first trial and resumed; then the comparison itself."""
    folder = tmp_path_factory.mktemp("tuned")
    config = write_config(folder, repo_root, "seeds = [0]")
    plan = make_plan(config, gather_arms([f"osm={weights['darknet-narrow']}"]))
    work = folder / "work"
    script = (
        "import sys; from pathlib import Path\n"
        "from osm.compare.arms import gather_arms\n"
        "from osm.compare.plan import make_plan\n"
        "from osm.compare.tuning import tune_plan\n"
        "config, weights, data, work = map(Path, sys.argv[1:])\n"
        "tune_plan(make_plan(config, gather_arms([f'osm={weights}'])), data_root=data, work_dir=work)\n"
    )
    export = str(weights["darknet-narrow"])
    command = [sys.executable, "-c", script, str(config), export, str(scenes_root), str(work)]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    second = work / f"tune/{CELLS}/osm/lr0.0005/seed0/certificate.json"
    deadline = time.monotonic() + 200
    while not second.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert second.is_file()
    fresh = []
    chosen = tune_plan(
        plan, data_root=scenes_root, work_dir=work, finished=lambda number, cell, new: fresh.append((number, new))
    )
    study = run_plan(chosen, data_root=scenes_root, work_dir=work)
    return plan, chosen, study, work, fresh


def test_killed_in_the_middle_the_finished_trials_are_kept(tuned):
    assert tuned[4] == [(0, False), (1, True), (2, True), (3, True)]


def test_trials_are_scored_on_what_was_held_out_and_the_comparison_on_the_test(tuned, scenes_root):
    plan, chosen, study, work, _ = tuned
    held_out = set(chosen.tuning["detectors"][CELLS]["held_out"])
    train, test = read_split(plan.recipes[0], scenes_root)
    assert held_out
    assert held_out < names(train)
    for path in work.glob("tune/**/predictions.json"):
        assert names(read_predictions(path).scenes) == held_out
        data = read_conditions(path.parent)["data"]
        assert data["train_scenes"]["count"] == len(train) - len(held_out)
    for cell in study.cells:
        assert names(read_predictions(cell.folder / "predictions.json").scenes) == names(test)
        assert read_conditions(cell.folder)["data"]["train_scenes"]["count"] == len(train)


def test_each_arm_runs_with_what_it_did_best_with(tuned):
    _, chosen, study, work, _ = tuned
    rows = chosen.tuning["trials"]
    assert [(row["arm"], row["lr"]) for row in rows] == [
        ("scratch", 0.0005), ("scratch", 0.002), ("osm", 0.0005), ("osm", 0.002),
    ]  # fmt: skip
    for row in rows:
        found = read_json(work / f"tune/{CELLS}/{row['arm']}/lr{row['lr']}/seed0/cell.json")
        assert row["ap50"] == found["scene"]["ap50"]
    for cell in study.cells:
        own = {row["lr"]: row["ap50"] for row in rows if row["arm"] == cell.arm}
        conditions = read_conditions(cell.folder)
        assert conditions["recipe"]["train"]["optimizer"]["lr"] == choose(own)
        assert conditions["tuning"]["lrs"] == [0.0005, 0.002]
    assert study.tuning == chosen.tuning
    assert study.settings["tuned_lr"] == {CELLS: {row["arm"]: row["lr"] for row in rows if row["chosen"]}}
    assert sum("edge of the grid" in caveat for caveat in study.caveats) == 2  # of two rates, each is an edge


def test_the_report_shows_the_trials_and_the_lock_lets_the_rates_differ(tuned, tmp_path):
    study = tuned[2]
    write_report(study, tmp_path)
    found = report_of(tmp_path)
    assert found["fairness"] == {"compared": 2, "unknown": [], "identical": True, "tuned": True}
    assert found["tuning"]["trials"] == study.tuning["trials"]
    assert "Learning rates that were tried" in page_of(tmp_path).text


def test_a_dry_run_counts_the_trials(tuned, scenes_root, tmp_path):
    plan, chosen, _, work, _ = tuned
    over = dry_run(plan, data_root=scenes_root, work_dir=work)
    assert [(cell.name, done) for cell, done in over.cells] == [
        *((cell.name, True) for cell in trials(plan, held_out_scenes(plan, LeakReport((), ()), scenes_root, tmp_path))),
        *((cell.name, True) for cell in chosen.cells),
    ]
    assert over.left_s == 0
    ahead = dry_run(plan, data_root=scenes_root, work_dir=tmp_path / "new")
    assert [done for _, done in ahead.cells] == [False] * 6
    trial, own = (next(ahead.cost(cell) for cell, _ in ahead.cells if bool(cell.held_out) == kind) for kind in (1, 0))
    assert trial.steps < own.steps


def test_a_cell_of_another_choice_is_not_taken_for_one_of_this(tuned, scenes_root):
    plan, _, _, work, _ = tuned
    digest = describe_data(plan, scenes_root)[1]
    with pytest.raises(ConfigError, match=r"found a finished cell of other settings") as caught:
        finished_cells(plan.cells, digest, work)
    assert "tuning: {" in caught.value.details
    assert caught.value.details.splitlines()[0] == "found there | asked for"


def test_a_real_cell_that_ran_otherwise_stops_the_report_and_the_comparison(tuned, scenes_root):
    _, chosen, study, work, _ = tuned
    path = work / f"cells/{CELLS}/osm/seed0/conditions.json"
    before, cell = path.read_bytes(), path.with_name("cell.json").read_bytes()
    values = read_json(path)
    values["frozen"]["conv_res_block1"]["norms_eval"] = 3
    try:
        write_sealed(path, values)
        # the cell knows the file that it left
        with pytest.raises(DataError, match=r"conditions\.json: found a file that was changed or damaged"):
            load_study(work)
        with pytest.raises(FairnessError, match=r"\(frozen\.conv_res_block1\.norms_eval\)"):
            write_report(study, work / "never")
        path.with_name("cell.json").write_text(cell.decode().replace('"sha256"', '"unsealed"'))
        with pytest.raises(FairnessError) as caught:
            run_plan(chosen, data_root=scenes_root, work_dir=work)
    finally:
        path.write_bytes(before)
        path.with_name("cell.json").write_bytes(cell)
    assert caught.value.details.splitlines() == [
        f"{CELLS}/scratch/seed0 | {CELLS}/osm/seed0",
        "  frozen.conv_res_block1.norms_eval: 0 | 3",
    ]
    assert not (work / "never").exists()


def test_a_plan_whose_arms_differ_stops_before_anything_runs(plan, scenes_root, tmp_path):
    longer = dataclasses.replace(plan.cells[1].recipe, train=dataclasses.replace(plan.cells[1].recipe.train, epochs=2))
    cells = (plan.cells[0], dataclasses.replace(plan.cells[1], recipe=longer), *plan.cells[2:])
    unfair = dataclasses.replace(plan, cells=cells, grid=None)
    with pytest.raises(FairnessError, match=r"\(recipe\.train\.epochs\)") as caught:
        run_plan(unfair, data_root=scenes_root, work_dir=tmp_path / "work")
    assert "recipe.train.epochs: 1 | 2" in caught.value.details
    assert not (tmp_path / "work" / "cells").exists()
    assert not (tmp_path / "work" / "plan.json").exists()


def test_an_arm_added_under_another_version_stops_before_it_runs(tuned, scenes_root, weights, monkeypatch):
    from osm.compare import cells

    _, chosen, _, work, _ = tuned
    real = cells.software
    monkeypatch.setattr(cells, "software", lambda recipe: {**real(recipe), "torch": "1.0"})
    run_plan(chosen, data_root=scenes_root, work_dir=work)  # nothing is left to run, and all agree
    more = [dataclasses.replace(cell, arm="osm-other") for cell in chosen.cells if cell.arm == "osm"]
    with pytest.raises(FairnessError, match=r"\(software\.torch\b") as caught:
        run_plan(dataclasses.replace(chosen, cells=(*chosen.cells, *more)), data_root=scenes_root, work_dir=work)
    assert caught.value.details.count("| this run") == 2
    assert not (work / f"cells/{CELLS}/osm-other").exists()


def test_a_rate_at_which_the_loss_runs_away_is_an_answer(repo_root, scenes_root, weights, tmp_path):
    config = write_config(tmp_path, repo_root, "tune['lrs'] = [1e-4, 1e30]", "overrides['train.clip_norm'] = 0.0")
    plan = make_plan(config, gather_arms([]))
    plan = dataclasses.replace(plan, cells=tuple(cell for cell in plan.cells if cell.seed == 0))
    chosen = tune_plan(plan, data_root=scenes_root, work_dir=tmp_path / "work")
    low, high = chosen.tuning["trials"]
    assert (high["ap50"], high["per_seed"][0]["diverged"], low["chosen"]) == (0.0, True, True)
    assert [cell.lr for cell in chosen.cells] == [1e-4]
    # what did not come to its end is not held to what the others ran with
    held_out = held_out_scenes(plan, LeakReport((), ()), scenes_root, tmp_path)
    (compared,) = ran(trials(plan, held_out), tmp_path / "work")
    assert compared.name == f"tune/{CELLS}/scratch/lr0.0001/seed0"


def test_cells_that_were_finished_otherwise_stop_before_any_trial(tuned, scenes_root):
    """Trials may take hours, and the comparison would only then refuse the cells."""
    plan, _, _, work, _ = tuned
    other = dataclasses.replace(plan, grid=dataclasses.replace(plan.grid, fraction=0.4))
    before = sorted((work / "tune").rglob("*"))
    begun = []
    with pytest.raises(ConfigError, match="a cell that was finished with a learning rate that was tuned otherwise"):
        tune_plan(other, data_root=scenes_root, work_dir=work, started=begun.append)
    assert begun == []
    assert sorted((work / "tune").rglob("*")) == before
    with pytest.raises(ConfigError, match="tuned otherwise"):
        dry_run(other, data_root=scenes_root, work_dir=work)
