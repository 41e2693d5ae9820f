"""The ``osm`` command as a user meets it: its exit codes and the one line of an error."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

import osm

MAIN = "from osm.cli.main import main; main()"


def run(*arguments: str, code: str = MAIN) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=120
    )


def test_help_names_every_command():
    result = run("--help")
    assert result.returncode == 0
    commands = (
        "doctor demo simulate data config pretrain match inspect finetune probe compare report detect view "
        "export import certificate card"
    )
    for command in commands.split():
        assert re.search(rf"^\W+{command} {{2,}}", result.stdout, re.MULTILINE), command


def test_version():
    assert run("--version").stdout == f"osm {osm.__version__}\n"


@pytest.mark.parametrize("arguments", [("--no-such-option",), ("nothing",), ("doctor", "--jsno")])
def test_a_misspelt_command_or_option_exits_2_and_names_it(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert arguments[-1] in result.stderr
    assert "Traceback" not in result.stderr


def failing(statement: str) -> str:
    return f"""
import os, signal
from osm.cli.main import app, main
from osm.errors import DataError, WeightsError
@app.command()
def fail():
    {statement}
main(["fail"])
"""


def test_what_a_user_can_mend_is_one_line_on_stderr_and_exit_code_2():
    error = r"raise DataError('scene 3.tif', found='half a\n file', expected='a TIFF', mend='copy it again')"
    result = run(code=failing(error))
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == "error: scene 3.tif: found half a file; expected a TIFF; copy it again\n"


def test_a_defect_shows_its_traceback():
    result = run(code=failing("raise ValueError('inside')"))
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("ValueError: inside\n")


def test_ctrl_c_exits_130_without_a_traceback():
    # what is started in the background inherits a deaf ear for Ctrl-C, and these tests may be
    listen = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    result = run(code=failing(f"{listen}; os.kill(os.getpid(), signal.SIGINT)"))
    assert result.returncode == 130
    assert "Traceback" not in result.stderr


def test_doctor_is_well_here_and_says_so_as_json():
    result = run("doctor", "--json")
    record = json.loads(result.stdout)
    assert (result.returncode, record["ok"]) == (0, True), record["findings"]
    assert record["packages"]["osm-ssd"] == osm.__version__
    assert record["operators"] in ("compiled", "torchvision")


def test_doctor_exits_1_and_names_the_remedy_where_something_is_broken():
    code = """
from dataclasses import replace
from osm.compat import snapshot
whole = snapshot.take_snapshot()
snapshot.take_snapshot = lambda: replace(whole, packages={**whole.packages, "numpy": "1.26.4"})
from osm.cli.main import main
main(["doctor"])
"""
    result = run(code=code)
    assert result.returncode == 1
    assert "broken: numpy: found version 1.26.4" in result.stdout
    assert "install 'numpy>=2'" in result.stdout
    assert "fits together" not in result.stdout
