"""Many scenes: finished ones are known again, broken ones stop nobody, and a full disk leaves nothing half written."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osm.detection.search import batch, into_file
from osm.detection.search.batch import run_batch, search_chunk
from osm.detection.search.inputs import gather_scenes
from osm.detection.search.into_file import run_into_file
from osm.detection.search.order import Order, Run
from osm.detection.search.search import SearchSettings
from osm.errors import ConfigError, DataError
from osm.files import write_sealed
from tests.detection.search.scenes import UTM, SeeingRuntime, paint, ships_in, write


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Weights that see what is there, in place of trained ones; the list of those opened."""
    paths: list[Path] = []

    def open_seeing(path: Path, device: str) -> SeeingRuntime:
        paths.append(path)
        return SeeingRuntime()

    monkeypatch.setattr(batch, "open_runtime", open_seeing)
    monkeypatch.setattr(into_file, "open_runtime", open_seeing)
    return paths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three scenes and a truncated one between them."""
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for number, name in enumerate("abcd"):
        ships = ships_in(np.random.default_rng(number), 130, 100, count=4)
        write(scenes / f"{name}.tif", paint(ships, 130, 100), compress="deflate", **UTM)
    whole = (scenes / "b.tif").read_bytes()
    (scenes / "b.tif").write_bytes(whole[: len(whole) - 60])
    return scenes


ORDER = Order(Path("w.onnx"), "ab" * 32, formats=("geojson", "coco", "csv", "gpkg", "png", "html"))


def test_a_broken_scene_stops_no_other_and_the_second_run_searches_it_alone(folder, tmp_path, opened) -> None:
    scenes, out = gather_scenes([folder]), tmp_path / "out"
    outcomes = run_batch(ORDER, scenes, out)
    assert [outcome.state for outcome in outcomes] == ["searched", "failed", "searched", "searched"]
    assert "b.tif" in outcomes[1].error
    assert "the window" in outcomes[1].error
    assert json.loads((out / "b.failed.json").read_text())["error"] == outcomes[1].error
    made = sorted(path.name for path in out.iterdir() if path.name.startswith("a."))
    assert made == ["a.coco.json", "a.csv", "a.detect.json", "a.geojson", "a.gpkg", "a.html", "a.png"]
    assert len(json.loads((out / "a.geojson").read_text())["features"]) == outcomes[0].ships == 4
    assert not list(out.glob(".[!l]*"))

    ships = ships_in(np.random.default_rng(1), 130, 100, count=4)
    write(folder / "b.tif", paint(ships, 130, 100), **UTM)
    (out / "c.csv").unlink()  # a file of a finished scene is gone
    before = (out / "a.csv").stat().st_mtime_ns
    outcomes = run_batch(ORDER, scenes, out)
    assert [outcome.state for outcome in outcomes] == ["done", "searched", "searched", "done"]
    assert (out / "a.csv").stat().st_mtime_ns == before
    assert not (out / "b.failed.json").exists()
    assert len(opened) == 2
    run_batch(ORDER, scenes, out)
    assert len(opened) == 2


def test_other_weights_settings_or_pixels_are_another_search(folder, tmp_path, opened) -> None:
    scenes, out = gather_scenes([folder / "a.tif"]), tmp_path / "out"
    run_batch(ORDER, scenes, out)
    others = [
        Order(Path("w.onnx"), "cd" * 32, formats=ORDER.formats),
        Order(Path("w.onnx"), "ab" * 32, SearchSettings(score=0.6), ORDER.formats),
    ]
    for order in others:
        with pytest.raises(ConfigError, match=r"searched otherwise.*--overwrite"):
            run_batch(order, scenes, out)
    # the size of a batch changes nothing
    run_batch(Order(Path("w.onnx"), "ab" * 32, SearchSettings(batch_size=1), ORDER.formats), scenes, out)
    assert len(opened) == 1
    # a damaged record is no record
    (out / "a.detect.json").write_text((out / "a.detect.json").read_text().replace('"tiles": ', '"tiles": 1'))
    assert run_batch(ORDER, scenes, out)[0].state == "searched"


def test_an_output_that_was_cut_short_is_made_again(folder, tmp_path, opened) -> None:
    scenes, out = gather_scenes([folder / "a.tif"]), tmp_path / "out"
    run_batch(ORDER, scenes, out)
    whole = (out / "a.geojson").read_bytes()
    (out / "a.geojson").write_bytes(whole[: len(whole) // 2])
    assert run_batch(ORDER, scenes, out)[0].state == "searched"
    assert (out / "a.geojson").read_bytes() == whole
    assert run_batch(ORDER, scenes, out)[0].state == "done"


def test_a_scene_of_a_version_that_wrote_no_sizes_is_searched_again(folder, tmp_path, opened) -> None:
    scenes, out = gather_scenes([folder / "a.tif"]), tmp_path / "out"
    run_batch(ORDER, scenes, out)
    record = json.loads((out / "a.detect.json").read_text())
    write_sealed(out / "a.detect.json", {**record, "files": list(record["files"])})
    assert run_batch(ORDER, scenes, out)[0].state == "searched"
    assert run_batch(ORDER, scenes, out)[0].state == "done"


@pytest.mark.parametrize("how", ["touched", "gone"])
def test_a_scene_that_changes_while_it_is_searched_is_not_taken_for_searched(
    folder, tmp_path, opened, monkeypatch, how
) -> None:
    search = batch.search_and_place

    def search_and_change(*arguments):
        placed = search(*arguments)
        if how == "gone":
            (folder / "a.tif").unlink()
        else:
            os.utime(folder / "a.tif", (1, 1))
        return placed

    monkeypatch.setattr(batch, "search_and_place", search_and_change)
    (outcome,) = run_batch(ORDER, gather_scenes([folder / "a.tif"]), tmp_path / "out")
    assert outcome.state == "failed"
    assert "a.tif: found that it changed while it was searched" in outcome.error
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".lock", "a.failed.json"}


def test_jobs_elsewhere_leave_what_is_known_here(folder, tmp_path, opened) -> None:
    scenes, out = gather_scenes([folder]), tmp_path / "out"

    def elsewhere(function, chunks, logs):
        for number, chunk in enumerate(chunks):
            if number < len(chunks) - 1:
                function(chunk)
            yield number, None if number < len(chunks) - 1 else "its node was lost"

    outcomes = run_batch(ORDER, scenes, out, Run(elsewhere=elsewhere, jobs=2))
    assert [outcome.state for outcome in outcomes] == ["searched", "failed", "searched", "failed"]
    assert outcomes[3].error == "its job was lost: its node was lost; run the command again"
    assert pickle.loads(pickle.dumps(search_chunk)) is search_chunk  # as submitit does


def test_one_file_for_several_scenes_goes_on_where_it_ended(folder, tmp_path, opened) -> None:
    scenes, out = gather_scenes([folder]), tmp_path / "ships.geojson"
    outcomes = run_into_file(ORDER, scenes, out, "geojson")
    assert [outcome.state for outcome in outcomes] == ["searched", "failed", "searched", "searched"]
    record = json.loads(out.read_text())
    assert {feature["properties"]["scene"] for feature in record["features"]} == {"a", "c", "d"}
    write(folder / "b.tif", np.zeros((70, 70), np.uint8), **UTM)
    outcomes = run_into_file(ORDER, scenes, out, "geojson")
    assert [outcome.state for outcome in outcomes] == ["done", "searched", "done", "done"]
    assert len(json.loads(out.read_text())["searched"]) == 4
    with pytest.raises(ConfigError, match="expected one"):
        run_into_file(ORDER, scenes, tmp_path / "a.png", "png")


def test_a_scene_that_fails_now_leaves_no_ships_of_an_earlier_search(folder, tmp_path, opened) -> None:
    (folder / "b.tif").unlink()
    scenes, out = gather_scenes([folder]), tmp_path / "ships.geojson"
    run_into_file(ORDER, scenes, out, "geojson")
    assert b'"scene":"c"' in out.read_bytes().replace(b" ", b"")
    whole = (folder / "c.tif").read_bytes()
    (folder / "c.tif").write_bytes(whole[: len(whole) // 2])
    other = replace(ORDER, weights_sha256="cd" * 32)
    outcomes = run_into_file(other, gather_scenes([folder]), out, "geojson", Run(overwrite=True))
    assert [outcome.state for outcome in outcomes] == ["searched", "failed", "searched"]
    assert {feature["properties"]["scene"] for feature in json.loads(out.read_text())["features"]} == {"a", "d"}


def test_a_lost_job_is_no_search_because_there_was_one_before(folder, tmp_path, opened) -> None:
    scenes, out = gather_scenes([folder / "a.tif"]), tmp_path / "out"
    run_batch(ORDER, scenes, out)
    (out / "a.csv").unlink()

    def elsewhere(function, chunks, logs):
        yield 0, "its node was lost"

    (outcome,) = run_batch(ORDER, scenes, out, Run(elsewhere=elsewhere))
    assert outcome.state == "failed"
    assert "its node was lost" in outcome.error


def test_one_scene_into_one_file(folder, tmp_path, opened) -> None:
    scene = gather_scenes([folder / "a.tif"])
    for kind in ("csv", "coco", "png"):
        run_into_file(ORDER, scene, tmp_path / f"a.{kind}", kind)
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 5
    with pytest.raises(ConfigError, match=r"there already.*--overwrite"):
        run_into_file(ORDER, scene, tmp_path / "a.csv", "csv")
    with pytest.raises(DataError, match="the window"):
        run_into_file(ORDER, gather_scenes([folder / "b.tif"]), tmp_path / "b.csv", "csv")
    assert not (tmp_path / "b.csv").exists()


def test_ships_on_land_are_removed(folder, tmp_path, opened) -> None:
    pytest.importorskip("osm.data.land")
    import geopandas
    import shapely

    # the western half of the scene
    west = shapely.box(499000, 5790000, 500650, 5810000)
    geopandas.GeoSeries([west], crs="EPSG:32633").to_file(tmp_path / "land.gpkg")
    order = Order(Path("w.onnx"), "ab" * 32, land_mask=tmp_path / "land.gpkg", formats=("csv",))
    (outcome,) = run_batch(order, gather_scenes([folder / "a.tif"]), tmp_path / "out")
    ships = ships_in(np.random.default_rng(0), 130, 100, count=4)
    assert outcome.ships == (ships[:, [0, 2]].mean(axis=1) > 65).sum() < 4
    assert f"{4 - outcome.ships} of 4 detections lay on land" in outcome.notes
    write(tmp_path / "plain.tif", paint(ships, 130, 100))
    (outcome,) = run_batch(order, gather_scenes([tmp_path / "plain.tif"]), tmp_path / "out")
    assert "expected a scene with a place on the ground, for --land-mask" in outcome.error


@pytest.mark.parametrize("kind", ["geojson", "coco", "csv", "gpkg", "png", "html"])
def test_a_full_disk_leaves_nothing_half_written(folder, tmp_path, kind) -> None:
    code = f"""
import resource, sys
from pathlib import Path
from osm.detection.search import batch
from osm.detection.search.inputs import gather_scenes
from osm.detection.search.order import Order, Run
from tests.detection.search.scenes import SeeingRuntime
batch.open_runtime = lambda path, device: SeeingRuntime()
order = Order(Path("w.onnx"), "ab" * 32, formats=({kind!r},))
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
outcomes = batch.run_batch(order, gather_scenes([Path({str(folder / "a.tif")!r})]), Path({str(tmp_path / "out")!r}))
print(outcomes[0].state, outcomes[0].error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("failed"), done.stdout + done.stderr
    assert "defect" not in done.stdout
    # which file has no room is said, and not only that one has none
    assert f"{tmp_path / 'out'}/a." in done.stdout
    assert "cannot be written" in done.stdout
    # the failure itself may still find room
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {".lock", "a.failed.json"}
