"""Where the configs that come with the package lie: in a checkout, or inside an installed wheel."""

from __future__ import annotations

from pathlib import Path


def config_path(name: str) -> Path:
    """A config that comes with the package.

    Args:
        name: Path below ``configs/``, e.g. ``pretrain/bnn_resnet18.py``.
    """
    package = Path(__file__).resolve().parent
    installed = package / "_configs"
    return (installed if installed.is_dir() else package.parent / "configs") / name
