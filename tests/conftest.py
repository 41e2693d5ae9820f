"""What all tests share: one compute thread a worker, and the paths of the checkout and of real data beside it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

# Two pytest workers with a thread pool each would fight over two cores. This must stand before
# torch or numpy is imported for the first time; xdist workers import this file at their start.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the checkout (``../shared/data``); the test is skipped where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data: ../shared/data is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def needs_ultralytics() -> None:
    """The test is skipped where the extra is absent; it is not imported here, which would have effects of its own."""
    if find_spec("ultralytics") is None:
        pytest.skip("the extra ultralytics is not installed")
