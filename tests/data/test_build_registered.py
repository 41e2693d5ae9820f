"""Building pairs from scenes that must be registered first, and screened."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from osm.data.build_pairs import build_pairs
from osm.data.eight_bit import EightBit
from osm.data.pairs import SplitRule, read_pairs, split_pairs
from osm.data.radiometry import Radiometry
from osm.data.register.plan import AlignRule
from osm.data.register.resample import Grid, Resampled
from osm.data.register.tie_points import TiePoints, write_tie_points
from osm.data.register.transform import Matrix
from osm.data.screening.scores import ScreenRule
from osm.data.sources import MemorySource
from osm.errors import DataError

SIDE = 320
TURN = np.radians(2)
WARP = Matrix(
    np.array(
        [[1.02 * np.cos(TURN), -1.02 * np.sin(TURN), 15], [1.02 * np.sin(TURN), 1.02 * np.cos(TURN), -5], [0, 0, 1]]
    )
)


def _ground(seed: int = 0, side: int = SIDE) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    land = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), 4)
    return np.clip(127 + 60 * land / land.std(), 1, 255).astype(np.uint8)


def _warped(ground: np.ndarray, side: int = SIDE + 40) -> np.ndarray:
    """What an optical sensor sees through ``WARP``."""
    gone = np.zeros(ground.shape, dtype=bool)
    source = MemorySource(EightBit(ground, gone, Radiometry("none")))
    seen, _ = Resampled(source, WARP.inverse(), Grid(side, side)).read((0, 0, side, side))
    return np.dstack([seen, seen, seen // 2])


def _points(count: int = 30, wrong: int = 6) -> TiePoints:
    drawing = np.random.default_rng(1)
    sar = drawing.uniform(20, SIDE - 20, (count, 2))
    optical = WARP(sar) + drawing.normal(0, 0.2, (count, 2))
    optical[:wrong] = np.clip(optical[:wrong] + drawing.uniform(20, 60, (wrong, 2)), 0, SIDE + 40)
    return TiePoints.of(sar, optical)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    for number, key in enumerate("ab"):
        ground = _ground(number)
        Image.fromarray(ground).save(folder / f"{key}_sar.png")
        Image.fromarray(_warped(ground)).save(folder / f"{key}_opt.png")
        write_tie_points(folder / f"{key}.csv", _points())
    return folder


def _build(scenes: Path, out: Path, **kwargs: Any) -> Any:
    kwargs = {"size_px": 64, "tie_points": f"{scenes}/*.csv", "jobs": 2, **kwargs}
    return build_pairs(f"{scenes}/*_sar.*", f"{scenes}/*_opt.*", out, **kwargs)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _around(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir())


@pytest.mark.parametrize("kind", ["affine", "projective", "piecewise"])
def test_tie_points_bring_the_optical_scene_onto_the_sar_grid(scenes: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    report = _build(scenes, out, aligning=AlignRule(transform=kind, sar_pixel_m=2.0))
    assert report.pairs > 30
    pairs = read_pairs(out)
    for row in (0, len(pairs) - 1):
        sar, optical = pairs.load(row)
        seen = optical[..., 0] > 0
        off = np.abs(sar.astype(int) - optical[..., 0])[seen]
        # registered wrongly by a pixel it would be several times that
        assert off.mean() < 3
    facts = json.loads((out / "report.json").read_text())["scenes"][0]["registration"]
    region = facts["regions"][0]
    assert (facts["method"], region["points"], region["used"]) == ("tie points", 30, 24)
    assert region["left_out_rmse_px"] < 0.6
    assert region["left_out_rmse_m"] == pytest.approx(2 * region["left_out_rmse_px"], abs=1e-3)
    assert [point["used"] for point in region["residuals"]] == [False] * 6 + [True] * 24
    if kind != "piecewise":
        check = np.stack(np.meshgrid(np.linspace(0, SIDE, 9), np.linspace(0, SIDE, 9)), axis=2).reshape(-1, 2)
        off = Matrix(np.array(region["transform"]["matrix"]))(check) - WARP(check)
        assert np.sqrt((off**2).sum(axis=1).mean()) <= 0.5
    assert {row["transform"] for row in _rows(out / "manifest.csv")} == {f"{kind} 0-0"}
    with Image.open(out / "tie_points" / "a.png") as picture:
        assert picture.size == (1500, 820)
    assert (out / "tie_points" / "b.csv").is_file()


def test_sub_regions_have_transforms_of_their_own_and_no_patch_crosses(scenes: Path, tmp_path: Path) -> None:
    rule = AlignRule(region_px=160)
    write_tie_points(scenes / "a.csv", _points(120, wrong=10))
    left = _points(120, wrong=0)
    write_tie_points(scenes / "b.csv", left.take(left.sar[:, 0] < 160))
    out = tmp_path / "out"
    report = _build(scenes, out, aligning=rule)
    scenes_ = json.loads((out / "report.json").read_text())["scenes"]
    assert [region["region"] for region in scenes_[0]["registration"]["regions"]] == ["0-0", "0-1", "1-0", "1-1"]
    assert [region["registered"] for region in scenes_[1]["registration"]["regions"]] == [True, False, True, False]
    assert report.dropped["unregistered"] == 8
    for row in _rows(out / "manifest.csv"):
        for start in (int(row["row"]), int(row["column"])):
            assert start // 160 == (start + 63) // 160
    bad = left.take(left.sar[:, 0] < 160)
    write_tie_points(scenes / "b.csv", TiePoints(bad.sar, bad.optical, ("9-9",) * len(bad)))
    with pytest.raises(DataError, match="the region '9-9'"):
        _build(scenes, tmp_path / "other", aligning=rule)


def test_splits_without_a_leak_follow(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _build(scenes, out, overlap=0.2)
    pairs = read_pairs(out)
    assert pairs.scenes is not None
    by_scene = split_pairs(pairs, SplitRule("scene"))
    assert {pairs.scenes[i] for i in by_scene.train}.isdisjoint({pairs.scenes[i] for i in by_scene.test})
    blocked = split_pairs(pairs, SplitRule("blocked"))
    assert len(blocked.train)
    assert len(blocked.test)


def test_another_pixel_size_is_cut(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError, match="no size of a pixel in metres"):
        _build(scenes, out, aligning=AlignRule(pixel_m=4.0))
    _build(scenes, out, aligning=AlignRule(pixel_m=4.0, sar_pixel_m=2.0))
    sar, _ = read_pairs(out).load(0)
    ground = _ground(0).reshape(SIDE // 2, 2, SIDE // 2, 2).mean(axis=(1, 3))
    assert np.abs(sar - ground[:64, :64]).max() <= 0.51
    assert json.loads((out / "report.json").read_text())["scenes"][0]["width_px"] == SIDE // 2


def test_verdicts_edited_by_hand_win(scenes: Path, tmp_path: Path) -> None:
    sar = np.asarray(Image.open(scenes / "a_sar.png")).copy()
    sar[:64, 64:128] = np.random.default_rng(0).integers(8, 14, (64, 64))
    Image.fromarray(sar).save(scenes / "a_sar.png")
    first, second = tmp_path / "first", tmp_path / "second"
    rule = ScreenRule(sar_contrast=0.15, optical_texture=1000)
    before = _build(scenes, first, screen=rule)
    assert before.dropped["texture-less"] == 1
    assert before.cut == before.pairs + 1 + before.dropped["no-data"]
    rows = _rows(first / "screening.csv")
    assert [row["name"] for row in rows if row["reason"] == "texture-less"] == ["a_r0_c64"]
    assert {row["pair"] for row in rows} - {""} == set(read_pairs(first).names)
    assert (first / "sheets" / "kept-01.png").is_file()
    assert (first / "sheets" / "dropped-texture-less-01.png").is_file()

    edited = tmp_path / "edited.csv"
    kept = next(row["name"] for row in rows if row["verdict"] == "keep")
    lines = [(row["name"], {"a_r0_c64": "keep", kept: "drop"}.get(row["name"], row["verdict"])) for row in rows]
    edited.write_text("name,verdict\n" + "".join(f"{name},{verdict}\n" for name, verdict in lines))
    after = _build(scenes, second, screen=rule, screening=edited)
    assert (after.pairs, after.by_hand) == (before.pairs, (1, 1))
    assert after.dropped["by hand"] == 1
    again = {row["name"]: row for row in _rows(second / "screening.csv")}
    assert again["a_r0_c64"]["verdict"] == "keep"
    assert (again[kept]["verdict"], again[kept]["reason"]) == ("drop", "by hand")
    # the verdicts of the second table are stable
    assert _build(scenes, tmp_path / "third", screen=rule, screening=second / "screening.csv").pairs == after.pairs

    edited.write_text("name,verdict\nsomebody_r0_c0,keep\n")
    with pytest.raises(DataError, match="'somebody_r0_c0', which no patch"):
        _build(scenes, tmp_path / "fourth", screen=rule, screening=edited)
    assert not (tmp_path / "fourth").exists()


def test_near_duplicates_leave_their_first(scenes: Path, tmp_path: Path) -> None:
    for kind in ("sar", "opt"):
        (scenes / f"b_{kind}.png").write_bytes((scenes / f"a_{kind}.png").read_bytes())
    report = _build(scenes, tmp_path / "out", screen=ScreenRule())
    assert report.dropped["near duplicate"] == report.pairs
    assert set(read_pairs(tmp_path / "out").scenes or ()) == {"a"}
    assert all(not path.name.startswith(".") for path in read_pairs(tmp_path / "out").sar_dir.iterdir())


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda points: TiePoints.of(points.sar[:2], points.optical[:2]), "2 tie points"),
        (lambda points: TiePoints.of(points.sar[:, :1] * [1, 0.5], points.optical), "on a line"),
        (lambda points: TiePoints.of(points.sar[::-1], points.optical), "agree on one transform"),
        (lambda points: TiePoints.of(points.sar + SIDE, points.optical), "outside its scene"),
    ],
)
def test_bad_tie_points_are_found_before_anything_is_cut(scenes: Path, tmp_path: Path, spoil: Any, found: str) -> None:
    write_tie_points(scenes / "b.csv", spoil(_points(wrong=0)))
    with pytest.raises(DataError, match=found) as caught:
        _build(scenes, tmp_path / "out")
    assert caught.value.where.startswith(str(scenes / "b.csv"))
    assert _around(tmp_path / "out") == ["scenes"]


def test_sar_and_optical_exchanged_are_told_apart_by_the_pixels(scenes: Path, tmp_path: Path) -> None:
    for key in "ab":
        inner = _points(40, wrong=0)
        inner = inner.take((inner.optical < SIDE - 1).all(axis=1) & (inner.optical > 1).all(axis=1))
        write_tie_points(scenes / f"{key}.csv", inner.swapped())
    with pytest.raises(DataError, match="SAR and optical seem to be swapped"):
        _build(scenes, tmp_path / "out")
    assert _around(tmp_path / "out") == ["scenes"]


def test_tie_points_of_no_scene_are_an_error(scenes: Path, tmp_path: Path) -> None:
    (scenes / "c.csv").write_bytes((scenes / "a.csv").read_bytes())
    with pytest.raises(DataError, match="tie points of 'c'"):
        _build(scenes, tmp_path / "out")


def test_scenes_of_no_known_relation_are_refused_with_what_mends_it(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--tie-points, or find them with --align estimate"):
        _build(scenes, tmp_path / "out", tie_points=None)


def test_all_no_data_is_an_error(scenes: Path, tmp_path: Path) -> None:
    for key in "ab":
        Image.fromarray(np.zeros((SIDE + 40, SIDE + 40, 3), np.uint8)).save(scenes / f"{key}_opt.png")
    with pytest.raises(DataError, match="no patch to keep"):
        _build(scenes, tmp_path / "out")
    assert _around(tmp_path / "out") == ["scenes"]


CHILD = """
import resource, sys
from osm.data.build_pairs import build_pairs
from osm.data.screening.scores import ScreenRule
scenes, out, limit = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
def watch(what, done, total):
    if what == "cutting b" and not int(limit):
        print("half", flush=True)
        import time
        time.sleep(60)
