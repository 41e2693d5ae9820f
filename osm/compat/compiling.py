"""torch.compile for a while: in place, so that names of parameters stay, and with a word where it cannot work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn

from osm.errors import ConfigError

_COMPILERS = ("c++", "g++", "clang++")


def check_compiler(device_type: str) -> None:
    """Make sure that torch.compile finds what it builds its kernels with.

    Args:
        device_type: "cpu" or "cuda".

    Raises:
        ConfigError: There is no C++ compiler, or on CUDA no Triton.
    """
    named = os.environ.get("CXX")
    if not any(shutil.which(name) for name in ((named,) if named else _COMPILERS)):
        raise ConfigError(
            "train.compile",
            found=f"no C++ compiler ({named or ', '.join(_COMPILERS)})",
            expected="one on PATH, or named by CXX",
            mend="install g++, or set train.compile=False",
        )
    if device_type == "cuda":
        from torch.utils._triton import has_triton

        if not has_triton():
            raise ConfigError(
                "train.compile",
                found="no Triton that works on this device",
                expected="the triton package and a device it knows",
                mend="pip install triton, or set train.compile=False",
            )


@contextmanager
def compiled(modules: Iterable[nn.Module], wanted: bool, device_type: str) -> Iterator[None]:
    """Let modules run compiled as long as the context lasts; their parameters, names and files do not change.

    What follows a training meets other batch sizes and evaluation mode, for each of which it would be compiled again.

    Args:
        modules: What to compile, each by itself.
        wanted: Whether to.
        device_type: "cpu" or "cuda".

    Raises:
        ConfigError: As ``check_compiler``.
    """
    if not wanted:
        yield
        return
    check_compiler(device_type)
    inside = list(modules)
    for module in inside:
        module.compile()
    try:
        yield
    finally:
        for module in inside:
            module._compiled_call_impl = None
