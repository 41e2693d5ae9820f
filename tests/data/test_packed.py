from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.data.pack import pack_pairs
from osm.data.packed import HEADER_BYTES, header, is_packed
from osm.data.pairs import read_pairs
from osm.data.screen import usable
from osm.errors import DataError
from osm.files import read_json, write_json


@pytest.fixture
def store(write_pairs, tmp_path: Path) -> Path:
    root = write_pairs([f"{number}.png" for number in range(1, 13)])
    rows = "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(1, 13))
    (root / "manifest.csv").write_text("name,scene\n" + rows)
    pack_pairs(root, tmp_path / "packed")
    return tmp_path / "packed"


@given(st.lists(st.integers(0, 2**40), min_size=3, max_size=4))
def test_a_head_has_one_length_and_numpy_reads_it(shape: list[int]) -> None:
    head = header(tuple(shape))
    assert len(head) == HEADER_BYTES
    import io

    stream = io.BytesIO(head)
    assert np.lib.format.read_magic(stream) == (1, 0)
    assert np.lib.format.read_array_header_1_0(stream) == (tuple(shape), False, np.dtype(np.uint8))


def test_a_store_holds_what_the_folder_holds(store: Path, tmp_path: Path) -> None:
    folder, packed = read_pairs(tmp_path / "pairs"), read_pairs(store)
    assert (packed.names, packed.scenes, packed.size_px) == (folder.names, folder.scenes, folder.size_px)
    assert len(packed) == 12
    for index in range(12):
        for patch, stored in zip(folder.load(index), packed.load(index), strict=True):
            np.testing.assert_array_equal(patch, stored)
            assert stored.dtype == np.uint8
    np.testing.assert_array_equal(packed.optical_patches([7, 0, 7]), folder.optical_patches([7, 0, 7]))
    chosen = packed.select(np.array([11, 3]))
    assert (chosen.names, chosen.scenes) == (("12.png", "4.png"), ("a", "a"))
    np.testing.assert_array_equal(chosen.sar_patches(range(2)), folder.sar_patches([11, 3]))
    assert chosen.stamp() != packed.stamp()


def test_numpy_opens_the_arrays_by_itself(store: Path) -> None:
    packed = read_pairs(store)
    sar, optical = (np.load(store / name, mmap_mode="r") for name in ("sar.npy", "optical.npy"))
    assert (sar.shape, optical.shape) == ((12, 16, 16), (12, 16, 16, 3))
    np.testing.assert_array_equal(sar[5], packed.load(5)[0])
    np.testing.assert_array_equal(packed.maps()[1], optical)


def test_all_of_a_store_is_usable(store: Path) -> None:
    packed = read_pairs(store)
    good, report = usable(packed)
    assert good.tolist() == list(range(12))
    assert (report.pairs, report.dropped) == (12, ())


def test_a_store_that_was_read_travels_without_its_pixels(store: Path) -> None:
    packed = read_pairs(store)
    packed.load(0)
    sent = pickle.dumps(packed)
    assert len(sent) < 4000
    np.testing.assert_array_equal(pickle.loads(sent).load(4)[0], packed.load(4)[0])


@pytest.mark.parametrize("name", ["sar.npy", "optical.npy"])
def test_a_shortened_file_is_named_when_opened_and_when_read(store: Path, name: str) -> None:
    packed = read_pairs(store)
    path = store / name
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size - 10)
    with pytest.raises(DataError, match="bytes") as caught:
        read_pairs(store)
    assert caught.value.where == str(path)
    with pytest.raises(DataError, match="ends in pair 11") as caught:
        packed.load(11)
    assert caught.value.where == str(path)


def test_parts_that_do_not_fit_each_other_are_named(store: Path) -> None:
    names = store / "pairs.csv"
    text = names.read_text()
    names.write_text(text.replace("7.png", "8.png"))
    with pytest.raises(DataError, match="SHA-256 differs"):
        read_pairs(store)
    names.write_text(text)
    with (store / "sar.npy").open("r+b") as stream:
        stream.write(header((12, 32, 8)))
    with pytest.raises(DataError, match="another head"):
        read_pairs(store)
    (store / "sar.npy").unlink()
    with pytest.raises(DataError, match=r"sar\.npy: found no readable file"):
        read_pairs(store)


def test_records_of_another_version_and_broken_ones_are_refused(store: Path) -> None:
    record = read_json(store / "packed.json")
    write_json(store / "packed.json", {**record, "format": 99})
    with pytest.raises(DataError, match="format 99"):
        read_pairs(store)
    del record["chunk_pairs"]
    write_json(store / "packed.json", record)
    with pytest.raises(DataError, match="broken record"):
        read_pairs(store)
    (store / "packed.json").unlink()
    assert not is_packed(store)
    with pytest.raises(DataError, match=r"no folder sar\*"):
        read_pairs(store)
