"""ultralytics as an engine, end to end on a tiny data set, and what happens when it cannot."""

import json
import logging
import random
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from osm.compare.arms import gather_arms
from osm.compare.plan import make_plan
from osm.detection.arms import Init
from osm.detection.evaluate import average_precision
from osm.detection.finetune import finetune
from osm.detection.hooks import DivergedError
from osm.detection.predictions import read_predictions
from osm.detection.recipe import load_recipe
from osm.detection.yolov3u import training
from osm.detection.yolov3u.engine import ENGINE
from osm.errors import ConfigError, WeightsError
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.certificate import backbone_digests
from osm.transfer.export import export_backbone
from osm.transfer.initialise import initialise

pytestmark = pytest.mark.usefixtures("needs_ultralytics")

CONFIG = "configs/detect/demo_yolov3u_narrow.py"


def run(recipe, root, folder, **options):
    return finetune(recipe, init=options.pop("init", Init("scratch")), data_root=root, work_dir=folder, **options)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A backbone of ours in a file."""
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    backbone = build_backbone("darknet-narrow")
    initialise(backbone, 9)
    export_backbone(path, backbone, Card("darknet-narrow", InputContract.of("darknet-narrow")))
    return path


def process_state():
    return {
        "random": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "torch": torch.random.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "handlers": len(logging.getLogger("ultralytics").handlers),
        "save": torch.save,
    }


@pytest.fixture(scope="module")
def whole(yolov3u, scenes_root, exported, tmp_path_factory):
    """A run of two epochs from a file: its folder, what it gave, what it reported, changed and tried to reach."""
    folder = tmp_path_factory.mktemp("whole")
    before, steps, calls = process_state(), [], []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("getaddrinfo", "create_connection"):
            patch.setattr(socket, name, lambda *where, **_: calls.append(where))
        patch.setattr(socket.socket, "connect", lambda self, where: calls.append(where))
        init = Init("osm", exported)
        result = run(yolov3u, scenes_root, folder, init=init, progress=lambda *step: steps.append(step))
    changed = [name for name, value in process_state().items() if value != before[name]]
    return folder, result, steps, changed, calls


def test_a_run_leaves_everything_a_later_step_needs(whole, exported):
    folder, result, steps, _, _ = whole
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["detector"] == "yolov3u_darknet-narrow"
    assert metrics["coverage"] == 1.0
    assert metrics["tile"] == result.tile
    found = read_predictions(folder / "predictions.json")
    assert [scene.scene_id for scene in found.scenes] == ["5", "6"]
    assert average_precision(found.scene_results()).figures() == pytest.approx(result.scene, nan_ok=True)
    assert all(((scene.boxes >= 0) & (scene.boxes <= 256)).all() for scene in found.scenes)
    assert result.certificate.complete
    assert result.certificate.source == str(exported)
    curve = json.loads((folder / "training.json").read_text())
    assert [point["step"] for point in curve] == list(range(1, len(curve) + 1))
    assert curve[-1]["epoch"] == 2
    assert all(np.isfinite(point["loss"]) for point in curve)
    assert ("train", len(curve), len(curve)) in steps
    assert steps[-1][0] == "search"
    assert (folder / "detector.safetensors").is_file()
    assert "engine = 'ultralytics'" in (folder / "config.py").read_text()
    assert not (folder / "checkpoints").exists()


def test_nothing_in_the_process_changed_and_nobody_was_called(whole):
    changed, calls = whole[3:]
    assert changed == []
    assert calls == []


def test_an_interrupted_run_resumes_to_the_same_result(
    yolov3u, scenes_root, exported, whole, tmp_path, monkeypatch, capfd
):
    end_epoch = training.RecipeTrainer.run_callbacks

    def interrupted(self, event):
        end_epoch(self, event)
        if event == "on_train_epoch_start" and self.epoch == 1:
            raise KeyboardInterrupt

    options = {"init": Init("osm", exported), "keep_weights": False}
    monkeypatch.setattr(training.RecipeTrainer, "run_callbacks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(yolov3u, scenes_root, tmp_path, **options)
    monkeypatch.undo()
    assert not (tmp_path / "metrics.json").exists()
    run(yolov3u, scenes_root, tmp_path, resume=True, **options)
    assert capfd.readouterr().out == ""
    one, other = (json.loads((folder / "training.json").read_text()) for folder in (whole[0], tmp_path))
    assert [point["step"] for point in one] == [point["step"] for point in other]
    assert [point["loss"] for point in one] == pytest.approx([point["loss"] for point in other], rel=1e-4)
    a, b = (read_predictions(folder / "predictions.json") for folder in (whole[0], tmp_path))
    for tile, again in zip(a.tiles, b.tiles, strict=True):
        assert np.allclose(tile.scores, again.scores, atol=1e-4)


def test_a_network_that_is_built_anew_stops_the_run(yolov3u, scenes_root, exported, tmp_path, monkeypatch):
    from osm.detection.yolov3u.network import build_network

    # what ultralytics does of itself: another network, from the file that describes it
    monkeypatch.setattr(training.RecipeTrainer, "get_model", lambda self, **_: build_network("darknet-narrow", 1))
    with pytest.raises(WeightsError, match=r"changed before the first step \(conv1\.conv\.weight first\)"):
        run(yolov3u, scenes_root, tmp_path, init=Init("osm", exported))
    assert not (tmp_path / "metrics.json").exists()


def test_a_callback_that_draws_weights_anew_stops_the_run(yolov3u, scenes_root, exported, tmp_path, monkeypatch):
    callbacks = training.RecipeTrainer.run_callbacks

    def meddling(self, event):
        if event == "on_train_start":
            self.model.model[4].cv2.conv.reset_parameters()
        callbacks(self, event)

    monkeypatch.setattr(training.RecipeTrainer, "run_callbacks", meddling)
    with pytest.raises(WeightsError, match=r"1 of \d+ backbone tensors changed .*conv_res_block2\.res0\.conv2"):
        run(yolov3u, scenes_root, tmp_path, init=Init("osm", exported))


def test_a_loss_that_is_no_number_stops_and_names_the_step(yolov3u, scenes_root, tmp_path, monkeypatch):
    step = training.RecipeTrainer.optimizer_step

    def overshoot(self):
        step(self)
        torch.nn.init.constant_(self.model.model[-1].cv3[0][-1].bias, float("nan"))

    monkeypatch.setattr(training.RecipeTrainer, "optimizer_step", overshoot)
    with pytest.raises(DivergedError, match=r"step 2: found a loss of nan"):
        run(yolov3u, scenes_root, tmp_path)


def test_arms_differ_in_the_loaded_backbone_and_in_nothing_else(yolov3u, exported):
    scratch, none = ENGINE.build(yolov3u, seed=4, weights=None, min_coverage=1.0)
    osm, certificate = ENGINE.build(yolov3u, seed=4, weights=exported, min_coverage=1.0)
    differ = {key for key, value in scratch.state_dict().items() if not torch.equal(value, osm.state_dict()[key])}
    assert differ
    assert all(int(key.split(".")[1]) <= 10 for key in differ)
    assert certificate.complete
    # and scratch is the backbone that mmdet's detector starts from with this seed
    expected = build_backbone("darknet-narrow")
    initialise(expected, 4)
    assert none.backbone_sha256 == backbone_digests(expected)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model.score_thresh": 0.1}, r"unknown word 'score_thresh' in model.*did you mean 'score_thr'"),
        ({"model.max_per_img": 0.5}, r"model\.max_per_img = 0\.5; expected a int"),
        ({"architecture": "resnet18"}, r"architecture = 'resnet18' with engine = 'ultralytics'"),
        ({"train.optimizer.nesterov": True}, r"unknown word 'nesterov' in train\.optimizer"),
        ({"train.optimizer.lr": 2.0}, r"train\.optimizer\.lr = 2\.0; expected 0 to 1"),
        ({"train.optimizer.type": "LBFGS"}, r"train\.optimizer\.type = 'LBFGS'; expected one of SGD"),
    ],
)
def test_a_word_of_another_engine_is_named(repo_root, settings, said):
    with pytest.raises(ConfigError, match=said):
        load_recipe(repo_root / CONFIG, settings)


def test_what_this_engine_does_not_do_is_said(yolov3u, scenes_root, tmp_path):
    with pytest.raises(ConfigError, match="the mmdet engine, which alone knows that option"):
        run(yolov3u, scenes_root, tmp_path, tensorboard=True)


def test_a_comparison_has_it_beside_mmdets_yolov3_under_its_own_name(repo_root, tmp_path):
    from osm.compare.run import caveats

    detect = repo_root / "configs/detect"
    (tmp_path / "both.py").write_text(
        f"title = 'both'\nseeds = [0]\ndetectors = ['{detect}/yolov3_d53_ssdd.py', '{detect}/yolov3u_d53_ssdd.py']\n"
    )
    plan = make_plan(tmp_path / "both.py", gather_arms([]))
    assert [recipe.detector for recipe in plan.recipes] == ["yolov3_d53", "yolov3u"]
    assert len({cell.folder for cell in plan.cells}) == 2
    beside = "\n".join(caveats(plan, {"simulated": False}))
    assert "Detector yolov3u: an anchor-free head" in beside
    assert "yolov3_d53" not in beside


ABSENT = """
import importlib, pkgutil, sys
sys.modules["ultralytics"] = None
import osm
from osm.compat.operators import ensure_operators
ensure_operators()
for module in pkgutil.walk_packages(osm.__path__, "osm."):
    if not module.name.startswith("osm._"):
        importlib.import_module(module.name)
from osm.cli.main import main
sys.argv = ["osm", "finetune", sys.argv[1], "--data-root", "nowhere", "--init", "scratch"]
main()
"""


def test_without_the_extra_every_module_imports_and_choosing_the_engine_says_what_to_install(repo_root):
    done = subprocess.run(
        [sys.executable, "-c", ABSENT, str(repo_root / CONFIG)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "pip install 'osm-ssd[ultralytics]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_optical_scenes_are_refused_before_anything_is_written(repo_root):
    with pytest.raises(ConfigError, match=r"data\.kind = 'dota', optical scenes, with engine = 'ultralytics'"):
        load_recipe(repo_root / CONFIG, {"data.kind": "dota"})
