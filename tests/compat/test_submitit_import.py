"""submitit may be imported while logs are open."""

import subprocess
import sys

SCRIPT = """
import logging, sys
handler = logging.FileHandler(sys.argv[1])
logging.getLogger("ours").addHandler(handler)
from osm.compat.submitit_import import load_submitit
assert load_submitit().LocalExecutor
logging.getLogger("ours").error("heard")
assert handler.stream is not None
"""


def test_logs_that_are_open_stay_open(tmp_path):
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "a.log")], check=True)
    assert (tmp_path / "a.log").read_text() == "heard\n"
