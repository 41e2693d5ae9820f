"""Every long command, disturbed in every way that there is a word for: it goes on to the end that it would have had.

Or it says in one line what to do, and does it when that is done. Nothing finished is lost or done twice, nothing half
written is taken for whole. ``make test-faults`` runs this tier; docs/reliability.md has its table.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.faults.cases import COMMANDS, Case
from tests.faults.conftest import Bench
from tests.faults.places import Damage, broken_files, put_nan, small_disk
from tests.faults.processes import Ended, Running, begin, run

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

POINTS = 10
WITH_PROCESSES = {"pretrain": (), "compare": ("--jobs", "2"), "detect": ("--jobs", "2")}
DAY_S = 86_400


def kept(case: Case) -> dict[Path, int]:
    """Finished parts of a run, and when they were written."""
    return {path: path.stat().st_mtime_ns for path in case.out.glob(case.finished) if path.is_file()}


def goes_on(bench: Bench, case: Case, tmp_path: Path) -> str:
    """Run a command again, and find what an undisturbed run leaves; returns how it went on."""
    assert broken_files(case.out) == []
    before = kept(case)
    ended = run(case.again, tmp_path / "again")
    assert ended.code == 0, ended.errors[-3000:]
    assert case.outcome() == bench.undisturbed(case.name).outcome
    after = kept(case)
    assert {path: at for path, at in after.items() if path in before and at != before[path]} == {}, "done twice"
    assert broken_files(case.out) == []
    assert leftovers(case) == [], "what a stopped run left is still there"
    return "goes on" if before else "begins anew"


def leftovers(case: Case) -> list[str]:
    """Hidden files that a stopped run left and the next one did not clear away."""
    found = [path for path in case.out.parent.rglob(".*") if path.name not in (".lock", ".osm-cache")]
    return [str(path) for path in found if "said" not in path.parts]


def one_line(ended: Ended) -> str:
    """What a command said that could not go on; in one line, or one a scene, and nothing else."""
    assert ended.refused, f"code {ended.code}\n{ended.errors[-4000:]}"
    assert ended.errors.count("error: ") <= 1, ended.errors[-4000:]
    for line in ended.complaints:
        assert "; expected " in line or "run the command again" in line, ended.errors[-4000:]
    return ended.complaints[0]


def ended_within(bench: Bench, name: str, share: float, number: int, tmp_path: Path) -> tuple[Case, Running, Ended]:
    """A run that a signal met at a share of an undisturbed run's seconds; earlier where it had finished by then."""
    seconds = bench.undisturbed(name).seconds
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        case = bench.case(name, folder)
        running = begin(case.arguments, folder / "said")
        at = share * 0.85**attempt * seconds
        running.wait_until(lambda running=running, at=at: running.seconds() >= at)
        ended = running.kill_and_end(number)
        if ended.code:
            return case, running, ended
    raise AssertionError("it ends before it can be met")


@pytest.mark.parametrize("point", range(POINTS))
@pytest.mark.parametrize("name", COMMANDS)
def test_killed(bench, name, point, tmp_path):
    share = (point + np.random.default_rng([point, COMMANDS.index(name)]).uniform()) / POINTS
    case, running, ended = ended_within(bench, name, share, signal.SIGKILL, tmp_path)
    assert ended.code == -signal.SIGKILL
    how = goes_on(bench, case, tmp_path)
    running.wait_for_workers()
    bench.note(name, "SIGKILL at 10 random points", how)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("name", COMMANDS)
def test_asked_to_end(bench, name, share, tmp_path):
    case, running, ended = ended_within(bench, name, share, signal.SIGTERM, tmp_path)
    assert ended.code in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert "Traceback" not in ended.errors
    how = goes_on(bench, case, tmp_path)
    running.wait_for_workers()
    bench.note(name, "SIGTERM at 3 points", how)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
