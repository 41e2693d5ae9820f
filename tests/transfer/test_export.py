"""Exported backbones: what is written is what is read, and damage is found."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from osm.errors import WeightsError
from osm.transfer.card import Card, InputContract, card_from_json
from osm.transfer.export import export_backbone, read_export


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def card() -> Card:
    return Card("resnet18", InputContract.of("resnet18"), metrics={"auc": 0.7}, data={"pairs": 3})


def test_what_is_exported_is_read_back(tmp_path):
    module = small()
    export_backbone(tmp_path / "a.safetensors", module, card())
    tensors, found = read_export(tmp_path / "a.safetensors")
    assert found == card()
    assert tensors.keys() == module.state_dict().keys()
    assert all(torch.equal(tensors[key], value) for key, value in module.state_dict().items())


def test_half_precision_is_stored_as_float32_and_counters_stay_integers(tmp_path):
    module = small().to(torch.bfloat16)
    export_backbone(tmp_path / "a.safetensors", module, card())
    tensors, _ = read_export(tmp_path / "a.safetensors")
    assert tensors["0.weight"].dtype == torch.float32
    assert tensors["1.num_batches_tracked"].dtype == torch.int64


def test_channels_last_weights_are_stored_in_their_logical_order(tmp_path):
    module = small().to(memory_format=torch.channels_last)
    export_backbone(tmp_path / "a.safetensors", module, card())
    tensors, _ = read_export(tmp_path / "a.safetensors")
    assert torch.equal(tensors["0.weight"], small().state_dict()["0.weight"])


def test_one_flipped_byte_is_found(tmp_path):
    path = tmp_path / "a.safetensors"
    export_backbone(path, small(), card())
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.safetensors.*SHA-256.*copy or export it again"):
        read_export(path)


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    export_backbone(path, small(), card())
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError, match="no whole safetensors file"):
        read_export(path)


def test_safetensors_without_a_card_are_no_export(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="without a card"):
        read_export(tmp_path / "a.safetensors")


def test_a_failed_export_leaves_the_earlier_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.safetensors"
    export_backbone(path, small(), card())
    before = path.read_bytes()
    broken = Card("resnet18", InputContract.of("resnet18"), metrics={"auc": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        export_backbone(path, small(), broken)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.update(format=2),
        lambda values: values.pop("input"),
        lambda values: values.update(surprise=1),
        lambda values: values["input"].pop("mean"),
    ],
)
def test_a_card_of_another_form_is_refused(change):
    values = json.loads(card().to_json())
    change(values)
    with pytest.raises(WeightsError, match=r"w\.safetensors.*card"):
        card_from_json(json.dumps(values), "w.safetensors")
