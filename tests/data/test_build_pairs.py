from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from osm.data.build_pairs import build_pairs
from osm.data.images import read_image
from osm.data.pairs import read_pairs, split_pairs
from osm.data.radiometry import Radiometry
from osm.errors import ConfigError, DataError
from osm.files import sha256_file

Write = Callable[..., Path]


def _build(scenes: Path, out: Path, **kwargs: Any) -> Any:
    kwargs.setdefault("size_px", 32)
    return build_pairs(f"{scenes}/*_sar.*", f"{scenes}/*_opt.*", out, **kwargs)


def _left(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir() if path.name != "scenes")


def test_every_patch_is_the_window_that_the_manifest_says(scene_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = _build(scene_pairs, out)
    assert (report.pairs, report.scenes, report.already_built) == (12, 2, False)
    assert report.dropped == {"border": 12, "no-data": 0, "constant SAR": 0, "constant optical": 0}
    folder = read_pairs(out)
    assert folder.names == tuple(f"{number}.png" for number in range(1, 13))
    assert folder.scenes == ("a",) * 6 + ("b",) * 6
    assert folder.size_px == (32, 32)
    with (out / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for number, row in enumerate(rows):
        sar, optical = folder.load(number)
        part = (
            slice(int(row["row"]), int(row["row"]) + 32),
            slice(int(row["column"]), int(row["column"]) + 32),
        )
        np.testing.assert_array_equal(sar, read_image(scene_pairs / f"{row['scene']}_sar.tif")[part])
        np.testing.assert_array_equal(optical, read_image(scene_pairs / f"{row['scene']}_opt.tif")[part])
        assert row["sar_sha256"] == sha256_file(folder.sar_dir / row["name"])
        assert row["optical_sha256"] == sha256_file(folder.optical_dir / row["name"])
    assert split_pairs(folder).kind == "scene"


def test_the_report_holds_settings_sources_and_radiometry(scene_pairs: Path, tmp_path: Path) -> None:
    _build(scene_pairs, tmp_path / "out", overlap=0.5, sar_radiometry="max")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["settings"]["overlap"] == 0.5
    assert report["settings"]["sar_radiometry"] == "max"
    first = report["scenes"][0]
    assert first["sar_sha256"] == sha256_file(scene_pairs / "a_sar.tif")
    assert (first["sar_radiometry"], first["optical_radiometry"]) == ("max", "none")
    assert (first["width_px"], first["height_px"], first["pairs"]) == (100, 70, 15)
    assert report["pairs"] == 30


def test_two_builds_are_the_same_bytes(scene_pairs: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        _build(scene_pairs, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 26
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path


def test_deep_scenes_are_stretched_scene_by_scene(scene_pairs: Path, tmp_path: Path) -> None:
    image = np.arange(1, 7001, dtype=np.float32).reshape(70, 100)
    tifffile.imwrite(scene_pairs / "a_sar.tif", image)
    _build(scene_pairs, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [scene["sar_radiometry"] for scene in report["scenes"]] == ["percentile:0.5,99.5", "none"]
    expected = Radiometry("percentile", 0.5, 99.5).apply(image)[:32, :32]
    np.testing.assert_array_equal(read_pairs(tmp_path / "out").load(0)[0], expected)


def test_dropped_patches_leave_no_gap_in_the_numbers(scene_pairs: Path, tmp_path: Path) -> None:
    sar = read_image(scene_pairs / "a_sar.tif").copy()
    sar[:32, :32] = 9
    tifffile.imwrite(scene_pairs / "a_sar.tif", sar)
    report = _build(scene_pairs, tmp_path / "out")
    assert report.pairs == 11
    assert report.dropped["constant SAR"] == 1
    assert read_pairs(tmp_path / "out").names[-1] == "11.png"
    assert _build(scene_pairs, tmp_path / "all", keep_constant=True).pairs == 12


def test_missing_partners_are_an_error_or_left_out(scene_pairs: Path, tmp_path: Path) -> None:
    (scene_pairs / "b_opt.tif").unlink()
    with pytest.raises(DataError, match="no optical partner of key 'b'") as caught:
        _build(scene_pairs, tmp_path / "out")
    assert caught.value.where == str(scene_pairs / "b_sar.tif")
    assert _left(tmp_path / "out") == []
    report = _build(scene_pairs, tmp_path / "out", skip_unpaired=True)
    assert (report.scenes, report.pairs) == (1, 6)
    assert report.unpaired == (str(scene_pairs / "b_sar.tif"),)
    (scene_pairs / "a_opt.tif").rename(scene_pairs / "c_opt.tif")
    with pytest.raises(DataError, match="2 more files are without a partner"):
        _build(scene_pairs, tmp_path / "none", skip_unpaired=True)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3000])


def _as_png(path: Path) -> None:
    image = read_image(path)
    path.unlink()
    Image.fromarray(image).save(path.with_suffix(".png"))
    path = path.with_suffix(".png")
    path.write_bytes(path.read_bytes()[:-3000])


@pytest.mark.parametrize("side", ["sar", "opt"])
@pytest.mark.parametrize("spoil", [_truncate, _as_png])
def test_a_truncated_scene_is_named_and_nothing_is_left(
    scene_pairs: Path, tmp_path: Path, spoil: Callable[[Path], None], side: str
) -> None:
    spoil(scene_pairs / f"b_{side}.tif")
    with pytest.raises(DataError, match="truncated") as caught:
        _build(scene_pairs, tmp_path / "out")
    assert Path(caught.value.where).stem == f"b_{side}"
    assert _left(tmp_path / "out") == []


def test_unequal_sizes_are_found_before_anything_is_cut(scene_pairs: Path, tmp_path: Path) -> None:
    tifffile.imwrite(scene_pairs / "b_opt.tif", np.zeros((60, 100, 3), dtype=np.uint8), photometric="rgb")
    cut: list[int] = []
    with pytest.raises(DataError, match="100x70 pixels, but 100x60"):
        _build(scene_pairs, tmp_path / "out", progress=lambda done, total: cut.append(done))
    assert cut == []
    assert _left(tmp_path / "out") == []


def test_nothing_worth_keeping_is_an_error(scene_pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no patch to keep") as caught:
        _build(scene_pairs, tmp_path / "out", size_px=256)
    assert "2 border" in caught.value.found
    assert _left(tmp_path / "out") == []


def test_swapped_scenes_are_refused(scene_pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="swapped"):
        build_pairs(f"{scene_pairs}/*_opt.tif", f"{scene_pairs}/*_sar.tif", tmp_path / "out", size_px=32)
    assert _left(tmp_path / "out") == []


def test_settings_out_of_range_are_refused(scene_pairs: Path, tmp_path: Path) -> None:
    for wrong in ({"overlap": 20}, {"size_px": 0}, {"sar_radiometry": "sqrt"}, {"max_missing": 2}):
        with pytest.raises(ConfigError):
            _build(scene_pairs, tmp_path / "out", **wrong)


def test_the_same_build_is_not_done_again(scene_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _build(scene_pairs, out)
    before = (out / "report.json").stat().st_mtime_ns
    moved = scene_pairs.rename(tmp_path / "moved")
    report = _build(moved, out)
    assert report.already_built
    assert (report.pairs, report.scenes) == (12, 2)
    assert (out / "report.json").stat().st_mtime_ns == before


def test_another_build_needs_leave_to_replace_it(scene_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _build(scene_pairs, out)
    with pytest.raises(DataError, match=r"overlap 0.0 there, 0.5 now") as caught:
        _build(scene_pairs, out, overlap=0.5)
    assert "--overwrite" in caught.value.mend
    assert len(read_pairs(out)) == 12
    assert _build(scene_pairs, out, overlap=0.5, overwrite=True).pairs == 30
    assert len(read_pairs(out)) == 30
    tifffile.imwrite(scene_pairs / "a_sar.tif", np.arange(7000, dtype=np.uint16).reshape(70, 100))
    with pytest.raises(DataError, match="other scenes"):
        _build(scene_pairs, out, overlap=0.5)
    assert _left(out) == ["out"]


def test_a_damaged_build_is_not_taken_for_whole(scene_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _build(scene_pairs, out)
    (read_pairs(out).sar_dir / "3.png").unlink()
    with pytest.raises(DataError, match="only 11 of the 12 pairs"):
        _build(scene_pairs, out)
    assert _build(scene_pairs, out, overwrite=True).pairs == 12


def test_a_folder_of_somebody_else_is_never_replaced(scene_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("dear")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="not made by osm data build-pairs"):
            _build(scene_pairs, out, overwrite=overwrite)
    assert (out / "thesis.txt").read_text() == "dear"
    (out / "thesis.txt").unlink()
    assert _build(scene_pairs, out).pairs == 12
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="found a file"):
        _build(scene_pairs, tmp_path / "file", overwrite=True)


def test_a_failed_replacement_leaves_the_old_build(scene_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _build(scene_pairs, out)
    _truncate(scene_pairs / "b_sar.tif")
    with pytest.raises(DataError):
        _build(scene_pairs, out, overwrite=True)
    assert len(read_pairs(out)) == 12
    assert _left(out) == ["out"]


def test_a_killed_build_leaves_nothing_that_passes_for_pairs(scene_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "out"
    script = (
        "import sys, time\nfrom osm.data.build_pairs import build_pairs\n"
        "def wait(done, total):\n"
        "    if done == 1:\n        print('half', flush=True)\n        time.sleep(60)\n"
        f"build_pairs({str(scene_pairs)!r} + '/*_sar.tif', {str(scene_pairs)!r} + '/*_opt.tif', {str(out)!r}, "
        "size_px=32, progress=wait)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "half\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not out.exists()
    assert all(path.name.startswith(".") for path in out.parent.iterdir())
    with pytest.raises(DataError):
        read_pairs(out)
    assert _build(scene_pairs, out).pairs == 12


def test_real_scenes(shared_data: Path, tmp_path: Path) -> None:
    scenes = shared_data / "sentinel-pairs"
    report = build_pairs(f"{scenes}/00*_sar.tif", f"{scenes}/00*_opt.tif", tmp_path / "out")
    assert report.pairs == 16 * report.scenes
    assert set(report.dropped.values()) == {0}
    sar, optical = read_pairs(tmp_path / "out").load(0)
    assert sar.shape == (256, 256)
    assert optical.shape == (256, 256, 3)
