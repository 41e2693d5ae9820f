"""Whatever ultralytics does stays inside."""

import json
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.usefixtures("needs_ultralytics")

PROGRAM = """
    import json, logging, os, random, sys, warnings
    import cv2, numpy, torch
    from PIL import Image
    torch.set_num_threads(1)
    random.seed(1); numpy.random.seed(2); torch.manual_seed(3)

    def state():
        return {
            "environment": dict(os.environ),
            "random": repr(random.getstate()),
            "numpy": numpy.random.get_state()[1].tolist(),
            "torch": torch.random.get_rng_state().tolist(),
            "threads": [torch.get_num_threads(), cv2.getNumThreads()],
            "print": [repr(numpy.get_printoptions()), repr(vars(torch._tensor_str.PRINT_OPTS))],
            "functions": [torch.save.__module__, Image.open.__module__],
            "filters": repr(warnings.filters),
            "cudnn": [torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark],
            "deterministic": torch.are_deterministic_algorithms_enabled(),
        }

    before = state()
    from osm.compat.ultralytics_scope import ultralytics_scope
    with ultralytics_scope():
        import ultralytics
        from ultralytics.utils import ONLINE, SETTINGS_FILE
        from ultralytics.utils.torch_utils import init_seeds, select_device
        select_device("cpu")
        init_seeds(7, deterministic=True)
        torch.set_num_threads(2)
        logging.getLogger("ultralytics").warning("heard?")
    after = state()
    print(json.dumps({
        "changed": [key for key in before if before[key] != after[key]],
        "online": ONLINE,
        "settings": str(SETTINGS_FILE), "left": SETTINGS_FILE.exists(),
    }))
"""


def test_the_process_is_as_it_was_and_nothing_is_said_or_written(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True, check=True, timeout=120
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout
    found = json.loads(lines[0])
    assert found["changed"] == []
    assert found["online"] is False
    assert "osm-" in found["settings"]
    assert found["left"] is False
    assert "heard?" not in done.stderr


def test_what_changed_is_restored_when_something_raises():
    import torch

    from osm.compat.ultralytics_scope import ultralytics_scope

    threads, save = torch.get_num_threads(), torch.save

    def meddle():
        with ultralytics_scope():
            torch.set_num_threads(threads + 1)
            torch.save = None
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        meddle()
    assert torch.get_num_threads() == threads
    assert torch.save is save


def test_warnings_go_to_the_log(tmp_path):
    import logging

    from osm.compat.ultralytics_scope import ultralytics_scope

    with ultralytics_scope(tmp_path / "logs" / "train.log"):
        logging.getLogger("ultralytics").warning("a warning")
    assert "a warning" in (tmp_path / "logs" / "train.log").read_text()


def test_an_absent_package_is_named_with_its_command():
    program = (
        "import sys; sys.modules['ultralytics'] = None\n"
        "from osm.compat.ultralytics_scope import ultralytics_scope\n"
        "from osm.errors import EnvironmentProblem\n"
        "try:\n    ultralytics_scope().__enter__()\n"
        "except EnvironmentProblem as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert "pip install 'osm-ssd[ultralytics]'" in done.stdout
    assert len(done.stdout.splitlines()) == 1
