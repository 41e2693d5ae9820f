"""What a machine runs out of is one line, whichever library says it; a defect stays a defect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.utils.data import DataLoader

from osm.cli.main import main
from osm.cli.outages import outage
from osm.errors import EnvironmentProblem
from osm.files import write_text


@pytest.fixture
def little_room():
    """Run code in a process whose files may have 1000 bytes, and return its last word."""

    def run(code: str) -> str:
        begin = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        begin += "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        done = subprocess.run([sys.executable, "-c", begin + code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def caught(action) -> Exception:
    with pytest.raises(Exception) as info:
        action()
    return info.value


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "replace", full)
    found = outage(caught(lambda: write_text(tmp_path / "metrics.json", "{}")))
    assert found.where == str(tmp_path / "metrics.json")
    assert found.line.startswith(f"{tmp_path / 'metrics.json'}: found no space left on device; expected room")
    assert list(tmp_path.iterdir()) == []


def test_numpy_says_it_in_words_of_its_own(little_room, tmp_path):
    said = little_room(
        "import numpy as np\nfrom osm.cli.outages import outage\n"
        f"try:\n    np.save({str(tmp_path / 'a.npy')!r}, np.zeros(10000))\n"
        "except OSError as error:\n    print(error.errno, outage(error).line)\n"
    )
    assert said.startswith("None a file of this command: found")
    assert "expected room on the disk; make room and run the command again" in said


def test_a_folder_that_may_not_be_written_to(tmp_path):
    found = outage(PermissionError(13, "Permission denied", "/a/b"))
    assert found.line.startswith("/a/b: found permission denied; expected files and folders that may be")


def test_an_error_of_rust(tmp_path):
    error = caught(lambda: save_file({"a": torch.zeros(2)}, tmp_path / "no" / "a.safetensors"))
    assert type(error).__name__ == "SafetensorError"
    assert outage(error).line.startswith("a file of weights: found no such file or directory; expected that files stay")


def test_memory_that_is_not_there():
    for action in (lambda: np.empty(1 << 58), lambda: torch.empty(1 << 58)):
        found = outage(caught(action))
        assert isinstance(found, EnvironmentProblem)
        assert "smaller batches" in found.line


class Deadly(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        if torch.utils.data.get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


def test_a_worker_that_the_system_ended():
    found = outage(caught(lambda: list(DataLoader(Deadly(), num_workers=1))))
    assert isinstance(found, EnvironmentProblem)
    assert found.where.startswith("DataLoader worker (pid")
    assert "memory for all workers" in found.line


def test_it_is_found_behind_what_was_made_of_it():
    error = RuntimeError("could not save")
    error.__cause__ = OSError(28, "No space left on device", "x.png")
    assert outage(error).where == "x.png"


def test_a_defect_after_something_that_was_passed_over_is_none(tmp_path):
    try:
        (tmp_path / "cache.json").read_text()
    except FileNotFoundError:
        error = caught(lambda: {}["a defect"])
    assert isinstance(error.__context__, FileNotFoundError)
    assert outage(error) is None


@pytest.mark.parametrize("error", [KeyError("a"), RuntimeError("shapes differ"), ValueError("no"), OSError("other")])
def test_a_defect_is_none(error):
    assert outage(error) is None


def test_the_command_line_shows_the_line_and_no_trace(monkeypatch, capsys, tmp_path):
    def full(*_, **__):
        raise OSError(28, os.strerror(28), "out/1.png")

    monkeypatch.setattr("osm.simulate.simulate_pairs", full)
    with pytest.raises(SystemExit) as stop:
        main(["simulate", "pairs", "--out", str(tmp_path / "x"), "--count", "2"])
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: out/1.png: found no space left on device; expected room on the disk")
    assert errors.count("\n") == 1
