"""Headers of safetensors files: what they claim is held against the file before anything is allocated."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from osm.errors import WeightsError
from osm.transfer.header import check_header

ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def write(path, header, values=b"\0" * 8, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + values)
    return path


def test_what_safetensors_writes_passes(tmp_path):
    kinds = (torch.float32, torch.bfloat16, torch.half, torch.int64, torch.bool, torch.uint8, torch.float8_e4m3fn)
    tensors = {str(kind): torch.zeros(3, 2).to(kind) for kind in kinds}
    save_file({**tensors, "empty": torch.zeros(0, 4), "scalar": torch.tensor(1.0)}, tmp_path / "w", metadata={"a": "b"})
    check_header(tmp_path / "w")
    check_header(write(tmp_path / "v", {"w": ONE}))


@pytest.mark.parametrize(
    "header",
    [
        {"w": {**ONE, "shape": [250_000_000_000_000_000], "data_offsets": [0, 10**18]}},
        {"w": {**ONE, "shape": [2**40, 2**40]}},
        {"w": {**ONE, "shape": [3]}},
        {"w": {**ONE, "shape": [-2]}},
        {"w": {**ONE, "shape": [2.0]}},
        {"w": {**ONE, "shape": "2"}},
        {"w": {**ONE, "dtype": "F33"}},
        {"w": {**ONE, "shape": [1], "data_offsets": [0, 4]}},
        {"w": ONE, "v": ONE},
        {"w": {**ONE, "shape": [1], "data_offsets": [0, 4]}, "v": {**ONE, "shape": [1], "data_offsets": [2, 6]}},
        {"w": {**ONE, "data_offsets": [8, 0]}},
        {"w": {"dtype": "F32", "shape": [2]}},
        {"w": None},
        [],
        b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}\t',
        b"{" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"w":\xff}',
        b"",
    ],
)
def test_a_header_that_claims_what_is_not_there_is_refused(tmp_path, header):
    with pytest.raises(WeightsError, match=r"w\.safetensors: found no whole safetensors file"):
        check_header(write(tmp_path / "w.safetensors", header))


@pytest.mark.parametrize("length", [1 << 60, 2**64 - 1, 100, 0])
def test_a_length_of_the_header_that_cannot_be_is_refused(tmp_path, length):
    with pytest.raises(WeightsError, match="no whole safetensors file"):
        check_header(write(tmp_path / "w.safetensors", {"w": ONE}, length=length))


@pytest.mark.parametrize("content", [b"", b"\x08", b"\0" * 7])
def test_a_file_shorter_than_a_length_is_refused(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="no whole safetensors file"):
        check_header(tmp_path / "w.safetensors")
