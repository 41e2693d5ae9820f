"""Adapters: every framework computes what we do, and nothing that does not fit is taken."""

import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osm.errors import ConfigError, EnvironmentProblem, WeightsError
from osm.transfer.adapters.base import TARGETS, adapter
from osm.transfer.adapters.verify import verify

#: ultralytics has a test file of its own
NAMES = ("mmdet", "torchvision", "timm", "safetensors", "darknet")
PAIRS = [(architecture, name) for name in NAMES for architecture in adapter(name).architectures]


@pytest.mark.parametrize(("architecture", "name"), PAIRS)
def test_features_of_every_backbone_in_every_framework_equal_ours(architecture, name, filled):
    known, ours = adapter(name), filled(architecture)
    keys = known.rename(architecture, list(ours.state_dict()))
    theirs = known.build(architecture)
    known.load(theirs, {keys[key]: value for key, value in ours.state_dict().items()})
    assert verify(architecture, ours, theirs, known, "here") <= 1e-5
    # on another image and at another size than the proof's
    image = torch.randn(2, 3, 96, 64, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        expected, found = ours(image), known.features(theirs, image)
    assert len(found) == len(expected)
    for mine, other in zip(expected, found, strict=True):
        assert float((mine - other).abs().max()) <= 1e-5
        assert float(mine.std()) > 1e-3


@pytest.mark.parametrize(("architecture", "name"), PAIRS)
def test_the_key_map_is_one_to_one_onto_the_frameworks_own_keys(architecture, name, tensors):
    known = adapter(name)
    ours = list(tensors(architecture))
    keys = known.rename(architecture, ours)
    assert list(keys) == ours
    assert sorted(keys.values()) == sorted(known.build(architecture).state_dict())


@pytest.mark.parametrize("name", ["timm", "darknet"])
@pytest.mark.parametrize("key", ["conv_res_block6.conv.conv.weight", "fc.weight", "weight", ""])
def test_a_key_that_is_none_of_ours_has_no_counterpart(name, key):
    with pytest.raises(KeyError):
        adapter(name).rename("darknet53", [key])


FAULTS = {
    "renamed": lambda found, key: found.update({key + "x": found.pop(key)}),
    "missing": lambda found, key: found.pop(key),
    "reshaped": lambda found, key: found.update({key: torch.zeros(2, 3)}),
    "one too many": lambda found, key: found.update({"x" + key: found[key]}),
}


@pytest.fixture(scope="module")
def models():
    return {name: adapter(name).build("resnet18") for name in ("mmdet", "torchvision", "timm", "safetensors")}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_fault_in_a_tensor_passes(data, models, tensors):
    name = data.draw(st.sampled_from(sorted(models)))
    # a counter of batches may be missing: it is not learned
    learned = [key for key in tensors("resnet18") if not key.endswith("num_batches_tracked")]
    key, fault = data.draw(st.sampled_from(learned)), data.draw(st.sampled_from(sorted(FAULTS)))
    found = dict(tensors("resnet18"))
    FAULTS[fault](found, key)
    with pytest.raises(WeightsError, match="tensors that do not fit"):
        adapter(name).load(models[name], found)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("torchvision", "darknet53"), ("darknet", "resnet50"), ("mmdet", "darknet-narrow"), ("timm", "resnet19")],
)
def test_a_backbone_that_a_framework_has_not_is_refused(name, architecture):
    with pytest.raises(ConfigError, match=f"{name}: found no {architecture} in it; expected "):
        adapter(name).check(architecture)


def test_an_unknown_framework_is_named():
    with pytest.raises(ConfigError, match=r"caffe: .*one of mmdet, torchvision"):
        adapter("caffe")
    assert "ultralytics" in TARGETS


def test_where_timm_is_absent_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(EnvironmentProblem, match=r"^timm: found not installed; .* pip install 'osm-ssd\[timm\]'$"):
        adapter("timm").build("resnet18")
