from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osm.data.pack import check_room, pack_pairs
from osm.data.pairs import read_pairs
from osm.data.verify import verify
from osm.errors import DataError
from osm.files import read_json, write_json

Write = Callable[..., Path]
SAR = Path("QXSLAB_SAROPT", "sar_256_oc_0.2")
OPTICAL = Path("QXSLAB_SAROPT", "opt_256_oc_0.2")


@pytest.fixture
def spoilt(write_pairs: Write) -> Path:
    """Eight pairs, of which 2 repeats 1, 3 is black and 4 is small."""
    root = write_pairs([f"{number}.png" for number in range(1, 9)])
    for side, mode in ((SAR, "L"), (OPTICAL, "RGB")):
        shutil.copy(root / side / "1.png", root / side / "2.png")
        Image.new(mode, (4, 4)).save(root / side / "4.png")
    Image.new("L", (16, 16)).save(root / SAR / "3.png")
    return root


def test_what_must_not_be_trained_on_is_left_out_and_listed(spoilt: Path, tmp_path: Path) -> None:
    report = pack_pairs(spoilt, tmp_path / "out")
    assert (report.pairs, report.size_bytes) == (5, 5 * 16 * 16 * 4)
    assert report.screen.counts == {"duplicate": 1, "constant SAR": 1, "other size": 1}
    packed = read_pairs(tmp_path / "out")
    assert packed.names == ("1.png", "5.png", "6.png", "7.png", "8.png")
    assert packed.screened == report.screen
    listed = read_json(tmp_path / "out" / "packed.json")["dropped"]
    assert [entry["name"] for entry in listed] == ["2.png", "3.png", "4.png"]
    folder = read_pairs(spoilt)
    np.testing.assert_array_equal(packed.load(3)[1], folder.load(6)[1])


def test_what_is_asked_for_is_kept(spoilt: Path, tmp_path: Path) -> None:
    report = pack_pairs(spoilt, tmp_path / "out", keep_constant=True, keep_duplicates=True)
    assert report.pairs == 7
    assert report.screen.counts == {"other size": 1}
    assert verify("pairs", tmp_path / "out").clean


def test_records_of_the_source_come_along(write_pairs: Write, tmp_path: Path) -> None:
    root = write_pairs(["1.png", "2.png"])
    write_json(root / "SIMULATED.json", {"radiometry": "max"})
    for number, source in enumerate((root, root / "QXSLAB_SAROPT")):
        pack_pairs(source, tmp_path / f"out{number}")
        assert read_json(tmp_path / f"out{number}" / "SIMULATED.json") == {"radiometry": "max"}


def test_the_same_store_is_left_alone_and_another_refused(spoilt: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack_pairs(spoilt, out)
    before = (out / "sar.npy").stat().st_mtime_ns
    again = pack_pairs(spoilt, out)
    assert again.already_packed
    assert (again.pairs, again.screen.counts["duplicate"]) == (5, 1)
    assert (out / "sar.npy").stat().st_mtime_ns == before
    with pytest.raises(DataError, match="keep_constant False there, True now"):
        pack_pairs(spoilt, out, keep_constant=True)
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(spoilt / SAR / "3.png")
    with pytest.raises(DataError, match="other pairs"):
        pack_pairs(spoilt, out)
    assert pack_pairs(spoilt, out, overwrite=True).pairs == 6
    assert len(read_pairs(out)) == 6


def test_a_store_that_lost_a_part_is_not_taken_for_whole(spoilt: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack_pairs(spoilt, out)
    (out / "optical.npy").write_bytes(b"")
    with pytest.raises(DataError, match="0 bytes"):
        pack_pairs(spoilt, out)
    assert pack_pairs(spoilt, out, overwrite=True).pairs == 5


def test_only_a_store_is_ever_replaced(spoilt: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not made by osm data pack"):
        pack_pairs(spoilt, spoilt, overwrite=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="found a file"):
        pack_pairs(spoilt, tmp_path / "file", overwrite=True)
    pack_pairs(spoilt, tmp_path / "out")
    with pytest.raises(DataError, match="use it as it is"):
        pack_pairs(tmp_path / "out", tmp_path / "out2")


def test_an_unreadable_patch_is_named_and_leaves_nothing(spoilt: Path, tmp_path: Path) -> None:
    path = spoilt / OPTICAL / "7.png"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError) as caught:
        pack_pairs(spoilt, tmp_path / "new" / "out")
    assert caught.value.where == str(path)
    assert list((tmp_path / "new").iterdir()) == []


def test_killed_in_the_middle_it_leaves_no_store(write_pairs: Write, tmp_path: Path) -> None:
    root = write_pairs([f"{number}.png" for number in range(70)])
    script = (
        "import os, signal, sys; from osm.data.pack import pack_pairs\n"
        "pack_pairs(*sys.argv[1:], progress=lambda done, total: done and os.kill(os.getpid(), signal.SIGKILL))"
    )
    ended = subprocess.run([sys.executable, "-c", script, root, tmp_path / "out"], check=False)
    assert ended.returncode == -9
    assert not (tmp_path / "out").exists()
    assert pack_pairs(root, tmp_path / "out").pairs == 70


def test_too_little_room_is_one_line(tmp_path: Path) -> None:
    check_room(tmp_path / "a" / "b", 1000)
    with pytest.raises(DataError, match=r"found [\d,.]+ GB free; expected 1,000,000,000.0 GB") as caught:
        check_room(tmp_path / "a" / "b", 10**18)
    assert "\n" not in caught.value.line


def test_nothing_to_keep_is_an_error(write_pairs: Write, tmp_path: Path) -> None:
    root = write_pairs(["1.png"])
    Image.new("L", (16, 16), 5).save(root / SAR / "1.png")
    with pytest.raises(DataError, match=r"no pair to keep \(dropped: 1 constant SAR\)"):
        pack_pairs(root, tmp_path / "out")


@pytest.mark.parametrize(("name", "chunk"), [("sar.npy", "pairs 1 to 256"), ("optical.npy", "pairs 257 to 260")])
def test_one_flipped_bit_is_found(write_pairs: Write, tmp_path: Path, name: str, chunk: str) -> None:
    root = write_pairs([f"{number}.png" for number in range(260)], size_px=4)
    pack_pairs(root, tmp_path / "out")
    report = verify("pairs", tmp_path / "out")
    assert report.clean
    assert (report.counts["pairs"], report.counts["checksums compared"]) == (260, 4)
    with (tmp_path / "out" / name).open("r+b") as stream:
        stream.seek(200 if name == "sar.npy" else -3, 0 if name == "sar.npy" else 2)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 1]))
    (problem,) = verify("pairs", tmp_path / "out").problems
    assert problem.where == str(tmp_path / "out" / name)
    assert chunk in problem.found
