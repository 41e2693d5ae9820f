from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from osm.cli.simulate import app
from osm.errors import DataError


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_pairs(run, tmp_path):
    out = tmp_path / "pairs"
    first = run("pairs", "--out", out, "--count", 2, "--seed", 3, "--size", 64)
    assert first.exit_code == 0, first.output
    assert "2 pairs in the layout of QXS-SAROPT" in first.stdout
    assert len(list(out.rglob("*.png"))) == 4
    again = run("pairs", "--out", out, "--count", 2, "--seed", 3, "--size", 64)
    assert again.exit_code == 0
    assert "reused" in again.stdout
    other = run("pairs", "--out", out, "--count", 2, "--seed", 4, "--size", 64)
    assert isinstance(other.exception, DataError)
    assert "another seed" in other.exception.line


def test_scenes(run, tmp_path):
    result = run("scenes", "-o", tmp_path / "s", "-n", 1, "--width", 300, "--height", 260, "--max-ships", 3)
    assert result.exit_code == 0, result.output
    label = (tmp_path / "s" / "AIR-SARShip-1.0-xml" / "SARShip-1.0-1-label.xml").read_text()
    assert "<width>300</width><height>260</height>" in label
    assert 1 <= label.count("<object>") <= 3


@pytest.mark.parametrize("words", [("pairs", "--count", "2"), ("pairs", "--out", "x", "--size", "8"), ("scenes",)])
def test_usage_errors(run, words):
    assert run(*words).exit_code == 2


def test_help_imports_nothing_heavy():
    code = (
        "import sys, osm.cli.simulate; "
        "heavy = {'numpy', 'PIL', 'torch', 'scipy', 'tifffile'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
