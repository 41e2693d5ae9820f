"""The core does without every extra: its modules import where the extras' packages are not installed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: What the extras of pyproject.toml bring that nothing in the core's dependencies brings too.
EXTRAS = (
    "ensemble_boxes",
    "faiss",
    "geopandas",
    "huggingface_hub",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pyogrio",
    "pyproj",
    "rasterio",
    "timm",
    "ultralytics",
)
CODE = """
import importlib, json, pkgutil, sys
sys.modules.update(dict.fromkeys(json.loads(sys.argv[1])))  # importing one of them fails
import osm
from osm.compat.operators import ensure_operators
ensure_operators()  # as whoever imports a backbone does first
names = [entry.name for entry in pkgutil.walk_packages(osm.__path__, "osm.")]
faults = {}
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as error:
        faults[name] = str(error)
print(json.dumps([len(names), faults]))
"""


@pytest.mark.timeout(1200)
def test_every_module_imports_without_any_extra():
    command = [sys.executable, "-c", CODE, json.dumps(EXTRAS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, faults = json.loads(done.stdout.splitlines()[-1])
    assert count > 150
    assert faults == {}
