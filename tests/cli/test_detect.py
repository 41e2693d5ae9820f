"""``osm detect`` from the command line, with a true detector that has learned nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from osm.cli.main import main
from osm.configs import config_path
from osm.detection.search.record import RECORD

rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from osm.detection.engine import build_detector
    from osm.detection.recipe import load_recipe
    from osm.transfer.export import write_safetensors

    settings = {"data.tile_px": 128, "data.overlap_px": 32, "test.precision": "float32"}
    recipe = load_recipe(config_path("detect/demo_yolov3_narrow.py"), settings)
    model, _ = build_detector(recipe, seed=0, weights=None, min_coverage=1.0)
    path = tmp_path_factory.mktemp("weights") / "detector.safetensors"
    write_safetensors(path, model.state_dict(), {"osm.recipe": json.dumps(recipe.settings(), default=str)})
    return path


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    facts = {"driver": "GTiff", "width": 150, "height": 140, "count": 1, "dtype": "uint16", "crs": "EPSG:32633"}
    for name in "ab":
        image = np.random.default_rng(ord(name)).gamma(2, 300, (140, 150)).astype(np.uint16)
        with rasterio.open(
            folder / f"{name}.tif", "w", **facts, transform=rasterio.Affine(10, 0, 5e5, 0, -10, 58e5)
        ) as file:
            file.write(image, 1)
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["detect", *map(str, arguments)])
    shown = capsys.readouterr()
    return int(ended.value.code or 0), shown.out, shown.err


def test_scenes_a_broken_one_and_a_second_run(weights, scenes, tmp_path, capsys) -> None:
    (scenes / "c.tif").write_bytes((scenes / "a.tif").read_bytes()[:5000])
    code, out, err = run(capsys, weights, scenes, "--out", tmp_path / "out", "--score", 0, "--formats", "csv,geojson")
    assert code == 1
    assert "3 scenes: 2 searched, 0 searched before, 1 failed" in out
    assert err.splitlines()[-2].split() == ["failed", "why"]
    assert err.splitlines()[-1].startswith("c")
    assert len(json.loads((tmp_path / "out" / "a.geojson").read_text())["features"]) > 0
    code, out, err = run(capsys, weights, scenes / "a.tif", "--out", tmp_path / "out", "--score", 0, "--formats", "csv,geojson")  # fmt: skip  # noqa: E501
    assert code == 0
    assert "searched before" in out
    code, out, err = run(capsys, weights, scenes / "a.tif", "--out", tmp_path / "out")
    assert code == 2
    assert "searched otherwise" in err
    assert len(err.strip().splitlines()) == 1


def test_processes_find_the_same(weights, scenes, tmp_path, capsys) -> None:
    common = ("--score", 0, "--formats", "csv")
    assert run(capsys, weights, scenes, "--out", tmp_path / "here", *common)[0] == 0
    assert run(capsys, weights, scenes, "--out", tmp_path / "there", *common, "--jobs", 2)[0] == 0
    for name in ("a.csv", "b.csv"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.onnx", "{scenes}", "--out", "x"), "none.onnx: found no such file"),
        (("{weights}", "none.tif", "--out", "x.csv"), "none.tif: found no such file"),
        (("{weights}", "{scenes}", "--out", "{scenes}"), "found the folder of the scenes"),
        (("{weights}", "{scenes}", "--out", "x", "--formats", "shp"), "--formats: found shp"),
        (("{weights}", "{scenes}", "--out", "x.csv", "--formats", "png"), "--formats: found png"),
        (("{weights}", "{scenes}", "--out", "x.png"), "2 scenes for a file that shows one"),
        (("{weights}", "{scenes}", "--out", "x", "--land-mask", "none.gpkg"), "none.gpkg"),
    ],
)
def test_one_line_says_what_is_wrong(weights, scenes, tmp_path, capsys, monkeypatch, arguments, said) -> None:
    if "--land-mask" in arguments:
        pytest.importorskip("osm.data.land")
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *(text.format(weights=weights, scenes=scenes) for text in arguments))
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]


def test_settings_inside_weights_name_no_program(weights, scenes, tmp_path, capsys) -> None:
    from osm.transfer.export import read_safetensors, write_safetensors

    tensors, metadata = read_safetensors(weights)
    recipe = json.loads(metadata["osm.recipe"])
    recipe["model"]["bbox_head"]["loss_cls"] = {"type": "os.system", "command": f"touch {tmp_path / 'mark'}"}
    hostile = tmp_path / "hostile.safetensors"
    write_safetensors(hostile, tensors, {"osm.recipe": json.dumps(recipe)})
    code, _, err = run(capsys, hostile, scenes, "--out", tmp_path / "out")
    assert code == 2
    assert "os.system" in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "mark").exists()


def test_a_batch_that_is_killed_goes_on_with_what_is_left(weights, scenes, tmp_path, capsys) -> None:
    for name in "cdefgh":
        (scenes / f"{name}.tif").write_bytes((scenes / "a.tif").read_bytes())
    common = (weights, scenes, "--score", 0, "--formats", "csv", "--out")
    command = [sys.executable, "-c", "from osm.cli.main import main; main()", "detect", *map(str, common)]
    with subprocess.Popen([*command, str(tmp_path / "out")], stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 240
        while not list((tmp_path / "out").glob("[!.]*.csv")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "out").glob("[!.]*.csv")}
    records = len(list((tmp_path / "out").glob(f"*{RECORD}")))
    code, out, _ = run(capsys, *common, tmp_path / "out")
    assert code == 0
    assert f"{8 - records} searched, {records} searched before, 0 failed" in out
    done = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "out").glob("[!.]*.csv")}
    assert len(done) == 8
    # what was finished is as it was
    assert sum(done[name] == facts for name, facts in before.items()) >= records
    assert run(capsys, *common, tmp_path / "undisturbed")[0] == 0
    assert {name: facts[1] for name, facts in done.items()} == {
        path.name: path.read_bytes() for path in (tmp_path / "undisturbed").glob("[!.]*.csv")
    }
