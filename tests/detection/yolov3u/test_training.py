"""The trainer keeps to the recipe."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from osm.compat.ultralytics_scope import ultralytics_scope
from osm.detection.dataset import TURNS, TileDataset
from osm.detection.recipe import TrainSettings
from osm.detection.witness import Draws
from osm.detection.yolov3u.layout import write_layout
from osm.detection.yolov3u.training import RecipeTrainer, Run, TurningTiles, rate, trainer_settings
from osm.errors import ConfigError, DataError

pytestmark = pytest.mark.usefixtures("needs_ultralytics")


def run_of(folder, **changes):
    values = {
        "network": torch.nn.Identity(),
        "confirm": lambda network: None,
        "images": folder,
        "tiles": 1,
        "tile_px": 128,
        "settings": TrainSettings(),
        "seed": 3,
        "checkpoint": folder / "last.pt",
        "curve": folder / "training.json",
        "resume": False,
        "progress": lambda done, total: None,
        "validate": lambda average, epochs, steps: None,
    }
    return Run(**{**values, **changes})


def bare(run):
    """The mixin alone, as it would be after its trainer was set up."""
    trainer = RecipeTrainer.__new__(RecipeTrainer)
    trainer.run = run
    return trainer


def test_the_rate_follows_the_recipe():
    assert [round(rate("step", epoch, 9), 9) for epoch in range(9)] == [1, 1, 1, 1, 1, 1, 0.1, 0.1, 0.01]
    cosine = [rate("cosine", epoch, 100) for epoch in range(101)]
    assert cosine[0] == 1
    assert cosine[-1] == pytest.approx(0.01)
    assert cosine == sorted(cosine, reverse=True)
    assert {rate("constant", epoch, 5) for epoch in range(5)} == {1.0}


def test_a_step_is_a_step_and_no_other_precision_or_augmentation_creeps_in(tmp_path):
    optimizer = {"type": "SGD", "lr": 0.1, "momentum": 0.8, "weight_decay": 0.01}
    found = trainer_settings(run_of(tmp_path, settings=TrainSettings(batch_size=6, optimizer=optimizer)), tmp_path)
    assert (found["batch"], found["nbs"]) == (6, 6)
    assert not any(found[name] for name in ("amp", "val", "pretrained", "plots", "cache", "close_mosaic"))
    assert (found["optimizer"], found["lr0"], found["momentum"], found["weight_decay"]) == ("SGD", 0.1, 0.8, 0.01)
    assert (found["imgsz"], found["seed"], found["epochs"]) == (128, 3, 12)


def test_the_warm_up_is_never_longer_than_a_tenth(tmp_path):
    trainer = bare(run_of(tmp_path, settings=TrainSettings(epochs=10, warmup_steps=50)))
    assert trainer._get_warmup_iterations(20) == 20
    assert trainer._get_warmup_iterations(1000) == 50


def test_half_a_batch_is_not_taken_for_a_whole_one(tmp_path):
    trainer = bare(run_of(tmp_path))
    with pytest.raises(ConfigError, match=r"train\.batch_size: found a batch of 8 tiles that does not fit"):
        trainer.get_dataloader(str(tmp_path), batch_size=4)


def layout(trainer, images):
    with ultralytics_scope():
        from ultralytics.cfg import get_cfg

        trainer.args = get_cfg()
        return trainer._read_layout(str(images))


def test_every_turn_of_every_tile_is_what_the_other_engine_is_fed(tiles, store, tmp_path):
    images = write_layout(tmp_path / "yolo", tiles, store, 128)
    theirs = TurningTiles(layout(bare(run_of(images, tiles=len(tiles))), images), Draws())
    ours = TileDataset(tiles, store, 128)
    assert len(theirs) == len(ours)
    for code in [index * TURNS + (index + 3 * k) % TURNS for index in range(len(tiles)) for k in range(3)]:
        expected, found = ours[code], theirs[code]
        assert torch.equal(expected["inputs"], found["img"])
        cx, cy, w, h = 128 * found["bboxes"].numpy().reshape(-1, 4).T
        boxes = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=1)
        truth = expected["data_samples"].gt_instances.bboxes.tensor.numpy()
        # ultralytics sorts boxes where two are equal
        assert np.allclose(sorted(boxes.tolist()), sorted(truth.tolist()), atol=1e-3)


def test_a_tile_that_ultralytics_drops_is_counted(tiles, store, tmp_path):
    images = write_layout(tmp_path / "yolo", tiles[:3], store, 128)
    (images / "000001.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="found 2 tiles that ultralytics can read; expected the 3"):
        layout(bare(run_of(images, tiles=3)), images)


def test_the_gradient_is_limited_by_the_recipe(tmp_path):
    for limit, expected in ((0.0, 100.0), (1.0, 1.0)):
        trainer = bare(run_of(tmp_path, settings=dataclasses.replace(TrainSettings(), clip_norm=limit)))
        trainer.model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(trainer.model.weight)
        trainer.model.weight.grad = torch.tensor([[100.0]])
        trainer.optimizer = torch.optim.SGD(trainer.model.parameters(), lr=1.0)
        trainer.ema = type("Average", (), {"update": staticmethod(lambda model: None)})
        trainer.optimizer_step()
        assert math.isclose(-float(trainer.model.weight.detach()), expected, rel_tol=1e-4)
