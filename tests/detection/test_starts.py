"""Starts of a probe: how they are spelt, and what is said of weights that do not fit."""

from pathlib import Path

import pytest
import torch

from osm.detection.arms import Init
from osm.detection.starts import check_start, parse_start
from osm.errors import ConfigError, WeightsError
from osm.files import sha256_file
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_backbone


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scratch", Init("scratch")),
        ("imagenet", Init("imagenet")),
        ("imagenet:a.safetensors", Init("imagenet", Path("a.safetensors"))),
        ("osm:a/b.pth", Init("osm", Path("a/b.pth"))),
        ("a/b.safetensors", Init("osm", Path("a/b.safetensors"))),
    ],
)
def test_every_spelling_is_read(text, expected):
    assert parse_start(text) == expected


@pytest.mark.parametrize("text", ["", "osm", "scratch:w.safetensors", "imagnet", "w.pth"])
def test_other_spellings_are_refused(text):
    with pytest.raises(ConfigError, match=r"no such start; expected scratch, .* or PATH\.safetensors"):
        parse_start(text)


def test_a_start_from_a_file_that_is_not_whole_is_called_partial(yolo, tmp_path):
    whole = build_backbone("darknet-narrow").state_dict()
    part = {key: value for key, value in whole.items() if not key.startswith("conv_res_block5.conv.")}
    torch.save(part, tmp_path / "part.pth")
    state = torch.get_rng_state()
    start = check_start(Init("imagenet", tmp_path / "part.pth"), yolo)
    assert torch.equal(torch.get_rng_state(), state)
    assert start.label == "imagenet (partial)"
    assert 0.8 <= start.coverage < 1
    assert start.sha256 == sha256_file(tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"part\.pth.*expected coverage of at least 1\.00"):
        check_start(Init("osm", tmp_path / "part.pth"), yolo)
    assert check_start(Init("osm", tmp_path / "part.pth"), yolo, 0.5).label == f"{tmp_path / 'part.pth'} (partial)"


def test_weights_that_do_not_fit_stop_with_one_line(yolo, tmp_path):
    path = tmp_path / "r18.safetensors"
    export_backbone(path, build_backbone("resnet18"), Card("resnet18", InputContract.of("resnet18")))
    with pytest.raises(
        WeightsError, match="found a backbone of resnet18; expected weights of darknet-narrow"
    ) as caught:
        check_start(Init("osm", path), yolo)
    assert "\n" not in caught.value.line
    with pytest.raises(WeightsError, match=r"absent\.safetensors: found no such file"):
        check_start(Init("osm", tmp_path / "absent.safetensors"), yolo)
    with pytest.raises(WeightsError, match="imagenet weights of darknet-narrow: found none published"):
        check_start(Init("imagenet"), yolo)
