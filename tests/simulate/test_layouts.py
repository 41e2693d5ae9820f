from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import Image

from osm.data.pairs import read_pairs
from osm.data.scenes import read_scenes
from osm.errors import ConfigError, DataError
from osm.simulate import simulate_pairs, simulate_scenes
from osm.simulate.layouts import default_ships, make_pair, make_scene


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "SIMULATED.json"
    }


def test_pairs_are_in_the_layout_of_qxs_saropt(tmp_path):
    simulate_pairs(tmp_path / "pairs", count=3, seed=5)
    root = tmp_path / "pairs" / "QXSLAB_SAROPT"
    for number in (1, 2, 3):
        with Image.open(root / "sar_256_oc_0.2" / f"{number}.png") as dark:
            assert (dark.size, dark.mode, dark.format) == ((256, 256), "L", "PNG")
        with Image.open(root / "opt_256_oc_0.2" / f"{number}.png") as colour:
            assert (colour.size, colour.mode, colour.format) == ((256, 256), "RGB", "PNG")
    folder = read_pairs(tmp_path / "pairs")
    assert len(folder) == 3
    dark, colour = folder.load(0)
    expected = make_pair(5, 1)
    np.testing.assert_array_equal(dark, expected[0])
    np.testing.assert_array_equal(colour, expected[1])
    settings = json.loads((tmp_path / "pairs" / "SIMULATED.json").read_text())
    assert settings["seed"] == 5
    assert settings["radiometry"].startswith("linear:")


def test_scenes_are_in_the_layout_of_air_sarship(tmp_path):
    simulate_scenes(tmp_path / "scenes", count=2, seed=1, width_px=400, height_px=300, ships_per_scene=(3, 6))
    scenes = read_scenes("air-sarship-1.0", tmp_path / "scenes", None, ["2"])
    assert [scene.scene_id for scene in scenes] == ["1", "2"]
    for scene in scenes:
        image = tifffile.imread(scene.image_path)
        assert image.dtype == np.uint16
        assert image.shape == (300, 400) == (scene.height_px, scene.width_px)
        amplitude, coast = make_scene(1, int(scene.scene_id), 400, 300, (3, 6))
        np.testing.assert_array_equal(image, amplitude)
        np.testing.assert_array_equal(scene.boxes, [ship.box((300, 400)) for ship in coast.ships])
        label = tmp_path / "scenes" / "AIR-SARShip-1.0-xml" / f"SARShip-1.0-{scene.scene_id}-label.xml"
        root = ElementTree.parse(label).getroot()
        assert (root.findtext("size/width"), root.findtext("size/height")) == ("400", "300")
        assert {found.text for found in root.findall("object/name")} == {"ship"}


@pytest.mark.parametrize("seed", range(6))
def test_small_scenes_always_have_their_ships(seed):
    amplitude, coast = make_scene(seed, 1, 256, 256)
    assert amplitude.shape == (256, 256)
    low, high = default_ships(256, 256)
    assert low <= len(coast.ships) <= high
    # boxes lie on what is bright
    for ship in coast.ships:
        x1, y1, x2, y2 = ship.box((256, 256))
        assert x2 - x1 >= 3
        assert y2 - y1 >= 3
        assert amplitude[y1:y2, x1:x2].max() > 1.5 * np.median(amplitude[coast.cover == 0])


def test_the_same_seed_gives_the_same_bytes_whatever_the_count(tmp_path):
    simulate_pairs(tmp_path / "two", count=2, seed=9, size_px=96)
    simulate_pairs(tmp_path / "three", count=3, seed=9, size_px=96)
    two, three = digests(tmp_path / "two"), digests(tmp_path / "three")
    assert len(two) == 4
    assert two.items() <= three.items()
    simulate_scenes(tmp_path / "one", count=1, seed=9, width_px=256, height_px=256)
    simulate_scenes(tmp_path / "both", count=2, seed=9, width_px=256, height_px=256)
    assert digests(tmp_path / "one").items() <= digests(tmp_path / "both").items()
    simulate_pairs(tmp_path / "other", count=2, seed=10, size_px=96)
    assert not set(digests(tmp_path / "other").values()) & set(two.values())


