from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from osm.data.folders import whole_folder
from osm.errors import DataError


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with whole_folder(out) as folder:
        (folder / "a").write_text("1")
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ["a"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert out.stat().st_mode & 0o777 == (tmp_path / "new").stat().st_mode & 0o777


def _write(out: Path, name: str, error: BaseException | None = None) -> None:
    with whole_folder(out) as folder:
        (folder / name).write_text("1")
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_folder_that_failed(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        _write(tmp_path / "out", "a", error())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("1")
    with pytest.raises(ValueError, match="no"):
        _write(out, "new", ValueError("no"))
    assert [path.name for path in out.iterdir()] == ["old"]
    _write(out, "new")
    assert [path.name for path in out.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_place_that_cannot_be_written_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    with pytest.raises(DataError, match="cannot be written"), whole_folder(tmp_path / "file" / "out"):
        pass


def test_what_a_killed_process_left_is_cleared_away_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    out = tmp_path / "pairs"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom osm.data.folders import whole_folder\n"
        f"with whole_folder(Path({str(out)!r})) as made:\n    (made / 'half').write_text('x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.glob(".pairs.*.partial")
    with whole_folder(out) as first, whole_folder(tmp_path / "other"):
        assert not left.exists()
        with whole_folder(out) as second:
            assert first.is_dir()
            (second / "whole").write_text("x")
        assert first.is_dir()
    assert not list(tmp_path.glob(".*"))


def test_a_folder_that_a_killed_process_was_about_to_replace_comes_back(tmp_path: Path) -> None:
    left = tmp_path / ".pairs.abc.partial"
    (left / "replaced").mkdir(parents=True)
    (left / "replaced" / "finished").write_text("x")
    with pytest.raises(ValueError, match="stop"), whole_folder(tmp_path / "pairs"):
        raise ValueError("stop")
    assert (tmp_path / "pairs" / "finished").read_text() == "x"
    assert not left.exists()
