"""The transfer probe: the same labels and draws for every start, nothing done twice, nothing leaked."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from osm.data.scenes import read_scenes
from osm.detection import probe as module
from osm.detection.arms import Init
from osm.detection.engine import build_detector
from osm.detection.probe import paired_difference, probe, probe_scenes, probe_starts
from osm.detection.recipe import load_recipe
from osm.detection.starts import check_start
from osm.errors import ConfigError, DataError, WeightsError
from osm.files import InUseError, exclusive
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_backbone
from osm.transfer.initialise import initialise


@pytest.fixture(scope="session")
def recipe(repo_root):
    return load_recipe(repo_root / "configs/probe/simulated.py", {"train.epochs": 1, "train.precision": "float32"})


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    """Two exports of untrained backbones."""
    folder = tmp_path_factory.mktemp("exports")
    paths = []
    for seed in (8, 9):
        backbone = build_backbone("darknet-narrow")
        initialise(backbone, seed)
        paths.append(folder / f"{seed}.safetensors")
        export_backbone(paths[-1], backbone, Card("darknet-narrow", InputContract.of("darknet-narrow")))
    return paths


def options(root, folder, **changed):
    return {"data_root": root, "seeds": (0,), "score_on": "val", "work_dir": folder, "jobs": 0, **changed}


@pytest.fixture(scope="module")
def finished(recipe, exports, scenes_root, tmp_path_factory):
    """Two starts, two seeds, run once."""
    folder = tmp_path_factory.mktemp("probe")
    starts = [check_start(Init("scratch"), recipe), check_start(Init("osm", exports[0]), recipe)]
    return starts, folder, probe_starts(starts, recipe, **options(scenes_root, folder, seeds=(0, 1)))


@pytest.mark.parametrize("name", ["ssdd", "simulated"])
def test_every_config_builds_its_detector_small(repo_root, name):
    recipe = load_recipe(repo_root / f"configs/probe/{name}.py")
    model, _ = build_detector(recipe, seed=0, weights=None, min_coverage=0.0)
    sizes = {part: sum(p.numel() for p in getattr(model, part).parameters()) for part in ("backbone", "neck")}
    head = sum(p.numel() for p in model.bbox_head.parameters())
    assert head + sizes["neck"] < 0.35 * sizes["backbone"]


def test_a_probe_gives_figures_seed_by_seed(finished):
    starts, folder, (scratch, osm) = finished
    assert scratch.seeds == osm.seeds == (0, 1)
    for result in (scratch, osm):
        assert all(0 <= value <= 1 for value in result.ap50)
        assert result.mean == pytest.approx(sum(result.ap50) / 2)
        assert result.sd == pytest.approx(abs(result.ap50[0] - result.ap50[1]) / 2**0.5)
        assert result.seconds > 0
    gain, spread = paired_difference(osm, scratch)
    each = [a - b for a, b in zip(osm.ap50, scratch.ap50, strict=True)]
    assert gain == pytest.approx(sum(each) / 2)
    assert spread == pytest.approx(abs(each[0] - each[1]) / 2**0.5)
    report = json.loads((folder / "probe.json").read_text())
    assert [entry["start"] for entry in report["starts"]] == ["scratch", str(starts[1].init.path)]
    assert report["starts"][1]["ap50"] == osm.mean
    assert report["starts"][1]["difference"] == gain
    assert report["starts"][0]["difference"] == 0
    assert report["data"]["labelled_scenes"] == 2
    # a run leaves its figures behind, and nothing else
    assert {path.suffix for path in (folder / "runs").iterdir()} == {".json"}


def test_the_same_seed_gives_the_same_figure(finished, recipe, scenes_root, tmp_path):
    again = probe(None, recipe, **options(scenes_root, tmp_path))
    assert again.ap50 == finished[2][0].ap50[:1]
    assert again.runs[0].ap50_tile == finished[2][0].runs[0].ap50_tile


def test_finished_runs_are_kept_and_an_interrupted_one_starts_anew(finished, recipe, scenes_root, monkeypatch):
    starts, folder, before = finished
    ran = []
    run = module._run
    monkeypatch.setattr(module, "_run", lambda task, progress: (ran.append(task.seed), run(task, progress)))
    assert probe_starts(starts, recipe, **options(scenes_root, folder, seeds=(0, 1))) == before
    assert ran == []
    lost = folder / "runs" / f"{before[1].runs[1].fingerprint[:16]}.json"
    lost.unlink()
    lost.with_suffix("").mkdir()
    (lost.with_suffix("") / "training.json").write_text("[ half")
    after = probe_starts(starts, recipe, **options(scenes_root, folder, seeds=(0, 1)))
    assert ran == [1]
    assert after[1].ap50 == before[1].ap50
    assert not lost.with_suffix("").exists()


def test_killed_in_the_middle_it_goes_on_where_it_was(recipe, scenes_root, tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from osm.detection.probe import probe\n"
        "from osm.detection.recipe import load_recipe\n"
        "config, data, work = map(Path, sys.argv[1:])\n"
        "recipe = load_recipe(config, {'train.epochs': 1, 'train.precision': 'float32'})\n"
        "probe(None, recipe, data_root=data, seeds=(0, 1), score_on='val', work_dir=work, jobs=1)\n"
    )
    work = tmp_path / "work"
    # in a file, and guarded as any script that starts processes must be
    (tmp_path / "script.py").write_text("if __name__ == '__main__':\n    " + script.replace("\n", "\n    "))
    command = [sys.executable, str(tmp_path / "script.py"), str(recipe.path), str(scenes_root), str(work)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not list(work.glob("runs/*.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    # the parent alone is killed: its worker has to notice
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (first,) = work.glob("runs/*.json")
    stamp = first.stat().st_mtime_ns
    result = probe(None, recipe, **options(scenes_root, work, seeds=(0, 1)))
    assert result.seeds == (0, 1)
    assert first.stat().st_mtime_ns == stamp
    assert len(list(work.glob("runs/*.json"))) == 2


def test_what_decides_a_figure_decides_the_fingerprint(finished, recipe, exports, scenes_root, tmp_path, monkeypatch):
    def fake(task, progress):  # fingerprints do not need a trained detector
        run = module.Run(task.fingerprint, task.seed, 0.5, 0.5, 1.0, 1.0, 1)
        module.write_json(module._path(task.work_dir, task.fingerprint), {"run": module.asdict(run)})

    monkeypatch.setattr(module, "_run", fake)

    def mark(init=None, other=recipe, **changed):
        start = check_start(init or Init("osm", exports[0]), other)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        return probe_starts([start], other, **options(scenes_root, folder, **changed))[0].runs[0].fingerprint

    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(exports[0].read_bytes())
    longer = load_recipe(recipe.path, {"train.epochs": 2})
    marks = [mark(), mark(Init("osm", exports[1])), mark(Init("scratch")), mark(other=longer), mark(seeds=(1,))]
    marks.append(mark(score_on="held-back"))
    assert len(set(marks)) == len(marks)
    assert mark() == mark(Init("osm", copy)) == marks[0] == finished[2][1].runs[0].fingerprint


def test_labelled_held_back_and_val_share_no_scene(recipe, scenes_root, shared_data, repo_root):
    ssdd = load_recipe(repo_root / "configs/probe/ssdd.py")
    for one, root, sizes in ((recipe, scenes_root, (2, 2, 2)), (ssdd, shared_data / "ssdd-train", (81, 116, 116))):
        few, val = probe_scenes(one, root, "val")
        again, held = probe_scenes(one, root, "held-back")
        parts = [{scene.scene_id for scene in part} for part in (few, held, val)]
        assert parts[0] == {scene.scene_id for scene in again}
        assert tuple(map(len, parts)) == sizes
        assert len(set.union(*parts)) == sum(sizes)
        train = {scene.scene_id for scene in read_scenes(one.data.kind, root, one.data.train_split)}
        assert parts[1] <= train


def test_nothing_is_held_back_where_every_scene_is_labelled(recipe, scenes_root):
    everything = load_recipe(recipe.path, {"data.train_fraction": 1.0})
    with pytest.raises(ConfigError, match=r"simulated\.py: found data\.train_fraction = 1\.0"):
        probe_scenes(everything, scenes_root, "held-back")
    with pytest.raises(ConfigError, match="score_on: found 'test'; expected val or held-back"):
        probe_scenes(recipe, scenes_root, "test")


def test_a_worker_hands_over_an_error_whole(recipe, scenes_root, tmp_path):
    wide = load_recipe(recipe.path, {"train.batch_size": 512})
    with pytest.raises(DataError, match=r"^2 training scenes: found \d+ training tiles; expected at least"):
        probe(None, wide, **options(scenes_root, tmp_path, jobs=1))


def test_weights_that_went_bad_meanwhile_leave_no_result(recipe, exports, scenes_root, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(exports[0].read_bytes())
    start = check_start(Init("osm", path), recipe)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"w\.safetensors"):
        probe_starts([start], recipe, **options(scenes_root, tmp_path / "work"))
    assert not list((tmp_path / "work").glob("runs/*.json"))


def test_two_probes_in_one_folder_are_refused(recipe, scenes_root, tmp_path):
    with exclusive(tmp_path), pytest.raises(InUseError, match="another run at work"):
        probe(None, recipe, **options(scenes_root, tmp_path))
