"""The ways to start a detector, as a user spells them."""

import urllib.request
from pathlib import Path

import pytest
import torch

from osm.detection.arms import Init, imagenet_url, imagenet_weights, parse_init
from osm.errors import ConfigError, WeightsError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scratch", Init("scratch")),
        ("imagenet", Init("imagenet")),
        ("imagenet:a/b.pth", Init("imagenet", Path("a/b.pth"))),
        ("osm:w.safetensors", Init("osm", Path("w.safetensors"))),
    ],
)
def test_every_spelling_is_read_and_written_back(text, expected):
    assert parse_init(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", "osm", "osm:", "scratch:w.pth", "imagnet", "w.pth"])
def test_other_spellings_are_refused(text):
    with pytest.raises(ConfigError, match="scratch, imagenet, imagenet:PATH, osm:PATH or osd:PATH"):
        parse_init(text)


def test_cached_weights_are_used_and_nothing_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    name = imagenet_url("resnet18").rsplit("/", 1)[1]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / name).write_bytes(b"weights")
    assert imagenet_weights("resnet18") == tmp_path / "checkpoints" / name


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50", "darknet53"])
def test_a_failed_download_names_the_file_and_where_to_put_it(tmp_path, monkeypatch, architecture):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    name = imagenet_url(architecture).rsplit("/", 1)[1]
    # a proxy that refuses connections: no machine on the way is asked; urllib keeps what it first found for all later
    # requests of the process, so it looks anew, and what it kept before comes back after
    monkeypatch.setattr(urllib.request, "_opener", None)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(WeightsError) as caught:
        imagenet_weights(architecture)
    assert name in caught.value.line
    assert f"put it at {tmp_path / 'checkpoints' / name}" in caught.value.line
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_backbone_that_nobody_publishes_says_so():
    with pytest.raises(WeightsError, match="none published"):
        imagenet_weights("darknet-narrow")