try:
    build_pairs(scenes + "/*_sar.png", scenes + "/*_opt.png", out, size_px=64, tie_points=scenes + "/*.csv",
                screen=ScreenRule(), watch=watch, jobs=2)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_leaves_nothing(scenes: Path, tmp_path: Path) -> None:
    # patches fit; the picture of the tie points does not
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 20_000
    command = [sys.executable, "-c", CHILD, str(scenes), str(tmp_path / "out"), "20000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "DataError" in done.stdout, done.stdout + done.stderr
    assert "cannot be written" in done.stdout
    assert _around(tmp_path / "out") == ["scenes"]


def test_killed_in_the_middle_the_folder_is_absent(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "out"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(scenes), str(out), "0"], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "half\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not out.exists()
    assert all(path.name.startswith(".") for path in out.parent.iterdir())
    assert _build(scenes, out).pairs


def test_names_of_scenes_do_not_lead_out_of_the_folder(scenes: Path, tmp_path: Path) -> None:
    deep = scenes / "x"
    deep.mkdir()
    for kind in ("sar.png", "opt.png"):
        (scenes / f"a_{kind}").rename(deep / f"a,b;'..{kind}")
    out = tmp_path / "out"
    write_tie_points(tmp_path / "points.csv", _points())
    build_pairs(f"{deep}/*sar.png", f"{deep}/*opt.png", out, size_px=64, tie_points=str(tmp_path / "points.csv"))
    assert _around(out) == ["out", "points.csv", "scenes"]
    assert read_pairs(out).scenes is not None
