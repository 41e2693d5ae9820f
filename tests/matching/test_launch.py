from __future__ import annotations

import os
import subprocess
import sys

import pytest

from osm.errors import ConfigError
from osm.files import read_json
from osm.matching.launch import join_processes


def test_a_launcher_that_did_not_start_this_process_is_named(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match="torchrun"):
        join_processes("pytorch")
    with pytest.raises(ConfigError, match="'mpi'"):
        join_processes("mpi")
    join_processes("none")


def test_two_processes_on_a_cpu_train_one_network(repo_root, demo_config, pairs_root, tiny, tmp_path):
    work = tmp_path / "run"
    settings = {**tiny, "train.epochs": 1, "train.batch_size": 4}
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d",
        "--rdzv-endpoint=localhost:0", str(repo_root / "tools" / "pretrain.py"), str(demo_config),
        "--data-root", str(pairs_root), "--work-dir", str(work), "--launcher", "pytorch",
        *(word for name, value in settings.items() for word in ("--set", f"{name}={value}")),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    # 15 training pairs make 7 a process: one batch of 4, as one process would have one of 8
    assert read_json(work / "metrics.json")["training"]["steps"] == 1
    assert (work / "sar_backbone.safetensors").is_file()
    # the first process alone speaks
    assert done.stdout.count("done in") == 1
