from __future__ import annotations

import json

from osm.matching.settings import DataSettings, Settings, TrainSettings

SETTINGS = Settings(
    model={"architecture": "resnet18", "loss": {"type": "BridgeLoss"}},
    data=DataSettings(size_px=64),
    train=TrainSettings(epochs=2, batch_size=4, optimizer={"type": "SGD", "lr": 0.1}),
)


def test_flat_names_every_setting():
    flat = SETTINGS.flat()
    assert flat["model.loss"] == {"type": "BridgeLoss"}
    assert (flat["data.size_px"], flat["train.epochs"], flat["train.optimizer"]["lr"]) == (64, 2, 0.1)


def test_settings_are_json():
    assert json.loads(json.dumps(SETTINGS.to_json()))["train"]["epochs"] == 2
