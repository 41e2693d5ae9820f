"""Stage 2 end to end on a tiny data set, and what happens when it cannot."""

import json
import shutil

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator
from mmengine.hooks import Hook

from osm.compare.fairness import BY_SEED, differences
from osm.compat.versions import code_sha256
from osm.detection import runner as module
from osm.detection.arms import Init
from osm.detection.conditions import read_conditions
from osm.detection.evaluate import average_precision
from osm.detection.finetune import PROOFS, finetune, prepare, read_split
from osm.detection.hooks import DivergedError
from osm.detection.predictions import read_predictions
from osm.detection.recipe import load_recipe
from osm.errors import ConfigError, DataError, WeightsError
from osm.files import check_seal, sha256_file
from osm.transfer.architectures import build_backbone
from osm.transfer.certificate import read_certificate, schema


def run(recipe, root, folder, **options):
    return finetune(recipe, init=options.pop("init", Init("scratch")), data_root=root, work_dir=folder, **options)


@pytest.mark.parametrize("which", ["yolo", "faster_rcnn"])
def test_a_run_leaves_everything_a_later_step_needs(which, request, scenes_root, tmp_path):
    recipe = request.getfixturevalue(which)
    seen = []
    result = run(recipe, scenes_root, tmp_path, progress=lambda *step: seen.append(step))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["tile"] == result.tile
    assert metrics["coverage"] is None
    found = read_predictions(tmp_path / "predictions.json")
    assert [scene.scene_id for scene in found.scenes] == ["5", "6"]
    # the file alone gives the figures again
    assert average_precision(found.scene_results()).figures() == pytest.approx(result.scene, nan_ok=True)
    assert average_precision(found.tile_results()).figures() == pytest.approx(result.tile, nan_ok=True)
    certificate = json.loads((tmp_path / "certificate.json").read_text())
    assert certificate["source"] is None
    assert len(certificate["random"]) == len(certificate["backbone_sha256"])
    Draft202012Validator(schema()).validate(certificate)
    assert certificate["target"] == recipe.detector
    assert certificate["step0"]["equal"] is True
    # no config here freezes anything, whatever mmdet's defaults are
    assert {(stage["parameters_frozen"], stage["norms_eval"]) for stage in certificate["stages"]} == {(0, 0)}
    check_seal("metrics.json", metrics)
    # nothing was validated: there is no file of that
    written = [name for name in (*PROOFS, "detector.safetensors") if name != "validation.json"]
    assert metrics["files"] == {name: sha256_file(tmp_path / name) for name in written}
    curve = json.loads((tmp_path / "training.json").read_text())
    assert [point["step"] for point in curve] == list(range(1, len(curve) + 1))
    assert all(np.isfinite(point["loss"]) for point in curve)
    assert (tmp_path / "detector.safetensors").is_file()
    assert not (tmp_path / "checkpoints").exists()
    assert ("train", len(curve), len(curve)) in seen
    assert seen[-1][0] == "search"
    load_recipe_again = load_recipe(recipe.path)
    assert load_recipe_again.detector in (tmp_path / "config.py").read_text()


def test_a_box_of_the_search_lies_within_its_scene(yolo, scenes_root, tmp_path):
    run(yolo, scenes_root, tmp_path, keep_weights=False)
    for scene in read_predictions(tmp_path / "predictions.json").scenes:
        assert ((scene.boxes >= 0) & (scene.boxes <= 256)).all()


