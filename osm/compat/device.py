"""The device that a user names, and the precision that suits it."""

from __future__ import annotations

import platform

from osm.errors import ConfigError

#: Of a forward pass; "auto" is what suits the device.
PRECISIONS = ("auto", "bfloat16", "float32")


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


def precision_on(precision: str, device: str) -> str:
    """What a forward pass is computed in.

    Without instructions for it, a CPU emulates bfloat16: a training step of a ResNet-18 then took 20 times as long as
    in float32 (two cores with AVX2 alone).

    Args:
        precision: Of ``PRECISIONS``.
        device: ``cpu``, ``cuda`` or ``cuda:1``.

    Returns:
        ``bfloat16`` or ``float32``; of "auto" the former where the device has instructions for it.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if _computes_bfloat16(device.partition(":")[0]) else "float32"


def _computes_bfloat16(kind: str) -> bool:
    import torch

    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind != "cpu":
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        # of torch's own questions the one for mkldnn is content with AVX-512, which emulates as well
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
