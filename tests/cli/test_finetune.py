"""``osm finetune`` in a folder that is taken or finished."""

from __future__ import annotations

import pytest

from osm.files import exclusive
from tests.commands import osm


@pytest.fixture
def command(tmp_path, repo_root):
    (tmp_path / "metrics.json").write_text("{}")
    config = repo_root / "configs/detect/demo_yolov3_narrow.py"
    return ["finetune", config, "--init", "scratch", "--data-root", tmp_path / "no-data", "--work-dir", tmp_path]


def test_a_finished_run_is_not_run_again(command, capsys):
    assert osm(*command, "--resume") == 0
    assert "nothing to do" in capsys.readouterr().out


def test_of_several_processes_one_has_the_folder(command, tmp_path, capsys):
    """As of torchrun, out of habit: a detector is trained by one process."""
    with exclusive(tmp_path):
        assert osm(*command, "--resume") == 2
    assert "found another run at work" in capsys.readouterr().err
