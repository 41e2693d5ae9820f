"""Which software made a file: package versions and the git revision."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path

#: Distributions whose version can change a figure of the report.
PACKAGES = (
    "osm-ssd",
    "torch",
    "torchvision",
    "onedl-mmengine",
    "onedl-mmcv",
    "onedl-mmdetection",
    "pycocotools",
    "numpy",
    "scipy",
    "pillow",
    "tifffile",
    "safetensors",
    "ultralytics",
    "ensemble-boxes",
)


def package_versions() -> dict[str, str]:
    """Versions of Python and of ``PACKAGES``; ``absent`` for what is not installed."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


@lru_cache(maxsize=1)
def git_revision() -> str:
    """Revision of the checkout this package runs from, ``+changes`` if it was edited; else ``unknown``."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return "unknown"
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--dirty=+changes", "--exclude=*"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() if described.returncode == 0 else "unknown"
