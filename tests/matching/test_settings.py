from __future__ import annotations

import json

from osm.matching.settings import AugmentSettings, DataSettings, Settings, TrainSettings

SETTINGS = Settings(
    model={"architecture": "resnet18", "loss": {"type": "BridgeLoss"}},
    data=DataSettings(size_px=64),
    train=TrainSettings(epochs=2, batch_size=4, optimizer={"type": "SGD", "lr": 0.1}),
)


def test_flat_names_every_setting():
    flat = SETTINGS.flat()
    assert flat["model.loss"] == {"type": "BridgeLoss"}
    assert (flat["data.size_px"], flat["train.epochs"], flat["train.optimizer"]["lr"]) == (64, 2, 0.1)
    assert (flat["augment.turn"], flat["augment.crop_px"]) == (False, 0)


def test_settings_are_json():
    values = json.loads(json.dumps(SETTINGS.to_json()))
    assert values["train"]["epochs"] == 2
    assert AugmentSettings(**values["augment"]) == SETTINGS.augment


def test_augmentation_is_off_until_it_is_asked_for():
    assert not any(value for name, value in SETTINGS.flat().items() if name.startswith("augment."))
