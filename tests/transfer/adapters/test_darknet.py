"""Darknet's files: read as Darknet's own layers, and refused where they are something else."""

import struct

import cv2
import pytest
import torch

from osm.errors import WeightsError
from osm.transfer.adapters.darknet import ADAPTER, convolutions, read
from osm.transfer.adapters.importing import import_from
from osm.transfer.adapters.verify import every_map
from osm.transfer.export import read_export
from tests.transfer.adapters.darknet_files import HEADER, darknet_file

#: Values of the published darknet53.conv.74, which has 162,482,580 bytes.
VALUES = (162_482_580 - 20) // 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    module = every_map("darknet53")
    draw = torch.Generator().manual_seed(2)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1, generator=draw)
            layer.running_var.uniform_(0.5, 2, generator=draw)
            layer.weight.data.uniform_(0.2, 0.6, generator=draw)
            layer.bias.data.normal_(0, 0.1, generator=draw)
    module.eval()
    path = darknet_file(tmp_path_factory.mktemp("darknet") / "darknet53.conv.74", module)
    return path, module


def test_the_plan_has_the_size_of_the_published_file():
    assert sum(convolution.values for convolution in convolutions()) == VALUES == 40_620_640
    assert len(list(convolutions())) == 52


def test_what_was_written_is_imported_bit_for_bit(whole, tmp_path):
    path, module = whole
    done = import_from(path, "darknet", architecture="darknet53", out=tmp_path / "start.safetensors")
    assert (done.coverage, done.missing, done.unused) == (1.0, (), ())
    assert done.largest_difference <= 1e-5
    found, card = read_export(done.path)
    assert found.keys() == module.state_dict().keys()
    assert all(torch.equal(found[key], value) for key, value in module.state_dict().items())
    assert card.start["imported_from"] == "darknet"
    assert card.start["source"] == "darknet53.conv.74"
    assert card.input.std == (255.0, 255.0, 255.0)


def cfg(size_px):
    """darknet53.cfg as far as the backbone goes, in the words of Darknet."""
    lines = ["[net]", f"width={size_px}", f"height={size_px}", "channels=3"]

    def convolutional(filters, size, stride):
        lines.extend(["[convolutional]", "batch_normalize=1", f"filters={filters}", f"size={size}"])
        lines.extend([f"stride={stride}", "pad=1", "activation=leaky"])

    convolutional(32, 3, 1)
    for blocks, width in ((1, 64), (2, 128), (8, 256), (8, 512), (4, 1024)):
        convolutional(width, 3, 2)
        for _ in range(blocks):
            convolutional(width // 2, 1, 1)
            convolutional(width, 3, 1)
            lines.extend(["[shortcut]", "from=-3", "activation=linear"])
    return "\n".join(lines) + "\n"


def test_opencvs_darknet_computes_from_the_file_what_we_do(whole, tmp_path):
    path, module = whole
    (tmp_path / "darknet53.cfg").write_text(cfg(64))
    weights = tmp_path / "darknet53.weights"
    weights.symlink_to(path)
    network = cv2.dnn.readNetFromDarknet(str(tmp_path / "darknet53.cfg"), str(weights))
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    network.setInput(image.numpy())
    found = torch.from_numpy(network.forward())
    theirs = ADAPTER.build("darknet53")
    ADAPTER.load(theirs, read(path).tensors)
    theirs.eval()
    with torch.no_grad():
        ours, expected = module(image)[-1], theirs(image)[-1]
    # OpenCV folds batch norm into the filters, with an epsilon of its own
    scale = float(ours.abs().max())
    assert scale > 1e-2
    assert float((found - ours).abs().max()) < 1e-3 * scale
    assert float((found - expected).abs().max()) < 1e-3 * scale


def test_the_head_of_yolov3_and_old_headers_are_passed_over(whole, tmp_path):
    _, module = whole
    for name, header, after in (("old", struct.pack("<iiii", 0, 1, 0, 9), 0), ("yolo", HEADER, 1000)):
        weights = read(darknet_file(tmp_path / name, module, header, after))
        assert torch.equal(weights.tensors["convolutions.0.conv.weight"], module.conv1.conv.weight)
        last = module.conv_res_block5.res3.conv2
        assert torch.equal(weights.tensors["convolutions.51.conv.weight"], last.conv.weight)
        assert torch.equal(weights.tensors["convolutions.51.bn.running_var"], last.bn.running_var)
        assert weights.unused == (("1,000 values behind the backbone",) if after else ())


def test_a_file_cut_short_is_refused_before_anything_is_read(whole, tmp_path, monkeypatch):
    content = whole[0].read_bytes()
    for name, length in (("by.one", 4), ("by.a.byte", 1), ("to.the.header", 4 * VALUES), ("to.less", 4 * VALUES + 8)):
        (tmp_path / name).write_bytes(content[: len(content) - length])
    del content
    monkeypatch.setattr(torch, "from_numpy", lambda values: pytest.fail("allocated"))
    with pytest.raises(WeightsError, match=r"by\.one: found 40,620,639 values; expected at least the 40,620,640"):
        read(tmp_path / "by.one")
    with pytest.raises(WeightsError, match="40,620,639 values and 3 odd bytes"):
        read(tmp_path / "by.a.byte")
    with pytest.raises(WeightsError, match=r"to\.the\.header: found 0 values"):
        read(tmp_path / "to.the.header")
    with pytest.raises(WeightsError, match=r"to\.less: found 0 values"):
        read(tmp_path / "to.less")


def test_files_of_something_else_are_refused(whole, tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "a.weights")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("a.weights", "empty"):
        with pytest.raises(WeightsError, match=f"{name}: found no header of Darknet's"):
            read(tmp_path / name)
    with pytest.raises(WeightsError, match="no such file"):
        read(tmp_path / "absent.weights")
    with pytest.raises(WeightsError, match="no such file"):
        read(tmp_path)


def test_a_network_of_other_layers_is_told_by_its_variances(whole, tmp_path):
    content = bytearray(whole[0].read_bytes())
    # a network that has one value more somewhere at its beginning
    content[20:20] = struct.pack("<f", 0.5)
    (tmp_path / "other.weights").write_bytes(content)
    with pytest.raises(WeightsError, match=r"variances below zero or NaN at convolution \d+ of 52"):
        read(tmp_path / "other.weights")
