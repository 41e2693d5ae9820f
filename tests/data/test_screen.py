from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osm.data.pairs import read_pairs
from osm.data.screen import Dropped, Screen, counts, is_constant, look_at, usable, write_dropped
from osm.errors import DataError

Write = Callable[..., Path]
SAR = Path("QXSLAB_SAROPT", "sar_256_oc_0.2")
OPTICAL = Path("QXSLAB_SAROPT", "opt_256_oc_0.2")


def _patches(seed: int, size_px: int = 8) -> tuple[np.ndarray, np.ndarray]:
    drawing = np.random.default_rng(seed)
    shape = (size_px, size_px)
    return drawing.integers(0, 255, shape, dtype=np.uint8), drawing.integers(0, 255, (*shape, 3), dtype=np.uint8)


def test_constant_means_one_value_or_one_colour() -> None:
    assert is_constant(np.zeros((4, 4), dtype=np.uint8))
    colour = np.broadcast_to(np.array([1, 2, 3], dtype=np.uint8), (4, 4, 3)).copy()
    assert is_constant(colour)
    colour[3, 3, 2] = 4
    assert not is_constant(colour)
    assert not is_constant(np.arange(16, dtype=np.uint8).reshape(4, 4))


def test_every_reason_is_found() -> None:
    sar, optical = _patches(0)
    flat, other = np.full_like(sar, 3), _patches(1)
    seen = {
        "good": (sar, optical),
        "black": (np.zeros_like(sar), optical),
        "grey sky": (other[0], np.full_like(optical, 200)),
        "again": (sar.copy(), optical.copy()),
        "small": _patches(2, 6),
        "odd": (sar, _patches(3, 6)[1]),
        "same SAR only": (sar, other[1]),
    }
    screen = Screen((8, 8))
    found = {name: screen.judge(name, look_at(*pair)) for name, pair in seen.items()}
    reasons = {name: entry.reason for name, entry in found.items() if entry is not None}
    assert reasons == {
        "black": "constant SAR",
        "grey sky": "constant optical",
        "again": "duplicate",
        "small": "other size",
        "odd": "unequal size",
    }
    again = found["again"]
    assert again is not None
    assert again.detail == "the same pixels as good"
    lenient = Screen((8, 8), keep_constant=True, keep_duplicates=True)
    kept = [name for name, pair in seen.items() if lenient.judge(name, look_at(*pair)) is None]
    assert kept == ["good", "black", "grey sky", "again", "same SAR only"]
    assert Screen((8, 8)).judge("flat", look_at(flat, optical)) == Dropped(
        "flat", "constant SAR", "all SAR pixels have one value"
    )


@pytest.fixture
def spoilt(write_pairs: Write) -> Path:
    """Nine pairs, of which 1 is small, 4 is black, 7 repeats 5 and 8 has patches of unequal size."""
    root = write_pairs([f"{number}.png" for number in range(1, 10)])
    for side, mode in ((SAR, "L"), (OPTICAL, "RGB")):
        Image.new(mode, (8, 8), 9).save(root / side / "1.png")
        shutil.copy(root / side / "5.png", root / side / "7.png")
    Image.new("L", (16, 16)).save(root / SAR / "4.png")
    Image.new("L", (12, 12)).save(root / OPTICAL / "8.png")
    return root


def test_a_folder_is_screened_whatever_comes_first(spoilt: Path) -> None:
    pairs = read_pairs(spoilt)
    good, report = usable(pairs)
    assert [pairs.names[index] for index in good] == ["2.png", "3.png", "5.png", "6.png", "9.png"]
    assert report.pairs == 9
    assert [(entry.name, entry.reason) for entry in report.dropped] == [
        ("1.png", "other size"),
        ("4.png", "constant SAR"),
        ("7.png", "duplicate"),
        ("8.png", "unequal size"),
    ]
    chosen = pairs.select(good)
    assert chosen.size_px == (16, 16)
    assert chosen.sar_patches(range(5)).shape == (5, 16, 16)


def test_the_list_can_be_opened_as_a_table(spoilt: Path, tmp_path: Path) -> None:
    _, report = usable(read_pairs(spoilt))
    write_dropped(tmp_path / "dropped.csv", report.dropped)
    with (tmp_path / "dropped.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[2] == {"name": "7.png", "reason": "duplicate", "detail": "the same pixels as 5.png"}
    assert counts(report.dropped) == "1 other size, 1 constant SAR, 1 duplicate, 1 unequal size"


def test_pixels_are_read_once_until_a_file_changes(spoilt: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []

    def screen() -> int:
        steps.clear()
        return len(usable(read_pairs(spoilt), tmp_path / "cache", lambda *step: steps.append(step))[0])

    assert screen() == 5
    assert steps
    assert screen() == 5
    assert not steps
    Image.fromarray(_patches(5, 16)[0]).save(spoilt / SAR / "4.png")
    assert screen() == 6
    assert steps
    (stored, *_) = (tmp_path / "cache").iterdir()
    for path in (tmp_path / "cache").iterdir():
        path.write_text("half a fi")
    assert screen() == 6
    assert steps
    assert stored.is_file()


def test_a_cache_that_cannot_be_written_costs_time_alone(
    spoilt: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(usable(read_pairs(spoilt), tmp_path / "cache")[0]) == 5
    assert "the next run will look again" in caplog.text


def test_an_unreadable_patch_stops_with_its_name(spoilt: Path) -> None:
    path = spoilt / OPTICAL / "6.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError) as caught:
        usable(read_pairs(spoilt))
    assert caught.value.where == str(path)
