"""What is installed on this machine, as one record: the only part of the doctor that looks."""

from __future__ import annotations

import importlib
import os
import platform
import re
import shlex
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from importlib import metadata
from io import StringIO
from pathlib import Path

from osm.compat.device import pick_device, precision_on

#: Modules the package works with, in the order in which one needs the other.
MODULES = (
    "numpy",
    "scipy.optimize",
    "PIL.Image",
    "tifffile",
    "imagecodecs",
    "matplotlib",
    "safetensors",
    "torch",
    "torchvision",
    "cv2",
    "pycocotools.mask",
    "mmengine",
    "mmcv",
    "mmcv.ops",
    "mmdet.models",
)


@dataclass(frozen=True)
class Snapshot:
    """What was found on a machine.

    Attributes:
        python: Version of Python.
        system: Operating system and processor.
        packages: Version of every installed distribution, by its normalised name.
        requirements: What ``osm-ssd`` itself requires, one requirement a line as in its metadata.
        torchvision_requires: What the installed torchvision requires, likewise.
        import_errors: Message of each of ``MODULES`` that does not import.
        operators: ``"compiled"`` or ``"torchvision"``; None if neither works.
        cpu_cores: Cores this process may use.
        gpus: Names of the CUDA devices that torch sees.
        precision: What ``precision="auto"`` computes in here; empty where torch does not import.
        pip: The command that installs into this Python.
    """

    python: str
    system: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    torchvision_requires: tuple[str, ...] = ()
    import_errors: dict[str, str] = field(default_factory=dict)
    operators: str | None = None
    cpu_cores: int = 1
    gpus: tuple[str, ...] = ()
    precision: str = ""
    pip: str = "pip"


def take_snapshot() -> Snapshot:
    """Look at this machine. Imports every package, which takes some seconds."""
    errors: dict[str, str] = {}
    operators: list[str] = []
    for name in MODULES:
        if name == "mmcv.ops":  # not importable before
            _try("mmcv._ext", lambda: operators.append(_operators()), errors)
        _try(name, lambda name=name: importlib.import_module(name), errors)  # type: ignore[misc]
        if name == "torchvision":
            _try("torchvision.ops", _try_torchvision, errors)
    return Snapshot(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        packages={_normalised(found.name): found.version for found in metadata.distributions() if found.name},
        requirements=_requires("osm-ssd"),
        torchvision_requires=_requires("torchvision"),
        import_errors=errors,
        operators=operators[0] if operators else None,
        cpu_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        gpus=() if "torch" in errors else _gpus(),
        precision="" if "torch" in errors else precision_on("auto", pick_device("auto")),
        pip=f"{_shortest(Path(sys.executable))} -m pip",
    )


def _try(name: str, action: Callable[[], object], errors: dict[str, str]) -> None:
    """Do something that may fail in any way a broken package can, and note how."""
    shown = StringIO()
    try:
        # numpy explains a clash of binaries on stderr, and the exception alone says little
        with redirect_stderr(shown), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            action()
    except Exception as error:  # noqa: BLE001 - whatever a broken package raises is what is asked for
        explained = next((line for line in shown.getvalue().splitlines() if "compiled using NumPy" in line), "")
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        errors[name] = " ".join(f"{type(error).__name__}: {first} {explained}".split())


def _operators() -> str:
    from osm.compat.operators import ensure_operators

    return ensure_operators()


def _try_torchvision() -> None:
    import torch
    from torchvision.ops import nms

    nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)


def _gpus() -> tuple[str, ...]:
    import torch

    if not torch.cuda.is_available():
        return ()
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return tuple(f"{gpu.name} ({gpu.total_memory / 2**30:.0f} GiB)" for gpu in found)


def _requires(distribution: str) -> tuple[str, ...]:
    try:
        return tuple(metadata.requires(distribution) or ())
    except metadata.PackageNotFoundError:
        return ()


def _shortest(path: Path) -> str:
    """The path as one would type it here."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
