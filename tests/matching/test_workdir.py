from __future__ import annotations

import pytest

from osm.errors import ConfigError
from osm.files import read_json
from osm.matching.workdir import WorkDir

RECORD = {"settings": {"train": {"epochs": 4, "lr": 0.1}}, "init": None}


@pytest.fixture
def work(tmp_path):
    folder = WorkDir(tmp_path / "run")
    folder.prepare(RECORD, resume=False, overwrite=False)
    return folder


def interrupt(work):
    (work.path / "epoch_1.pth").write_bytes(b"weights")
    (work.path / "last_checkpoint").write_text(str(work.path / "epoch_1.pth"))


def test_a_new_folder_records_what_it_was_started_with(work):
    assert read_json(work.record)["settings"] == RECORD["settings"]
    assert not work.finished
    assert not work.checkpointed


def test_a_run_without_a_checkpoint_has_nothing_to_lose(work):
    work.prepare(RECORD, resume=False, overwrite=False)


def test_an_interrupted_run_is_left_alone_and_the_error_says_the_two_ways_on(work):
    interrupt(work)
    with pytest.raises(ConfigError) as caught:
        work.prepare(RECORD, resume=False, overwrite=False)
    assert caught.value.where == str(work.path)
    assert "--resume" in caught.value.mend
    assert "--overwrite" in caught.value.mend
    work.prepare(RECORD, resume=True, overwrite=False)
    assert (work.path / "epoch_1.pth").is_file()


def test_a_run_is_resumed_with_what_it_was_started_with_or_not_at_all(work):
    interrupt(work)
    with pytest.raises(ConfigError, match=r"settings\.train\.epochs = 5; expected 4"):
        work.prepare({**RECORD, "settings": {"train": {"epochs": 5, "lr": 0.1}}}, resume=True, overwrite=False)
    with pytest.raises(ConfigError, match=r"init\.name = 'x\.pth'"):
        work.prepare({**RECORD, "init": {"name": "x.pth"}}, resume=True, overwrite=False)
    assert read_json(work.record)["settings"]["train"]["epochs"] == 4


def test_a_finished_run_is_not_overwritten_unless_asked(work):
    interrupt(work)
    work.export.write_bytes(b"backbone")
    work.metrics.write_text("{}")
    work.figures.mkdir()
    outcome = (work.network, work.report, work.figures / "distances.png")
    for path in outcome:
        path.write_bytes(b"outcome")
    mine = work.path / "notes.txt"
    mine.write_text("mine")
    with pytest.raises(ConfigError, match="found a finished run"):
        work.prepare(RECORD, resume=False, overwrite=False)
    assert work.finished
    work.prepare(RECORD, resume=False, overwrite=True)
    assert not work.finished
    assert not work.checkpointed
    assert not any(path.exists() for path in (work.metrics, *outcome))
    assert not list(work.path.glob("epoch_*"))
    assert mine.read_text() == "mine"


def test_what_a_killed_run_was_writing_is_cleared_away(tmp_path):
    work = WorkDir(tmp_path)
    work.figures.mkdir()
    torn = [".metrics.a1b2c3d4.json", ".epoch_3.a1b2c3d4.pth", "figures/.examples.a1b2c3d4.png", ".tmpAbC123"]
    kept = ["epoch_2.pth", "figures/curve.png", ".mine.json"]
    for name in torn + kept:
        (tmp_path / name).write_bytes(b"x")
    work.prepare({}, resume=False, overwrite=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    # what --overwrite discards is gone too
    assert left == {".mine.json", "run.json"}
