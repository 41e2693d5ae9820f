from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from osm.cli.data import app
from osm.data.pairs import read_pairs
from osm.errors import ConfigError, DataError


def _run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_verify_prints_counts_and_exits_with_0(ssdd: Path) -> None:
    result = _run("verify", "ssdd", ssdd)
    assert result.exit_code == 0
    assert "nothing is wrong" in result.stdout
    assert ["scenes", "4"] in [line.split() for line in result.stdout.splitlines()]


def test_verify_lists_every_problem_on_a_line_and_exits_with_2(ssdd: Path) -> None:
    for name in ("000001", "000010"):
        (ssdd / "Annotations" / f"{name}.xml").unlink()
    result = _run("verify", "ssdd", ssdd)
    assert result.exit_code == 2
    errors = [line for line in result.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "000001.xml" in errors[0]
    assert "2 problems" in result.stdout


def test_verify_as_json(ssdd: Path) -> None:
    (ssdd / "Annotations" / "000001.xml").unlink()
    result = _run("verify", "ssdd", ssdd, "--json")
    assert result.exit_code == 2
    record = json.loads(result.stdout)
    assert record["clean"] is False
    assert record["counts"]["scenes"] == 3
    assert set(record["problems"][0]) == {"where", "found", "expected", "mend"}


def test_verify_raises_for_an_unknown_kind(tmp_path: Path) -> None:
    assert isinstance(_run("verify", "qxs", tmp_path).exception, ConfigError)


def _build(scenes: Path, out: Path, *args: object) -> Result:
    return _run("build-pairs", "--sar", f"{scenes}/*_sar.tif", "--optical", f"{scenes}/*_opt.tif", "--out", out, *args)


def test_build_pairs_passes_its_options_on(scene_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--size", 32, "--overlap", 0.5, "--sar-radiometry", "minmax", "--optical-radiometry", "linear:0,128")
    more = ("--max-missing", 0.25, "--keep-constant", "--optical-bands", "3,2,1", "--sar-band", 1, "--sar-nodata", 7)
    result = _build(scene_pairs, out, *options, *more, "--optical-nodata", 300)
    assert result.exit_code == 0, result.exception
    assert "30 pairs of 2 scenes" in result.stdout
    assert json.loads((out / "report.json").read_text())["settings"] == {
        "size_px": 32,
        "overlap": 0.5,
        "max_missing": 0.25,
        "keep_constant": True,
        "sar_radiometry": "minmax",
        "optical_radiometry": "linear:0,128",
        "sar_nodata": 7.0,
        "optical_nodata": 300.0,
        "sar_band": 1,
        "optical_bands": [3, 2, 1],
    }
    again = _build(scene_pairs, out, *options, *more, "--optical-nodata", 300)
    assert again.exit_code == 0
    assert "nothing to do" in again.stdout


def test_build_pairs_skips_and_overwrites_when_told_to(scene_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (scene_pairs / "b_opt.tif").unlink()
    assert isinstance(_build(scene_pairs, out, "--size", 32).exception, DataError)
    result = _build(scene_pairs, out, "--size", 32, "--skip-unpaired")
    assert "left out for want of a partner" in result.stdout
    assert "b_sar.tif" in result.stdout
    assert isinstance(_build(scene_pairs, out, "--size", 16, "--skip-unpaired").exception, DataError)
    assert _build(scene_pairs, out, "--size", 16, "--skip-unpaired", "--overwrite").exit_code == 0
    assert read_pairs(out).size_px == (16, 16)


def test_bands_that_are_no_three_numbers_are_refused(scene_pairs: Path, tmp_path: Path) -> None:
    for text in ("3,2", "r,g,b"):
        assert isinstance(_build(scene_pairs, tmp_path / "out", "--optical-bands", text).exception, ConfigError)


@pytest.mark.parametrize("command", ["verify", "build-pairs", "pack"])
def test_help_says_what_a_command_does(command: str) -> None:
    result = _run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_pack_counts_what_it_drops_and_says_when_there_is_nothing_to_do(write_pairs: Any, tmp_path: Path) -> None:
    root = write_pairs(["1.png", "2.png", "3.png"])
    for side in ("sar_256_oc_0.2", "opt_256_oc_0.2"):
        folder = root / "QXSLAB_SAROPT" / side
        (folder / "3.png").write_bytes((folder / "1.png").read_bytes())
    out = tmp_path / "packed"
    result = _run("pack", root, "--out", out)
    assert result.exit_code == 0, result.exception
    assert "2 pairs in" in result.stdout
    assert "dropped 1: duplicate" in result.stdout
    assert "nothing to do" in _run("pack", root, "--out", out).stdout
    assert isinstance(_run("pack", root, "--out", out, "--keep-duplicates").exception, DataError)
    keep = ("--keep-duplicates", "--keep-constant", "--overwrite")
    assert "3 pairs in" in _run("pack", root, "--out", out, *keep).stdout
    assert _run("verify", "pairs", out).exit_code == 0
