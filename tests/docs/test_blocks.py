"""Every block that a reader can type is run as it stands, or says why not."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.docs.blocks import Block, read_blocks
from tests.docs.standins import make_large_standins, make_standins

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(["README.md", *(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))])
#: Written before there were marks: until a page gets its first one, none is demanded of it.
WITHOUT_MARKS = ()

#: A proxy of the environment is for the world, not for this machine.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))

#: What readers of a page make themselves, under the name of a stand-in.
MADE_THERE = {"README.md": ("work_dirs/bnn_r18",)}


def _has(page: str, slow: bool) -> bool:
    blocks = [block for block in read_blocks(ROOT / page) if block.mark == "run"]
    return any(block.slow for block in blocks) if slow else any(not block.slow for block in blocks)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_says_why_not(page):
    blocks = read_blocks(ROOT / page)
    if page in WITHOUT_MARKS and not any(block.mark for block in blocks):
        pytest.xfail(f"{page} has no marks yet")
    assert [f"{page}:{block.line}: {block.fault}" for block in blocks if block.fault] == []


@pytest.fixture(scope="session")
def standins(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("standins")
    make_standins(root)
    return root


@pytest.fixture(scope="session")
def all_standins(standins) -> Path:
    make_large_standins(standins)
    return standins


def reader(page: str, standins: Path, tmp_path: Path) -> Path:
    """The folder of a reader: a checkout's configs and tools, and data of the names in the docs."""
    shutil.copytree(standins, tmp_path / "reader", symlinks=True, copy_function=os.link)
    here = tmp_path / "reader/here"
    for name in ("configs", "tools", "benchmarks"):
        (here / name).symlink_to(ROOT / name)
    for name in MADE_THERE.get(page, ()):
        shutil.rmtree(here / name)
    return here


@pytest.mark.timeout(1200)  # many short processes: seconds each where nothing else runs
@pytest.mark.parametrize("page", [page for page in PAGES if _has(page, slow=False)])
def test_quick_blocks_run_on_simulated_data(page, standins, tmp_path):
    run_page(page, reader(page, standins, tmp_path), slow=False)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in PAGES if _has(page, slow=True)])
def test_all_blocks_run_on_simulated_data(page, all_standins, tmp_path):
    run_page(page, reader(page, all_standins, tmp_path), slow=True)


def run_page(page: str, here: Path, *, slow: bool) -> None:
    """What a reader does who goes through a page from top to bottom."""
    for block in read_blocks(ROOT / page):
        if block.mark == "file":
            path = here / block.note
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.mark == "run" and (slow or not block.slow):
            run_block(page, block, here)


def run_block(page: str, block: Block, here: Path) -> None:
    home = here.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "HOME": str(home),
        "TORCH_HOME": str(home / "torch"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    if block.serves:
        serve_block(page, block, here, environment)
        return
    command = [sys.executable, "-"] if block.language == "python" else ["bash", "-euo", "pipefail", "-s"]
    done = subprocess.run(
        command, input=block.text, cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    said = f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, f"{page}:{block.line} ends with {done.returncode}\n{block.text}\n{said}"


def serve_block(page: str, block: Block, here: Path, environment: dict[str, str]) -> None:
    """Fetch the page whose address a command prints, and end the command as a terminal's closing does."""
    command = ["bash", "-euo", "pipefail", "-c", f"exec {block.text}"]
    with subprocess.Popen(
        command, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said = []
            while not re.match(r"\s*http://127\.0\.0\.1:\d+/", said[-1] if said else ""):
                said.append(process.stdout.readline())
                assert said[-1], f"{page}:{block.line} serves nothing\n{''.join(said)}\n{process.stderr.read()}"
            with DIRECTLY.open(said[-1].strip(), timeout=60) as reply:
                assert reply.status == 200
            process.send_signal(signal.SIGTERM)
            rest, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, f"{page}:{block.line} ends with {process.returncode}\n{rest}\n{errors}"
