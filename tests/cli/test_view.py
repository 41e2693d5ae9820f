"""``osm view`` as a process: what it prints, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from osm.cli.main import main
from tests.view.made import a_search, picture, write_picture


@pytest.fixture
def search(tmp_path):
    return a_search(tmp_path / "found", {"one": write_picture(tmp_path / "one.png", picture())})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(search, repo_root, number):
    command = [sys.executable, "-c", "from osm.cli.main import main; main()", "view", str(search), "--no-browser"]
    environment = os.environ | {"PYTHONPATH": str(repo_root), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            lines = []
            while not re.search(r"http://127\.0\.0\.1:\d+/\S{32}/", lines[-1] if lines else ""):
                lines.append(process.stdout.readline())
                assert lines[-1], process.stderr.read()
            folder = search.parent.resolve()
            assert lines[0] == "ships found: 1 scene, 1 run\n"
            assert lines[1].startswith(f"images in {folder} lie outside of {search} and are not shown")
            assert lines[1].endswith(f"add --images {folder}\n")
            without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with without_proxy.open(lines[-1].strip(), timeout=20) as reply:
                assert reply.read().startswith(b"<!doctype html>")
            process.send_signal(number)
            rest, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert rest.endswith("ended\n")
    assert errors == ""


def test_what_cannot_be_shown_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["view", str(tmp_path / "gone")])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no such folder" in error
    assert "osm detect" in error
