"""Running a comparison: cell by cell, nothing finished is lost or done twice, nothing half done is believed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from osm.compare.arms import gather_arms
from osm.compare.dispatch import CellsLostError, Dispatch
from osm.compare.plan import make_plan
from osm.compare.report import write_report
from osm.compare.run import load_study, run_plan
from osm.errors import ConfigError, DataError
from osm.files import InUseError, exclusive
from tests.compare.studies import report_of


def plan_of(config, weights, **options):
    return make_plan(config, gather_arms([f"osm={weights['darknet-narrow']}"]), **options)


@pytest.fixture(scope="module")
def finished(repo_root, scenes_root, weights, tmp_path_factory):
    """A whole comparison, run once: two arms, one seed."""
    folder = tmp_path_factory.mktemp("finished")
    config = folder / "tiny.py"
    config.write_text(
        f"title = 'Tiny'\ndetectors = ['{repo_root}/configs/detect/demo_yolov3_narrow.py']\nseeds = [0]\n"
        "overrides = {'data.tile_px': 128, 'data.overlap_px': 32, 'train.epochs': 1}\n"
    )
    plan = plan_of(config, weights)
    return plan, folder, run_plan(plan, data_root=scenes_root, work_dir=folder / "work")


def test_a_comparison_ends_in_a_report_of_all_its_cells(finished):
    _, folder, study = finished
    assert study.leakage["setting"] == "stop"
    assert (study.groups, study.pixel_m) == ({}, {})  # simulated scenes have neither
    page = write_report(study, folder / "work" / "report")
    assert page.name == "index.html"
    report = report_of(page.parent)
    assert {(cell["detector"], cell["arm"], cell["seed"]) for cell in report["cells"]} == {
        ("yolov3_darknet-narrow", "scratch", 0),
        ("yolov3_darknet-narrow", "osm", 0),
    }
    by_arm = {cell["arm"]: cell for cell in report["cells"]}
    metrics = json.loads((folder / "work/cells/yolov3_darknet-narrow/osm/seed0/metrics.json").read_text())
    assert by_arm["osm"]["ap50_tile"] == metrics["tile"]["ap50"]
    assert by_arm["osm"]["ap50_scene"] == metrics["scene"]["ap50"]
    assert by_arm["osm"]["coverage"] == 1.0
    assert by_arm["scratch"]["coverage"] is None
    (delta,) = [d for d in report["deltas"] if d["metric"] == "ap50_scene"]
    assert (delta["arm"], delta["baseline"]) == ("osm", "scratch")
    assert delta["mean"] == pytest.approx(by_arm["osm"]["ap50_scene"] - by_arm["scratch"]["ap50_scene"])


@pytest.mark.parametrize("name", ["predictions.json", "certificate.json", "training.json", "cell.json"])
def test_a_changed_file_of_a_finished_cell_is_found(finished, tmp_path, name):
    work = tmp_path / "work"
    shutil.copytree(finished[1] / "work", work)
    path = work / "cells/yolov3_darknet-narrow/osm/seed0" / name
    content = path.read_bytes()
    figure = max(index for index in range(len(content)) if content[index : index + 1] in b"12345678")
    path.write_bytes(content[:figure] + b"9" + content[figure + 1 :])
    with pytest.raises(DataError, match=rf"{name}: found a (file that was changed|content with SHA-256)"):
        load_study(work)


def test_the_study_says_what_its_data_are(finished):
    study = finished[2]
    assert study.data["simulated"] is True
    assert study.data["train_scenes"] == 4
    assert study.data["test_scenes"] == 2
    assert any("Simulated data" in caveat for caveat in study.caveats)
    assert any("One seed" in caveat for caveat in study.caveats)


def test_finished_cells_are_kept_and_a_missing_one_runs_again(finished, scenes_root):
    plan, folder, before = finished
    work = folder / "work"
    stamps = {cell.folder: (cell.folder / "cell.json").stat().st_mtime_ns for cell in before.cells}
    fresh = []
    run_plan(plan, data_root=scenes_root, work_dir=work, finished=lambda n, cell, new: fresh.append(new))
    assert fresh == [False, False]
    # without cell.json a cell was interrupted, whatever else lies there
    lost = before.cells[1].folder
    predictions = (lost / "predictions.json").read_bytes()
    (lost / "cell.json").unlink()
    (lost / "predictions.json").write_text("{ half")
    fresh.clear()
    after = run_plan(plan, data_root=scenes_root, work_dir=work, finished=lambda n, cell, new: fresh.append(new))
    assert sorted(fresh) == [False, True]
    assert (lost / "predictions.json").read_bytes() == predictions
    assert after.cells[0].tile == before.cells[0].tile
    kept = before.cells[0].folder
    assert (kept / "cell.json").stat().st_mtime_ns == stamps[kept]


def test_cells_of_other_settings_or_data_are_neither_mixed_nor_overwritten(finished, scenes_root, weights):
    _, folder, before = finished
    content = [(cell.folder / "cell.json").read_bytes() for cell in before.cells]
    other = plan_of(folder / "tiny.py", weights, overrides={"train.epochs": 2})
    with pytest.raises(ConfigError, match=r"cell\.json: found a finished cell of other settings"):
        run_plan(other, data_root=scenes_root, work_dir=folder / "work")
    assert [(cell.folder / "cell.json").read_bytes() for cell in before.cells] == content


def test_an_arm_can_be_added_later(finished, scenes_root, weights):
    _, folder, _ = finished
    arms = gather_arms([f"osm={weights['darknet-narrow']}", f"osm-other={weights['darknet-narrow']}"])
    fresh = {}
    study = run_plan(
        make_plan(folder / "tiny.py", arms),
        data_root=scenes_root,
        work_dir=folder / "work",
        finished=lambda n, cell, new: fresh.update({cell.arm: new}),
    )
    assert fresh == {"scratch": False, "osm": False, "osm-other": True}
    assert len(study.cells) == 3
    # the same weights under another name: the same cell
    figures = {cell.arm: cell.scene for cell in study.cells}
    assert figures["osm"] == figures["osm-other"]


def test_two_runs_in_one_folder_are_refused(finished, scenes_root):
    plan, folder, _ = finished
    with exclusive(folder / "work"), pytest.raises(InUseError, match="another run at work"):
        run_plan(plan, data_root=scenes_root, work_dir=folder / "work")


def test_a_folder_without_a_comparison_is_named(tmp_path):
    with pytest.raises(DataError, match=r"plan\.json: found no such file"):
        load_study(tmp_path)


def test_killed_in_the_middle_it_ends_as_an_undisturbed_run_does(finished, scenes_root, tmp_path):
    plan, folder, before = finished
    script = (
        "import sys; from pathlib import Path\n"
        "from osm.compare.arms import gather_arms\n"
        "from osm.compare.plan import make_plan\n"
        "from osm.compare.run import run_plan\n"
        "config, weights, data, work = map(Path, sys.argv[1:])\n"
        "run_plan(make_plan(config, gather_arms([f'osm={weights}'])), data_root=data, work_dir=work)\n"
    )
    export = next(cell.init.path for cell in plan.cells if cell.arm == "osm")
    work = tmp_path / "work"
    command = [sys.executable, "-c", script, str(folder / "tiny.py"), str(export), str(scenes_root), str(work)]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    second = work / "cells/yolov3_darknet-narrow/osm/seed0/certificate.json"
    deadline = time.monotonic() + 120
    while not second.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert second.is_file()
    assert not (second.parent / "cell.json").exists()
    fresh = {}
    study = run_plan(
        plan, data_root=scenes_root, work_dir=work, finished=lambda n, cell, new: fresh.update({cell.arm: new})
    )
    assert fresh == {"scratch": False, "osm": True}
    undisturbed = {cell.arm: cell.scene for cell in before.cells}
    assert {cell.arm: cell.scene for cell in study.cells} == undisturbed


def test_a_lost_process_costs_its_cell_and_the_next_run_finishes_the_rest(finished, scenes_root, tmp_path):
    plan, _, before = finished
    work = tmp_path / "work"
    second = work / "cells/yolov3_darknet-narrow/osm/seed0/certificate.json"
    killed = []

    def lose_the_second_cell():
        deadline = time.monotonic() + 200
        while not second.is_file() and time.monotonic() < deadline:
            time.sleep(0.02)
        for process in psutil.Process().children(recursive=True):
            if "submitit.core._submit" in process.cmdline():
                killed.append(process.pid)
                process.kill()

    watcher = threading.Thread(target=lose_the_second_cell)
    watcher.start()
    ran = {}

    def note(number, cell, fresh):
        ran[cell.arm] = fresh

    with pytest.raises(CellsLostError, match=r"1 of 2 cells lost \(yolov3_darknet-narrow/osm/seed0: .*log:"):
        run_plan(plan, data_root=scenes_root, work_dir=work, dispatch=Dispatch("local"), finished=note)
    watcher.join()
    assert len(killed) == 1
    assert ran == {"scratch": True}
    study = run_plan(plan, data_root=scenes_root, work_dir=work, dispatch=Dispatch("local"), finished=note)
    assert ran == {"scratch": False, "osm": True}
    # whichever process ran a cell, and however often it was begun
    figures = {cell.arm: cell.scene for cell in before.cells}
    assert {cell.arm: cell.scene for cell in study.cells} == figures


def test_a_cell_whose_record_was_cut_short_says_how_it_is_made_again(finished, scenes_root, tmp_path):
    plan, folder, _ = finished
    work = tmp_path / "work"
    shutil.copytree(folder / "work", work)
    record = work / "cells/yolov3_darknet-narrow/osm/seed0/cell.json"
    whole = record.read_bytes()
    for half in (whole[: len(whole) // 2], b"[]"):
        record.write_bytes(half)
        with pytest.raises(
            DataError, match=rf"cell\.json: found .*delete {record.parent} and run the same command again"
        ):
            run_plan(plan, data_root=scenes_root, work_dir=work)
