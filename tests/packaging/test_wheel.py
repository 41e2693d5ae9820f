"""The wheel alone, outside any checkout, with nothing installed but what it depends on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed: make dist does that"),
]
#: A demonstration of a minute or two: the constants of ``osm.cli.demo``, made small.
SHORT_DEMO = """
import sys
from osm.cli import demo, main
demo.PAIRS, demo.SCENES, demo.SCENE_PX = 40, 6, 256
main.main(["demo", "--out", "demo", "--imagenet", "none"])
"""


def run(*command, cwd, ok=True):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["HOME"] = str(cwd)
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert not ok or done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="module")
def built(repo_root, tmp_path_factory):
    """Wheel and sdist."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", out, cwd=repo_root)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def needed(name: str, seen: dict[str, metadata.Distribution]) -> None:
    """A distribution and whatever it requires, without extras that nobody asks for."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    def visit(name: str, extras: frozenset[str]) -> None:
        key = canonicalize_name(name)
        if (key, extras) in visited:
            return
        visited.add((key, extras))
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            return  # of another platform, or built in
        seen[key] = found
        for line in found.requires or []:
            wanted = Requirement(line)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                visit(wanted.name, frozenset(wanted.extras))

    visited: set[tuple[str, frozenset[str]]] = set()
    visit(name, frozenset())


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """A fresh environment with the wheel and links to its dependencies: what pip install osm-ssd leaves."""
    from packaging.requirements import Requirement

    root = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", "--without-pip", root / "env", cwd=root)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(root / "env"), "platbase": str(root / "env")}))
    with zipfile.ZipFile(built[0]) as archive:
        text = archive.read(next(n for n in archive.namelist() if n.endswith("METADATA"))).decode()
    distributions: dict[str, metadata.Distribution] = {}
    for line in re.findall(r"^Requires-Dist: (.+)$", text, re.MULTILINE):
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            needed(wanted.name, distributions)
    for found in distributions.values():
        for top in {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            target = Path(str(found.locate_file(top)))
            if target.exists() and not (site / top).exists():
                (site / top).symlink_to(target)
    assert not (site / "ultralytics").exists()
    python = root / "env/bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", built[0], cwd=root)
    return root / "env/bin", root


def test_both_archives_hold_what_runs(built):
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    for name in (
        "osm/_configs/compare/demo.py",
        "osm/_configs/detect/_base_/demo.py",
        "osm/compare/report/schemas/report-2.json",
        "osm/compare/report/templates/index.html.j2",
        "osm/matching/inspection/templates/inspect.html.j2",
        "osm/py.typed",
        "osm/transfer/schemas/certificate-1.json",
        "osm/transfer/ultralytics_models/yolov3u_darknet53.yaml",
    ):
        assert name in held
    assert not [name for name in held if name.startswith(("tests/", "benchmarks/", "docs/"))]
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "constraints.txt", "mkdocs.yml", "CHANGELOG.md", "tests/conftest.py", "docs/index.md"} <= names


def test_commands_run_outside_a_checkout(installed):
    binaries, root = installed
    assert "Usage: osm" in run(binaries / "osm", "--help", cwd=root).stdout
    where = run(binaries / "python", "-c", "import osm; print(osm.__file__)", cwd=root).stdout
    assert where.startswith(str(root))
    run(binaries / "osm", "doctor", cwd=root)
    run(binaries / "osm", "simulate", "scenes", "--out", "scenes", "--count", "6", "--size", "256", cwd=root)
    run(binaries / "osm", "data", "verify", "air-sarship-1.0", "scenes", cwd=root)


def test_an_extra_that_is_missing_is_named_with_the_command_that_installs_it(installed):
    binaries, root = installed
    run(binaries / "osm", "simulate", "scenes", "--out", "four", "--count", "6", "--size", "256", cwd=root)
    config = root / "mine.py"
    shipped = run(
        binaries / "python",
        "-c",
        "from osm.configs import config_path; print(config_path('detect/demo_yolov3u_narrow.py'))",
        cwd=root,
    ).stdout.strip()
    config.write_text(f"_base_ = {shipped!r}\n")
    command = [binaries / "osm", "finetune", config, "--data-root", "four", "--init", "scratch"]
    done = run(*command, cwd=root, ok=False)
    assert done.returncode == 2
    assert "osm-ssd[ultralytics]" in done.stderr


def test_the_demonstration_runs_from_the_wheel_alone(installed):
    binaries, root = installed
    run(binaries / "python", "-c", SHORT_DEMO, cwd=root)
    assert (root / "demo/compare/report/index.html").is_file()
