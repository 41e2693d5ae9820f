"""Which software made a file: package versions and the git revision."""

from __future__ import annotations

import hashlib
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

#: Folders of this package whose code decides what a detector finds: not how that is compared, shown or asked for.
DECIDING = ("compat", "data", "detection", "transfer")
HERE = Path(__file__).resolve().parents[1]


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
def code_sha256(package: Path = HERE) -> str:
    """SHA-256 of the code in ``DECIDING``: it tells apart what a version number and a revision do not.

    Args:
        package: Folder of the package; this one's.
    """
    digest = hashlib.sha256()
    for path in sorted(path for name in DECIDING for path in (package / name).rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


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
