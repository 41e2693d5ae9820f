"""mmengine's checkpoints: written whole or not at all, read as tensors and plain data, never as arbitrary pickles.

Under torch >= 2.6, a checkpoint of mmengine's Runner holds the training log beside the weights, as ``HistoryBuffer``
objects over numpy arrays. ``torch.load`` refuses those by default, and mmengine answers a refusal by
unpickling the file without any check, so that a foreign file can run code. Here the few types that a
log needs are declared harmless, and whatever needs more is an error.
"""

from __future__ import annotations

import importlib
import os
import pickle
from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, register_backend

from osm.compat.pickles import check_pickles
from osm.errors import WeightsError
from osm.files import atomic_path

#: Name of the file backend that writes whole files: ``backend_args={"backend": WHOLE_FILES}`` of a CheckpointHook.
WHOLE_FILES = "whole-files"
#: Largest pickle of a checkpoint, in bytes: a training log of a million steps has some ten millions.
MOST_BYTES = 256 << 20
_TYPES = ("bool", "int32", "int64", "uint32", "float32", "float64")
#: What a checkpoint of mmengine names beside tensors and plain data.
_NAMES = {
    "mmengine.logging.history_buffer.HistoryBuffer",
    "builtins.getattr",
    "numpy.ndarray",
    "numpy.dtype",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *(f"numpy.dtypes.{name}DType" for name in ("Bool", "Int32", "Int64", "UInt32", "Float32", "Float64")),
}


def trust_mmengine_checkpoints() -> None:
    """Let ``torch.load(weights_only=True)`` read what mmengine's Runner writes, and nothing beyond it.

    Covers mmengine's own loading of local files too (``resume``, ``load_from``, ``PretrainedInit``), from
    then on in this process. Idempotent.
    """
    import numpy as np
    import torch
    from mmengine.logging.history_buffer import HistoryBuffer
    from mmengine.runner import CheckpointLoader

    multiarray = importlib.import_module("numpy._core.multiarray")
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_statistic, "builtins.getattr"),
            np.ndarray,
            np.dtype,
            # by both names, so that a checkpoint written under numpy 1 can be read
            *(
                (getattr(multiarray, name), f"numpy.{core}.multiarray.{name}")
                for core in ("core", "_core")
                for name in ("_reconstruct", "scalar")
            ),
            *(type(np.dtype(name)) for name in _TYPES),
        ]
    )
    CheckpointLoader.register_scheme("", load_from_local, force=True)


def load_from_local(filename: str, map_location: Any = None, mmap: bool = False) -> Any:
    """Read a checkpoint file for mmengine: its loader of local files, without the unchecked fallback.

    Args:
        filename: The file; ``~`` is expanded.
        map_location: As in ``torch.load``.
        mmap: Likewise: tensors are read from the disk when they are looked at.

    Raises:
        WeightsError: The file is missing, broken, claims more than it has, or holds more than tensors, plain data
            and a training log.
    """
    import torch

    path = str(Path(filename).expanduser())
    try:
        check_pickles(path, more=_NAMES, most_bytes=MOST_BYTES)
        return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except FileNotFoundError as error:
        raise WeightsError(path, found="no such file", expected="a checkpoint", mend="check the path") from error
    except pickle.UnpicklingError as error:
        raise WeightsError(
            path,
            found=f"no checkpoint that can be read without running code from it ({_reason(error)})",
            expected="a checkpoint of tensors and plain data",
            mend="take the file from another source, or export its weights as safetensors where you trust it",
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        raise WeightsError(
            path, found=f"a broken file ({_reason(error)})", expected="a checkpoint", mend="copy or write it again"
        ) from error


@register_backend(WHOLE_FILES)
class WholeFileBackend(LocalBackend):
    """Local files that are whole or absent: mmengine's own backend writes in place, and a kill leaves half a file."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write beside ``filepath``, to the disk, and rename."""
        with atomic_path(filepath) as temporary, temporary.open("wb") as stream:
            stream.write(obj)
            stream.flush()
            os.fsync(stream.fileno())


def _statistic(owner: object, name: str) -> Any:
    """Stands in for the ``getattr`` by which a ``HistoryBuffer`` names its own public methods."""
    from mmengine.logging.history_buffer import HistoryBuffer

    if owner is HistoryBuffer and not name.startswith("_"):
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f"it asks for {name!r} of {owner!r}")


def _reason(error: Exception) -> str:
    """The part of torch's message that names what is wrong, without its advice to load unsafely."""
    text = str(error)
    for line in text.splitlines():
        if "WeightsUnpickler error" in line or "Unsupported" in line:
            return line.split("WeightsUnpickler error:")[-1].split(" was not an allowed")[0].strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
