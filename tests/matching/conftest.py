"""A small folder of simulated pairs, and one finished run on it that several tests look at."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from osm.simulate import simulate_pairs

PAIRS = 22

#: 15 training pairs: 3 steps an epoch.
TINY: dict[str, Any] = {
    "data.size_px": 64,
    "data.workers": 0,
    "train.epochs": 4,
    "train.batch_size": 5,
    "train.warmup_epochs": 0.0,
    "train.checkpoint_every_epochs": 1,
}


@dataclass(frozen=True)
class Run:
    config: Path
    data_root: Path
    work_dir: Path


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    return dict(TINY)


@pytest.fixture(scope="session")
def demo_config(repo_root: Path) -> Path:
    return repo_root / "configs" / "pretrain" / "demo_darknet-narrow.py"


@pytest.fixture(scope="session")
def pairs_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs") / "simulated"
    simulate_pairs(root, count=PAIRS, seed=1, size_px=64)
    return root


@pytest.fixture
def own_pairs(pairs_root: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(pairs_root, tmp_path / "pairs"))


@pytest.fixture(scope="session")
def finished(demo_config: Path, pairs_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    from osm.matching.pretrain import pretrain

    work_dir = tmp_path_factory.mktemp("finished") / "run"
    pretrain(demo_config, data_root=pairs_root, work_dir=work_dir, options=TINY)
    return Run(demo_config, pairs_root, work_dir)
