"""Two processes with unequal shares of a batch against one with the whole of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from osm.compat.sync_norm import synchronise_batch_norm

SCRIPT = Path(__file__).parent / "sync_norm_process.py"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sync_norm")
    command = [sys.executable, str(SCRIPT), str(folder)]
    processes = [subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True) for rank in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    return [torch.load(folder / f"results_{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize(("dtype", "most"), [("float64", 1e-12), ("float32", 2e-5)])
def test_outputs_gradients_and_running_statistics_are_those_of_one_process(results, dtype, most):
    for found in results:
        assert {"2d input", "2d 1.weight", "1d 1.running_var", "cumulative 1.running_mean"} <= found[dtype].keys()
        assert max(found[dtype].values()) < most, found[dtype]


def test_what_is_excluded_is_left_alone_and_the_precision_of_the_input_is_kept(results):
    for found in results:
        assert found["left alone"] == ["BatchNorm2d", "SynchronisedBatchNorm"]
        assert found["half"] == "torch.bfloat16"


def test_a_single_process_needs_nothing():
    network = nn.Sequential(nn.BatchNorm2d(2))
    norm = network[0]
    synchronise_batch_norm(network)
    assert network[0] is norm