def test_the_same_seed_gives_the_same_result_and_another_seed_another(yolo, scenes_root, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(yolo, scenes_root, tmp_path / name, seed=seed, keep_weights=False)
    a, b, c = ((tmp_path / name / "predictions.json").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    # so do the conditions: what the seed draws is another, and nothing else is
    a, b, c = (read_conditions(tmp_path / name) for name in "abc")
    assert differences(a, b) == []
    assert {entry.path for entry in differences(a, c)} == set(BY_SEED)
    assert a["order"]["draws"] == a["training"]["steps"] * yolo.train.batch_size


def test_an_arm_has_the_draws_of_any_other_arm_and_says_so(yolo, scenes_root, tmp_path):
    backbone = build_backbone(yolo.architecture)
    torch.save(backbone.state_dict(), tmp_path / "w.pth")
    part = {key: value for key, value in backbone.state_dict().items() if not key.startswith("conv_res_block5")}
    torch.save(part, tmp_path / "part.pth")
    run(yolo, scenes_root, tmp_path / "scratch", keep_weights=False)
    for name in ("w", "part"):
        init = Init("imagenet", tmp_path / f"{name}.pth")
        run(yolo, scenes_root, tmp_path / name, init=init, min_coverage=0.5, keep_weights=False)
    scratch, *others = (read_conditions(tmp_path / name) for name in ("scratch", "w", "part"))
    for one in others:
        assert {entry.path[0] for entry in differences(scratch, one)} == {"start"}
    assert scratch["start"]["weights_sha256"] is None
    assert others[0]["start"]["weights_sha256"] == sha256_file(tmp_path / "w.pth")
    assert scratch["software"]["code_sha256"] == code_sha256()


def test_bfloat16_trains_too(repo_root, scenes_root, tmp_path, tiny):
    # one step: a processor without instructions for it takes twenty times as long
    once = {**tiny, "train.precision": "bfloat16", "train.epochs": 1, "data.max_tiles": 2, "train.batch_size": 2}
    for name in ("demo_yolov3_narrow", "demo_faster-rcnn_r18"):
        recipe = load_recipe(repo_root / f"configs/detect/{name}.py", once)
        run(recipe, scenes_root, tmp_path / name, keep_weights=False)
        curve = json.loads((tmp_path / name / "training.json").read_text())
        assert all(np.isfinite(point["loss"]) for point in curve)


class Interrupt(Hook):
    """Ends a run after an epoch, as a lost machine would."""

    def after_train_epoch(self, runner):
        if runner.epoch == 1:
            raise KeyboardInterrupt


@pytest.fixture(params=["yolo_two_epochs", "faster_rcnn_two_epochs"])
def two_epochs(request):
    """YOLOv3 draws nothing but turns; Faster R-CNN samples proposals, too."""
    return request.getfixturevalue(request.param)


def test_an_interrupted_run_resumes_to_the_same_result_from_its_newest_whole_checkpoint(
    two_epochs, scenes_root, tmp_path, monkeypatch
):
    run(two_epochs, scenes_root, tmp_path / "whole", keep_weights=False)
    build = module.build_runner

    def interrupted(*arguments):
        runner = build(*arguments)
        runner.register_hook(Interrupt(), priority="LOWEST")
        return runner

    monkeypatch.setattr(module, "build_runner", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(two_epochs, scenes_root, tmp_path / "part", keep_weights=False)
    monkeypatch.undo()
    assert not (tmp_path / "part" / "metrics.json").exists()
    with pytest.raises(ConfigError, match=r"an interrupted run.*--resume"):
        prepare(tmp_path / "part", resume=False, overwrite=False)
    # under another name, and with its newest checkpoint cut short
    torn = shutil.copytree(tmp_path / "part", tmp_path / "torn")
    newest = next(torn.glob("checkpoints/*/epoch_2.pth"))
    newest.write_bytes(newest.read_bytes()[:5000])
    step0 = read_certificate(tmp_path / "whole" / "certificate.json")["step0"]
    assert step0["equal"]
    expected = json.loads((tmp_path / "whole" / "training.json").read_text())
    for folder in (tmp_path / "part", torn):
        run(two_epochs, scenes_root, folder, keep_weights=False, resume=True)
        assert read_certificate(folder / "certificate.json")["step0"] == step0
        conditions = read_conditions(folder)
        assert conditions["step0"] == read_conditions(tmp_path / "whole")["step0"]
        assert conditions["order"] is None  # the first draws were of another session
        assert json.loads((folder / "training.json").read_text()) == expected
        a, b = (read_predictions(path / "predictions.json") for path in (tmp_path / "whole", folder))
        for one, other in zip(a.tiles, b.tiles, strict=True):
            assert np.allclose(one.scores, other.scores, atol=1e-5)
    assert "epoch_2.pth is passed over for epoch_1.pth" in (torn / "train.log").read_text()


def test_where_no_checkpoint_is_whole_or_it_is_of_another_detector_one_line_says_so(
    yolo_two_epochs, scenes_root, tmp_path
):
    kept = tmp_path / "checkpoints" / "work"
    kept.mkdir(parents=True)
    (kept / "epoch_1.pth").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"epoch_1\.pth: found a broken file .* begin anew with --overwrite"):
        run(yolo_two_epochs, scenes_root, tmp_path, resume=True)
    parts = {"meta": {}, "message_hub": {}, "optimizer": {}, "param_schedulers": []}
    torch.save({**parts, "state_dict": {}}, kept / "epoch_1.pth")
    with pytest.raises(WeightsError, match=r"epoch_1\.pth: found no backbone\."):
        run(yolo_two_epochs, scenes_root, tmp_path, resume=True)


def test_weights_changed_behind_the_certificates_back_stop_the_run(yolo, scenes_root, tmp_path, monkeypatch):
    build = module.build_runner

    def meddling(model, *arguments):
        runner = build(model, *arguments)
        torch.nn.init.zeros_(model.backbone.conv1.conv.weight)
        return runner

    monkeypatch.setattr(module, "build_runner", meddling)
    with pytest.raises(WeightsError, match=r"changed before the first step \(conv1\.conv\.weight first\)"):
        run(yolo, scenes_root, tmp_path)
    assert not (tmp_path / "metrics.json").exists()
    assert read_certificate(tmp_path / "certificate.json")["step0"]["changed"] == ["conv1.conv.weight"]


def test_a_loss_that_is_no_number_stops_and_names_the_step(repo_root, scenes_root, tmp_path, tiny):
    settings = {**tiny, "train.optimizer.lr": 1e30, "train.clip_norm": 0.0, "train.warmup_steps": 0}
    recipe = load_recipe(repo_root / "configs/detect/demo_yolov3_narrow.py", {**settings, "train.epochs": 3})
    with pytest.raises(DivergedError, match=r"step \d+: found a loss of (nan|inf)"):
        run(recipe, scenes_root, tmp_path)
    assert not (tmp_path / "metrics.json").exists()


def test_too_few_tiles_for_a_batch_are_counted(repo_root, scenes_root, tmp_path, tiny):
    recipe = load_recipe(repo_root / "configs/detect/demo_yolov3_narrow.py", {**tiny, "train.batch_size": 512})
    with pytest.raises(DataError, match=r"training tiles; expected at least train\.batch_size = 512"):
        run(recipe, scenes_root, tmp_path)


def test_a_scene_in_both_parts_is_a_leak(repo_root, scenes_root, tmp_path, tiny):
    recipe = load_recipe(repo_root / "configs/detect/demo_yolov3_narrow.py", {**tiny, "data.test_split": "train"})
    with pytest.raises(DataError, match=r"4 scenes in train and in train \(1 first\)"):
        read_split(recipe, scenes_root)


def test_a_truncated_scene_is_named(yolo, scenes_root, tmp_path):
    shutil.copytree(scenes_root, tmp_path / "scenes")
    image = tmp_path / "scenes/AIR-SARShip-1.0-data/SARShip-1.0-5.tiff"
    image.write_bytes(image.read_bytes()[:-5000])
    with pytest.raises(DataError, match=r"SARShip-1\.0-5\.tiff"):
        run(yolo, tmp_path / "scenes", tmp_path / "work")
    assert not (tmp_path / "work" / "metrics.json").exists()


def test_a_finished_run_is_not_overwritten_unless_asked_and_then_nothing_else_is_lost(tmp_path):
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ConfigError, match="a finished run"):
        prepare(tmp_path, resume=False, overwrite=False)
    prepare(tmp_path, resume=False, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.txt"]


def test_a_run_that_was_stopped_at_its_very_end_is_completed_by_the_next(tmp_path):
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "checkpoints/run").mkdir(parents=True)
    assert prepare(tmp_path, resume=True, overwrite=False) is False
    assert (tmp_path / "SHA256SUMS").read_text().endswith("  metrics.json\n")
    assert not (tmp_path / "checkpoints").exists()
