"""A scene searched in windows is the scene searched at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osm.data.radiometry import Radiometry
from osm.detection.search.reading import ReadSettings
from osm.detection.search.search import SearchSettings, search_scene
from osm.errors import DataError
from tests.detection.search.scenes import UTM, SeeingRuntime, by_place, paint, ships_in, write

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=SEEDS, width=st.integers(30, 260), height=st.integers(30, 200), batch=st.integers(1, 5))
def test_every_ship_once_and_whole(tmp_path: Path, seed: int, width: int, height: int, batch: int) -> None:
    ships = ships_in(np.random.default_rng(seed), width, height)
    path = write(tmp_path / "a.tif", paint(ships, width, height))
    found = search_scene(SeeingRuntime(), path, SearchSettings(batch_size=batch))
    np.testing.assert_array_equal(by_place(found.boxes), by_place(ships))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", "complex64", "decibels"])
@pytest.mark.parametrize("how", ["percentile:1,99", "log:1,99", "max"])
def test_pixels_are_those_of_the_whole_scene(tmp_path: Path, dtype: str, how: str) -> None:
    rng = np.random.default_rng(0)
    image = rng.gamma(2, 40, (150, 130)).clip(0, 255)
    image[:20] = 0
    if dtype == "complex64":
        image = image * np.exp(1j * rng.uniform(0, 7, image.shape))
    if dtype == "decibels":
        image = (10 * np.log10(image / 300 + 1e-6)).astype(np.float32)
        image[30, 40] = np.nan
    else:
        image = image.astype(dtype)
    path = write(tmp_path / "a.tif", image, tiled=True, blockxsize=32, blockysize=32)
    runtime = SeeingRuntime(how)
    if dtype == "decibels" and how == "max":
        with pytest.raises(DataError, match="a largest value of -0"):
            search_scene(runtime, path)
        return
    found = search_scene(runtime, path)
    rule = Radiometry.parse(how)
    if dtype == "decibels" and how.startswith("log"):
        rule = Radiometry("percentile", 1, 99)
        assert "decibels" in found.levels.notes[0]
    whole = rule.apply(image)
    np.testing.assert_array_equal(found.overview.pixels(), whole)
    np.testing.assert_array_equal(runtime.tiles[-1], whole[-64:, -64:])
    assert str(found.levels).startswith(str(rule))


def test_weights_of_8_bit_images_take_deeper_scenes_and_say_so(tmp_path: Path) -> None:
    ships = ships_in(np.random.default_rng(1), 130, 130, count=4)
    image = paint(ships, 130, 130, "uint16") * 100
    found = search_scene(SeeingRuntime("none"), write(tmp_path / "a.tif", image))
    np.testing.assert_array_equal(by_place(found.boxes), by_place(ships))
    assert "this one is uint16, mapped by percentile" in found.levels.notes[0]
    with pytest.raises(DataError, match="give --radiometry percentile"):
        search_scene(SeeingRuntime(), tmp_path / "a.tif", SearchSettings(read=ReadSettings(radiometry="none")))


def test_decibels_that_the_weights_may_never_have_seen_are_named(tmp_path: Path) -> None:
    image = np.random.default_rng(1).uniform(-30, -5, (70, 70)).astype(np.float32)
    found = search_scene(SeeingRuntime("percentile:1,99"), write(tmp_path / "a.tif", image))
    assert "convert the scene to amplitudes first" in found.levels.notes[-1]
    found = search_scene(SeeingRuntime("percentile:1,99"), write(tmp_path / "b.tif", image + 40))
    assert found.levels.notes == ()


def test_windows_without_a_measurement_are_left_out(tmp_path: Path) -> None:
    image = paint(ships_in(np.random.default_rng(1), 260, 64, count=5), 260, 64, "float32")
    image[:, :130] = np.nan
    image[:, 130:150] = -9999
    runtime = SeeingRuntime("max")
    found = search_scene(runtime, write(tmp_path / "a.tif", image, nodata=-9999))
    assert (found.tiles, found.empty) == (6, 3)
    assert sum(runtime.batches) == 3
    assert (found.overview.pixels()[:, :150] == 0).all()


def test_a_scene_smaller_than_a_window_is_padded_with_nothing(tmp_path: Path) -> None:
    ships = np.asarray([[3, 4, 17, 9]], np.float32)
    runtime = SeeingRuntime()
    found = search_scene(runtime, write(tmp_path / "a.tif", paint(ships, 30, 20)))
    np.testing.assert_array_equal(found.boxes, ships)
    assert (runtime.tiles[0][20:] == 0).all()
    assert (runtime.tiles[0][:, 30:] == 0).all()


def test_colour_is_refused_and_equal_bands_are_one(tmp_path: Path) -> None:
    ships = ships_in(np.random.default_rng(2), 130, 90, count=4)
    gray = paint(ships, 130, 90)
    path = write(tmp_path / "a.tif", np.stack([gray, gray, np.clip(gray + 1, 0, 255)], axis=-1))
    np.testing.assert_array_equal(by_place(search_scene(SeeingRuntime(), path).boxes), by_place(ships))
    write(path, np.stack([gray, 255 - gray, gray], axis=-1))
    with pytest.raises(DataError, match="a colour image"):
        search_scene(SeeingRuntime(), path)
    write(path, np.stack([255 - gray, gray], axis=-1))
    with pytest.raises(DataError, match=r"2 bands.*choose a polarisation with --band"):
        search_scene(SeeingRuntime(), path)
    found = search_scene(SeeingRuntime(), path, SearchSettings(read=ReadSettings(band=2)))
    np.testing.assert_array_equal(by_place(found.boxes), by_place(ships))
    with pytest.raises(DataError, match="expected a band 3"):
        search_scene(SeeingRuntime(), path, SearchSettings(read=ReadSettings(band=3)))


def test_a_broken_window_is_named_and_no_thread_is_left(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(1, 255, (256, 256), dtype=np.uint8)
    path = write(tmp_path / "a.tif", image, tiled=True, blockxsize=64, blockysize=64, compress="deflate", **UTM)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"the window x \d+ to \d+, y \d+ to \d+"):
        search_scene(SeeingRuntime(), path)
    assert "reader" not in [thread.name for thread in threading.enumerate()]


def test_a_failing_model_ends_the_reader_too(tmp_path: Path) -> None:
    class Failing(SeeingRuntime):
        def predict(self, tiles):
            raise RuntimeError("out of memory")

    path = write(tmp_path / "a.tif", np.full((300, 300), 9, np.uint8))
    with pytest.raises(RuntimeError, match="out of memory"):
        search_scene(Failing(), path)
    assert "reader" not in [thread.name for thread in threading.enumerate()]


def test_the_search_needs_neither_torch_nor_mmdet() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'mmdet', 'mmengine', 'mmcv', 'torchvision']));"
        "import osm.detection.search.batch, osm.detection.search.search, osm.detection.search.runtime, osm.cli.detect"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
