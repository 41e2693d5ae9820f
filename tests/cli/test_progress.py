from __future__ import annotations

import pytest

from osm.cli import progress
from osm.cli.progress import progress_bar


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def test_a_bar_names_what_is_under_way_and_stays_off_stdout(terminal, capsys):
    with progress_bar() as step:
        step("screen pairs", 0, 22)
        step("search overlaps", 7, 22)
    shown = capsys.readouterr()
    assert "search overlaps" in shown.err
    assert "7/22" in shown.err
    assert shown.out == ""


def test_where_there_is_nothing_to_do_no_bar_flickers(terminal, capsys):
    with progress_bar():
        pass
    assert capsys.readouterr().err == ""


def test_without_a_terminal_there_is_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    with progress_bar() as step:
        step("screen pairs", 0, 4)
        step("screen pairs", 2, 4)
    assert capsys.readouterr().err == "screen pairs: 2/4, 0 s left\n"
