"""Cells in processes of their own: a lost one costs itself, and nothing else."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from osm.compare.dispatch import Dispatch, run_tasks
from osm.errors import ConfigError, DataError, EnvironmentProblem


@dataclass(frozen=True)
class Errand:
    out: Path
    end: str = "well"


def do(errand):
    errand.out.with_suffix(".pid").write_text(str(os.getpid()))
    if errand.end == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if errand.end == "refused":
        raise DataError(errand.out, found="a mistake", expected="none", mend="mend it")
    if errand.end == "cleared away":
        shutil.rmtree(errand.out.parent / "logs")
        os.kill(os.getpid(), signal.SIGKILL)
    if errand.end == "never":
        time.sleep(600)
    errand.out.write_text(f"{os.environ.get('CUDA_VISIBLE_DEVICES')}")


def test_a_lost_process_and_a_failed_one_cost_themselves_only(tmp_path):
    ends = ["well", "killed", "refused", "well"]
    errands = [Errand(tmp_path / f"{number}.txt", end) for number, end in enumerate(ends)]
    found = dict(run_tasks(do, errands, Dispatch("local", jobs=2), tmp_path / "logs"))
    assert found[0] is found[3] is None
    assert [errand.out.is_file() for errand in errands] == [True, False, False, True]
    assert "ended without a result" in found[1]
    assert "2.txt: found a mistake; expected none; mend it" in found[2]
    # each names the log that says more
    for number in (1, 2):
        assert Path(found[number].split("log: ")[1].rstrip(")")).is_file()


def test_a_folder_of_jobs_that_is_cleared_away_costs_the_running_ones(tmp_path):
    errands = [Errand(tmp_path / "0.txt", "cleared away"), Errand(tmp_path / "1.txt")]
    found = dict(run_tasks(do, errands, Dispatch("local", jobs=1), tmp_path / "logs"))
    assert "what it left cannot be read" in found[0]
    assert "logs" in found[0]
    assert found[1] is None


def test_processes_end_with_the_one_that_asked_for_them(tmp_path, repo_root):
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_dispatch import Errand, do\n"
        "from osm.compare.dispatch import Dispatch, run_tasks\n"
        "folder = Path(sys.argv[1])\n"
        "list(run_tasks(do, [Errand(folder / 'a.txt', 'never')], Dispatch('local'), folder / 'logs'))\n"
    )
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": f"{here}:{repo_root}"}
    head = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), here], env=environment)
    mark = tmp_path / "a.pid"
    deadline = time.monotonic() + 120
    while not (mark.is_file() and mark.read_text()) and head.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    child = int(mark.read_text())
    head.kill()
    head.wait()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "cloud"}, "--executor: found 'cloud'; expected here or local or slurm"),
        ({"jobs": 0}, "--jobs: found 0"),
        ({"executor": "local", "options": {"slurm_partition": "gpu"}}, "slurm_partition with the executor local"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ConfigError, match=message):
        Dispatch(**options)


def test_without_a_cluster_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match="expected a cluster that takes jobs"):
        list(run_tasks(do, [Errand(tmp_path / "a.txt")], Dispatch("slurm"), tmp_path / "logs"))


def slurm_at_hand():
    try:
        return subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


needs_slurm = pytest.mark.skipif(not slurm_at_hand(), reason="no Slurm cluster answers here")


@needs_slurm
def test_jobs_of_a_cluster_behave_as_processes_do(tmp_path):
    errands = [Errand(tmp_path / f"{number}.txt", end) for number, end in enumerate(["well", "killed", "well"])]
    dispatch = Dispatch("slurm", jobs=2, options={"timeout_min": 5})
    found = dict(run_tasks(do, errands, dispatch, tmp_path / "logs"))
    assert found[0] is found[2] is None
    assert "without a result" in found[1]
    assert [errand.out.is_file() for errand in errands] == [True, False, True]


@needs_slurm
def test_an_option_that_submitit_does_not_know_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"--cluster: found .*colour"):
        list(run_tasks(do, [Errand(tmp_path / "a.txt")], Dispatch("slurm", options={"colour": 1}), tmp_path / "logs"))


@pytest.mark.parametrize(
    ("named", "seen"), [("2,3", {"2", "3"}), ("GPU-1f,GPU-2e", {"GPU-1f", "GPU-2e"}), ("", {"0", "1"}), ("5", {"5"})]
)
def test_cells_keep_to_the_gpus_that_they_were_given(tmp_path, monkeypatch, named, seen):
    """Names alone: what CUDA makes of them needs GPUs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.setattr("torch.cuda.device_count", lambda: len(seen))
    errands = [Errand(tmp_path / f"{number}.txt") for number in range(2)]
    assert dict(run_tasks(do, errands, Dispatch("local", jobs=2), tmp_path / "logs")) == {0: None, 1: None}
    assert {errand.out.read_text() for errand in errands} == seen