@pytest.mark.parametrize("name", COMMANDS)
def test_the_disk_is_full(bench, name, share, tmp_path):
    before = bench.undisturbed(name)
    with small_disk(tmp_path / "disk", int(share * before.used_bytes)) as disk:
        case = bench.case(name, disk.folder)
        line = one_line(run(case.arguments, tmp_path / "said"))
        assert broken_files(case.out) == []
        disk.resize(1 << 30)
        how = goes_on(bench, case, tmp_path)
    bench.note(name, "disk full at 10, 40 and 80 % of the output", f"one line; then {how}", line)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_output_is_read_only(bench, name, tmp_path):
    with small_disk(tmp_path / "disk", 1 << 28) as disk:
        case = bench.case(name, disk.folder)
        disk.read_only(True)
        line = one_line(run(case.arguments, tmp_path / "said"))
        disk.read_only(False)
        how = goes_on(bench, case, tmp_path)
    bench.note(name, "read-only output", f"one line; then {how}", line)


@pytest.mark.parametrize("share", [0.2, 0.4, 0.7])
@pytest.mark.parametrize("kind", ["vanishes", "is cut short"])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_input_vanishes_or_is_cut_short(bench, name, kind, share, tmp_path):
    case = bench.case(name, tmp_path, own_inputs=True)
    pictures = sorted(path for path in case.inputs.rglob("*") if path.suffix in (".png", ".tif", ".tiff"))
    running = begin(case.arguments, tmp_path / "said")
    running.wait_until(lambda: running.seconds() >= share * bench.undisturbed(name).seconds)
    damage = Damage(pictures[len(pictures) // 2 :], kind)
    ended = running.end()
    fault = f"an input {kind} (at 20, 40 and 70 % of the run)"
    if ended.code == 0:
        damage.mend()
        assert case.outcome() == bench.undisturbed(name).outcome
        bench.note(name, fault, "no effect: it had been read")
        return
    line = one_line(ended)
    assert any(path.name in line for path in pictures[len(pictures) // 2 :]), line
    damage.mend()
    how = goes_on(bench, case, tmp_path)
    bench.note(name, fault, f"one line that names it; then {how}", line)


@pytest.mark.parametrize("kind", ["vanishes", "is cut short"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_finished_part_is_damaged(bench, name, kind, tmp_path):
    """What a killed run had finished is cut short afterwards, as a disk does it that lost its last writes."""
    case = bench.case(name, tmp_path)
    running = begin(case.arguments, tmp_path / "said")
    running.wait_until(lambda: len(kept(case)) > 1 or running.seconds() > 0.6 * bench.undisturbed(name).seconds)
    running.kill_and_end(signal.SIGKILL)
    parts = sorted(kept(case), key=lambda path: path.stat().st_mtime_ns)
    fault = f"the newest part of the output {kind} after SIGKILL"
    if not parts:
        goes_on(bench, case, tmp_path)
        running.wait_for_workers()
        bench.note(name, fault, "no parts: the output appears whole")
        return
    Damage(parts[-1:], kind)
    again = run(case.again, tmp_path / "again")
    running.wait_for_workers()
    if again.code == 0:
        assert case.outcome() == bench.undisturbed(name).outcome
        bench.note(name, fault, "made again")
        return
    line = one_line(again)
    assert str(case.out) in line
    bench.note(name, fault, "one line that names it", line)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_worker_runs_out_of_memory(bench, name, tmp_path):
    """As the kernel ends the largest process: with SIGKILL."""
    if name not in WITH_PROCESSES:
        bench.note(name, "a worker process killed for memory", "has none (threads)")
        return
    case = bench.case(name, tmp_path).with_more(*WITH_PROCESSES[name])
    running = begin(case.arguments, tmp_path / "said")
    begun = 0.3 * bench.undisturbed(name).seconds
    # a pretraining has them from its first step to its last; jobs take a while to get to work
    ready = lambda: bool(kept(case)) if name == "pretrain" else running.seconds() > begun  # noqa: E731
    assert running.wait_until(lambda: ready() and bool(running.workers())), "no worker"
    running.workers()[-1].kill()
    ended = running.end()
    how = goes_on(bench, case, tmp_path)
    if ended.code == 0:
        bench.note(name, "a worker process killed for memory", "no effect")
        return
    bench.note(name, "a worker process killed for memory", f"one line; then {how}", one_line(ended))


@pytest.mark.parametrize("name", ["pretrain", "finetune", "compare", "build-pairs", "detect"])
def test_nan_in_the_data(bench, name, tmp_path):
    case = bench.case(name, tmp_path, own_inputs=True)
    if name == "pretrain":
        # patches have 8 bits; NaN comes with a start
        case = case.with_more("--init", str(weights_of_nan(tmp_path / "nan.safetensors")))
        line = one_line(run(case.arguments, tmp_path / "said"))
        bench.note(name, "NaN in the data", "patches hold none; of NaN in `--init` one line", line)
        return
    scenes = sorted(path for path in case.inputs.rglob("*.tif*") if not path.name.endswith("_opt.tif"))
    put_nan(scenes[0])
    ended = run(case.arguments, tmp_path / "said")
    assert broken_files(case.out) == []
    if ended.code:
        bench.note(name, "NaN in the data", "one line", one_line(ended))
        return
    found = case.outcome()
    if name == "detect":
        others = {key: digest for key, digest in found.items() if not key.startswith(scenes[0].stem)}
        whole = bench.undisturbed(name).outcome
        assert others == {key: digest for key, digest in whole.items() if key in others}
    for path in case.out.rglob("*.json"):
        assert "NaN" not in path.read_text(), path
    bench.note(name, "NaN in the data", "missing pixels; figures are finite")


def weights_of_nan(path: Path) -> Path:
    import torch

    from osm.transfer.architectures import build_backbone

    backbone = build_backbone("darknet-narrow").state_dict()
    state = {key: value * torch.nan if value.is_floating_point() else value for key, value in backbone.items()}
    torch.save(state, path.with_suffix(".pth"))
    return path.with_suffix(".pth")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_clock_goes_back(bench, name, tmp_path):
    """By a day, in the middle of a run; and between a killed run and the next one."""
    case = bench.case(name, tmp_path)
    turn_s = 0.4 * bench.undisturbed(name).seconds
    ended = run(case.arguments, tmp_path / "said", disturb=lambda: turn_back(turn_s))
    assert ended.code == 0, ended.errors[-2000:]
    assert case.outcome() == bench.undisturbed(name).outcome

    (tmp_path / "later").mkdir()
    case = bench.case(name, tmp_path / "later")
    running = begin(case.arguments, tmp_path / "said")
    running.wait_until(lambda: running.seconds() >= 0.6 * bench.undisturbed(name).seconds)
    running.kill_and_end(signal.SIGKILL)
    tomorrow = time.time() + DAY_S
    for path in (case.out, *case.out.rglob("*")):
        if path.exists():
            os.utime(path, (tomorrow, tomorrow))
    goes_on(bench, case, tmp_path)
    running.wait_for_workers()
    bench.note(name, "the clock goes back a day, within a run and between two", "no effect")


def turn_back(after_s: float) -> None:
    """Let the clock of this process go back by a day after some seconds."""
    real, real_ns, began = time.time, time.time_ns, time.monotonic()

    def shift() -> int:
        return DAY_S if time.monotonic() - began > after_s else 0

    time.time = lambda: real() - shift()
    time.time_ns = lambda: real_ns() - shift() * 10**9


@pytest.mark.parametrize("name", COMMANDS)
def test_two_runs_at_once(bench, name, tmp_path):
    case = bench.case(name, tmp_path)
    first = begin(case.arguments, tmp_path / "said")
    first.wait_until(lambda: first.seconds() >= 0.3 * bench.undisturbed(name).seconds)
    second = begin(case.again, tmp_path / "said2")
    ends = [first.end(), second.end()]
    assert ends[0].code == 0, ends[0].errors[-2000:]
    assert case.outcome() == bench.undisturbed(name).outcome
    assert broken_files(case.out) == []
    if ends[1].code == 0:
        bench.note(name, "two runs on one folder at once", "the second finds it done")
        return
    line = one_line(ends[1])
    bench.note(name, "two runs on one folder at once", "the second says one line", line)


def test_the_outcome_of_a_damaged_run_would_be_seen(bench, tmp_path):
    """The comparison that all of these tests rest on can fail."""
    before = bench.undisturbed("pack")
    shutil.copytree(before.case.out, tmp_path / "out")
    case = bench.case("pack", tmp_path)
    assert case.outcome() == before.outcome
    one = max(case.out.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(one.read_bytes())
    content[len(content) // 2] ^= 1
    one.write_bytes(content)
    assert case.outcome() != before.outcome