def test_both_halves_show_the_same_place():
    """Within a pair the water is dark in SAR and blue in optical, in the same places; between pairs it is not."""

    def blocks(image):
        return image.reshape(32, 8, 32, 8).mean(axis=(1, 3)).ravel()

    halves = [make_pair(2, number) for number in range(1, 17)]
    dark = np.array([-np.log(1 + blocks(sar.astype(float))) for sar, _ in halves])
    blue = np.array([blocks(optical[..., 2].astype(float) - optical[..., 0]) for _, optical in halves])
    score = np.corrcoef(dark, blue)[:16, 16:]
    own, others = np.diag(score), score[~np.eye(16, dtype=bool)]
    assert np.median(own) > 0.2
    assert np.median(own) > np.quantile(others, 0.8)
    # shifted by 32 px the halves agree less: they are registered
    moved = np.roll(blue.reshape(16, 32, 32), 4, axis=2).reshape(16, -1)
    assert (own > np.diag(np.corrcoef(dark, moved)[:16, 16:])).mean() > 0.75


def test_a_finished_simulation_is_reused(tmp_path):
    out = tmp_path / "pairs"
    assert not simulate_pairs(out, count=2, size_px=64).reused
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert simulate_pairs(out, count=2, size_px=64).reused
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    simulate_pairs(tmp_path / "out", count=1, size_px=64)
    assert (tmp_path / "out" / "SIMULATED.json").is_file()


def test_another_folder_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="no simulation"):
        simulate_pairs(tmp_path, count=1, size_px=64)
    with pytest.raises(DataError, match="no simulation"):
        simulate_scenes(tmp_path / "mine.txt", count=1, width_px=256, height_px=256)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_other_settings_are_refused_by_name(tmp_path):
    simulate_pairs(tmp_path / "pairs", count=1, size_px=64)
    with pytest.raises(DataError, match="another count, looks"):
        simulate_pairs(tmp_path / "pairs", count=2, size_px=64, looks=3)
    with pytest.raises(DataError, match="kind"):
        simulate_scenes(tmp_path / "pairs", count=1, width_px=256, height_px=256)


def test_a_simulation_with_missing_files_is_refused(tmp_path):
    simulate_pairs(tmp_path / "pairs", count=2, size_px=64)
    (tmp_path / "pairs" / "QXSLAB_SAROPT" / "sar_256_oc_0.2" / "2.png").unlink()
    with pytest.raises(DataError, match="3 files"):
        simulate_pairs(tmp_path / "pairs", count=2, size_px=64)


def test_an_interrupted_simulation_leaves_nothing(tmp_path):
    def interrupt(done, count):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_pairs(tmp_path / "pairs", count=2, size_px=64, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file/out"):
        simulate_pairs(tmp_path / "file" / "out", count=1, size_px=64)


@pytest.mark.parametrize(
    "wrong",
    [{"count": 0}, {"count": 1, "seed": -1}, {"count": 1, "looks": 0.5}, {"count": 1, "looks": float("nan")}],
)
def test_settings_out_of_range(tmp_path, wrong):
    with pytest.raises(ConfigError):
        simulate_pairs(tmp_path / "out", **wrong)
    with pytest.raises(ConfigError):
        simulate_scenes(tmp_path / "out", **wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"width_px": 255}, {"ships_per_scene": (0, 3)}, {"ships_per_scene": (5, 3)}])
def test_scene_settings_out_of_range(tmp_path, wrong):
    with pytest.raises(ConfigError):
        simulate_scenes(tmp_path / "out", count=1, **wrong)


@pytest.mark.parametrize(("width", "height"), [(256, 700), (611, 300)])
def test_scenes_of_any_size(width, height):
    amplitude, coast = make_scene(3, 2, width, height)
    assert amplitude.shape == (height, width) == coast.shape


@pytest.mark.parametrize("threads", ["1", "4"])
def test_another_process_with_other_threads_gives_the_same_bytes(tmp_path, threads):
    code = "import sys, pathlib; from osm.simulate import simulate_pairs as s; s(pathlib.Path(sys.argv[1]), count=2)"
    environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], env=environment, check=True)
    simulate_pairs(tmp_path / "here", count=2)
    assert digests(tmp_path / "here") == digests(tmp_path / "there")
