from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner, Result

from osm.cli.data import app
from osm.data.register.tie_points import TiePoints, write_tie_points
from osm.errors import ConfigError


def _build(scenes: Path, out: Path, *args: object) -> Result:
    command = ["build-pairs", "--sar", f"{scenes}/*_sar.tif", "--optical", f"{scenes}/*_opt.tif", "--out", out]
    return CliRunner().invoke(app, [str(arg) for arg in (*command, "--size", 32, *args)])


def test_counts_residuals_and_verdicts_are_printed(scene_pairs: Path, tmp_path: Path) -> None:
    corners = np.array([[5.0, 5], [90, 8], [12, 60], [80, 55], [50, 30]])
    write_tie_points(scene_pairs / "a.csv", TiePoints.of(corners, corners + np.array([0.25, 0])))
    ties = ("--tie-points", f"{scene_pairs}/*.csv", "--sar-pixel-m", 10, "--screen")
    first = _build(scene_pairs, tmp_path / "out", *ties)
    assert first.exit_code == 0, first.exception
    assert "a: affine, 5 of 5 tie points used, RMSE 0.00 SAR pixels (0.00 m)" in first.stdout
    assert "12 patches → 11 kept" in first.stdout or "12 patches → 12 kept" in first.stdout
    table = tmp_path / "edited.csv"
    table.write_text((tmp_path / "out" / "screening.csv").read_text().replace(",keep,", ",drop,", 1))
    second = _build(scene_pairs, tmp_path / "out", *ties, "--screening", table, "--overwrite")
    assert "by hand: 0 kept, 1 dropped" in second.stdout
    assert str(tmp_path / "out" / "sheets") in second.stdout


def test_thresholds_without_screening_are_refused(scene_pairs: Path, tmp_path: Path) -> None:
    for option in (("--seam", 0.5), ("--duplicate", 0.8), ("--water-sar", 0.1)):
        assert isinstance(_build(scene_pairs, tmp_path / "out", *option).exception, ConfigError)


def test_settings_out_of_range_are_refused(scene_pairs: Path, tmp_path: Path) -> None:
    wrong = (("--align", "magic"), ("--transform", "spline"), ("--pixel-m", -1), ("--tolerance-px", 0))
    for option in wrong:
        assert isinstance(_build(scene_pairs, tmp_path / "out", *option).exception, ConfigError)
    assert not (tmp_path / "out").exists()


def test_another_grid_is_an_error_where_the_same_is_demanded(scene_pairs: Path, tmp_path: Path) -> None:
    Image.fromarray(np.ones((60, 100, 3), np.uint8)).save(scene_pairs / "b_opt.tif")
    found = _build(scene_pairs, tmp_path / "out", "--align", "grid")
    assert "100x70 pixels, but 100x60" in str(found.exception)
