"""The device that a user names."""

from __future__ import annotations

from osm.errors import ConfigError


def pick_device(name: str) -> str:
    """The device that a user named; "auto" is CUDA where there is one.

    Raises:
        ConfigError: There is no such device here.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            "--device", found=f"{name!r}, which torch cannot use here", expected="auto, cpu or cuda", mend="correct it"
        ) from error
    return name
