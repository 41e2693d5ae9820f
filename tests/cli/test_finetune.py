"""``osm finetune`` as one of several processes."""

from __future__ import annotations

import pytest

from osm.files import exclusive
from tests.commands import osm


@pytest.mark.parametrize("rank", ["0", "1"])
def test_no_process_goes_on_alone_where_a_finished_run_is_resumed(tmp_path, monkeypatch, repo_root, capsys, rank):
    monkeypatch.setenv("RANK", rank)
    (tmp_path / "metrics.json").write_text("{}")
    command = ["finetune", repo_root / "configs/detect/demo_yolov3_narrow.py", "--init", "scratch", "--resume"]
    command += ["--data-root", tmp_path / "no-data", "--work-dir", tmp_path, "--launcher", "pytorch"]
    assert osm(*command) == 0
    assert ("nothing to do" in capsys.readouterr().out) is (rank == "0")


def test_only_the_first_of_several_processes_holds_the_folder(tmp_path, monkeypatch, repo_root, capsys):
    (tmp_path / "metrics.json").write_text("{}")
    command = ["finetune", repo_root / "configs/detect/demo_yolov3_narrow.py", "--init", "scratch", "--resume"]
    command += ["--data-root", tmp_path / "no-data", "--work-dir", tmp_path, "--launcher", "pytorch"]
    with exclusive(tmp_path):
        monkeypatch.setenv("RANK", "1")
        assert osm(*command) == 0
        monkeypatch.setenv("RANK", "0")
        assert osm(*command) == 2
    assert "found another run at work" in capsys.readouterr().err
