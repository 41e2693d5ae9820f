"""Exported backbones: what is written is what is read, and damage is found."""

import json

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from osm.errors import WeightsError
from osm.transfer.card import Card, InputContract, card_from_json
from osm.transfer.export import CARD_KEY, DIGEST_KEY, export_backbone, read_export, tensors_sha256
from osm.transfer.weights import read_weights


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


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "a.safetensors"
    export_backbone(path, small(), card())
    return path.read_bytes()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**9), change=st.integers(1, 255))
def test_any_changed_byte_is_found_wherever_it_is(exported, tmp_path, place, change):
    damaged = bytearray(exported)
    damaged[place % len(exported)] ^= change
    path = tmp_path / "a.safetensors"
    path.write_bytes(damaged)
    for read in (read_export, read_weights):
        with pytest.raises(WeightsError, match=r"a\.safetensors"):
            read(path)


def test_every_byte_of_the_header_counts(exported, tmp_path):
    path = tmp_path / "a.safetensors"
    for place in range(8 + int.from_bytes(exported[:8], "little")):
        damaged = bytearray(exported)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(WeightsError):
            read_weights(path)


def test_an_export_of_before_texts_had_a_digest_is_read_and_a_damaged_name_in_it_is_not(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = small().state_dict()
    texts = {CARD_KEY: card().to_json(), DIGEST_KEY: tensors_sha256(tensors), "format": "pt"}
    save_file(tensors, path, metadata=texts)
    assert read_export(path)[1] == card()
    save_file(tensors, path, metadata={**texts, "osm.textz_sha256": "0"})
    with pytest.raises(WeightsError, match=r"an entry 'osm\.textz_sha256'"):
        read_export(path)
