"""Two processes on a CPU against one: the same batches, the same losses, the same weights."""

from __future__ import annotations

import importlib.util
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from osm.matching.gather import gather_rows, own_rows
from osm.simulate import simulate_scenes

SCRIPT = Path(__file__).parent / "several_processes.py"


def _script():
    spec = importlib.util.spec_from_file_location("several_processes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


several = _script()


@pytest.fixture(scope="module")
def runs(demo_config, pairs_root, tmp_path_factory):
    """Folders of the runs as one process and as two, which train at the same time."""
    out = tmp_path_factory.mktemp("several")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    scenes = out / "scenes"
    simulate_scenes(scenes, count=3, seed=3, width_px=256, height_px=256)
    command = [sys.executable, str(SCRIPT), *map(str, (demo_config, pairs_root, scenes, out / "two"))]
    common = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    two = [
        subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=(out / f"errors_{rank}").open("w"),
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    try:
        several.main(demo_config, pairs_root, scenes, out / "one", 1)
        codes = [process.wait(timeout=240) for process in two]
    finally:
        for process in two:
            process.kill()
    assert codes == [0, 0], (out / "errors_0").read_text()[-3000:]
    return out / "one", out / "two"


def last(folder, name):
    from osm.compat.checkpoints import load_from_local, trust_mmengine_checkpoints

    trust_mmengine_checkpoints()
    return load_from_local(str(folder / name / f"epoch_{several.EPOCHS}.pth"), map_location="cpu")


def curve(state):
    return state["message_hub"]["log_scalars"]["train/loss"].data[0]


@pytest.mark.parametrize("name", several.CASES)
def test_two_processes_train_as_one_does(runs, name):
    one, two = (last(folder, name) for folder in runs)
    assert len(curve(one)) == several.STEPS_PER_EPOCH * several.EPOCHS
    assert curve(one) == pytest.approx(curve(two), abs=1e-10)
    assert one["state_dict"].keys() == two["state_dict"].keys()
    # branches, running statistics, key branches, queues and the objective's own parameters
    for key, value in one["state_dict"].items():
        assert torch.allclose(value, two["state_dict"][key], rtol=1e-9, atol=1e-10), key


def test_what_is_learned_beside_the_branches_was_learned(runs):
    for name, parameter in (("infonce", "objective.log_scale"), ("dense", "objective.losses.5.log_scale")):
        assert float(last(runs[1], name)["state_dict"][parameter]) != pytest.approx(-math.log(0.5), abs=1e-6)
    assert int(last(runs[1], "queue")["state_dict"]["objective.written"]) == several.TOGETHER * 6


@pytest.mark.parametrize("name", [several.FAITHFUL, several.VARIED_FLOAT32])
def test_in_float32_the_paper_s_recipe_gives_the_same_losses(runs, name):
    one, two = (last(folder, name) for folder in runs)
    # weights follow to within rounding alone, which batch norm after batch norm magnifies
    assert curve(one) == pytest.approx(curve(two), abs=1e-5)


def test_a_single_process_has_the_whole_batch():
    rows = torch.rand(3, 2)
    assert gather_rows(rows) is rows
    assert torch.equal(own_rows(rows), rows)
