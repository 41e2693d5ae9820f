"""The walls of the house: who may import whom, and that ``osm`` stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

#: Packages that take a noticeable time to import: only functions may import them.
HEAVY = (
    "torch",
    "torchvision",
    "mmengine",
    "mmcv",
    "mmdet",
    "numpy",
    "scipy",
    "matplotlib",
    "PIL",
    "tifffile",
    "imagecodecs",
    "cv2",
    "pycocotools",
    "safetensors",
    "jinja2",
    "sklearn",
    "timm",
    "ultralytics",
)


#: Folders of tests that mirror no folder of the package.
OTHERS = ("benchmarks", "docs", "end_to_end", "faults", "fuzzing", "packaging", "tools")


def test_imports_run_one_way(repo_root):
    # in a process of its own: it configures logging, which would close the logs of the tests around it
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(*sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(repo_root / "pyproject.toml")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=repo_root, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["osm", "osm.cli.main"])
def test_importing_it_loads_nothing_heavy(module):
    code = f"import json, sys, {module}; print(json.dumps(sorted({{n.partition('.')[0] for n in sys.modules}})))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert module.partition(".")[0] in loaded
    assert set(loaded).isdisjoint(HEAVY)


def test_the_core_never_imports_ultralytics_at_module_level(repo_root):
    # AGPL, and an extra that may be absent
    offenders = [
        f"{path.relative_to(repo_root)}:{node.lineno}"
        for path in sorted((repo_root / "osm").rglob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(
            name.partition(".")[0] == "ultralytics"
            for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [n.name for n in node.names])
        )
    ]
    assert offenders == []


def test_every_test_file_mirrors_a_module(repo_root):
    tests = repo_root / "tests"
    strays = []
    for path in sorted(tests.rglob("test_*.py")):
        folder = path.parent.relative_to(tests)
        if not (repo_root / "osm" / folder).is_dir() and folder.parts[0] not in OTHERS:
            strays.append(str(Path(folder, path.name)))
    assert strays == []
