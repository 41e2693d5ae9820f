"""Looks at validation scenes: they change nothing, and steps that few labels take."""

import dataclasses
import json

import pytest

from osm.detection.arms import Init
from osm.detection.finetune import finetune, read_split, read_validation
from osm.detection.recipe import TrainSettings
from osm.detection.schedule import lengthened, steps_in_all
from osm.errors import ConfigError


def changed(recipe, *, every=0, **train):
    data = dataclasses.replace(recipe.data, validation_fraction=0.25)
    return dataclasses.replace(
        recipe, data=data, train=dataclasses.replace(recipe.train, validate_every_epochs=every, **train)
    )


def run(recipe, root, folder, **options):
    finetune(recipe, init=Init("scratch"), data_root=root, work_dir=folder, keep_weights=False, **options)
    return [(folder / name).read_bytes() for name in ("predictions.json", "training.json")]


def test_epochs_grow_where_tiles_are_few_and_nothing_else_does():
    settings = TrainSettings(epochs=10, batch_size=4, min_steps=100, checkpoint_epochs=1, validate_every_epochs=2)
    few = lengthened(settings, 9)
    assert (few.epochs, few.checkpoint_epochs, few.validate_every_epochs) == (50, 5, 10)
    assert steps_in_all(settings, 9) == 100
    assert lengthened(settings, 400) == settings
    assert lengthened(dataclasses.replace(settings, min_steps=0), 9).epochs == 10


def test_validation_scenes_are_neither_trained_on_nor_tested(yolo, scenes_root):
    recipe = changed(yolo, every=1)
    train, test = read_split(recipe, scenes_root)
    kept = {scene.scene_id for scene in read_validation(recipe, scenes_root)}
    assert len(kept) == 1
    assert not kept & {scene.scene_id for scene in [*train, *test]}
    # the same in every run, whatever fraction and seed
    other = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, train_fraction=0.5, subset_seed=7))
    assert {scene.scene_id for scene in read_validation(other, scenes_root)} == kept
    assert read_validation(changed(yolo), scenes_root) == []


def test_looking_changes_nothing_in_what_is_trained(yolo, scenes_root, tmp_path):
    plain = run(changed(yolo, epochs=3), scenes_root, tmp_path / "plain")
    assert run(changed(yolo, epochs=3, every=2), scenes_root, tmp_path / "looked") == plain
    points = json.loads((tmp_path / "looked/validation.json").read_text())
    assert [point["epoch"] for point in points] == [2, 3]  # every second, and the last
    assert points[0]["step"] * 3 == points[1]["step"] * 2
    assert all(0 <= point[f"ap50_{place}"] <= 1 for point in points for place in ("tile", "scene"))
    metrics = json.loads((tmp_path / "looked/metrics.json").read_text())
    assert "validation.json" in metrics["files"]
    assert not (tmp_path / "plain/validation.json").exists()


def test_the_second_engine_looks_too(repo_root, scenes_root, tmp_path):
    pytest.importorskip("ultralytics", reason="the extra ultralytics is not installed")
    from osm.detection.recipe import load_recipe

    few = {"data.tile_px": 128, "data.overlap_px": 32, "train.batch_size": 4, "train.precision": "float32"}
    recipe = load_recipe(repo_root / "configs/detect/demo_yolov3u_narrow.py", few)
    plain = run(changed(recipe, epochs=2), scenes_root, tmp_path / "plain")
    assert run(changed(recipe, epochs=2, every=1), scenes_root, tmp_path / "looked") == plain
    points = json.loads((tmp_path / "looked/validation.json").read_text())
    assert [point["epoch"] for point in points] == [1, 2]


def test_nothing_to_look_at_is_refused(yolo, scenes_root, tmp_path, repo_root):
    from osm.detection.recipe import load_recipe

    with pytest.raises(ConfigError, match="not trained on"):
        load_recipe(repo_root / "configs/detect/demo_yolov3_narrow.py", {"train.validate_every_epochs": 1})
