"""ultralytics without its side effects: no network, nothing on the terminal, nothing left changed in the process.

Importing it sets the number of OpenCV's threads, print options, environment variables and warning filters, and puts
functions of its own in the place of ``torch.save`` and ``PIL.Image.open``; building a model may change the activation
of every later one; a trainer seeds every generator and sets the number of torch's threads. Analytics, checks for
updates and downloads start where a network is found.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from osm.errors import EnvironmentProblem

#: Read by ultralytics when it is imported, once in a process.
QUIET = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}


@contextmanager
def ultralytics_scope(log: Path | None = None) -> Iterator[None]:
    """Do something with ultralytics and leave the process as it was, also when that raises.

    Where this imports ultralytics for the first time, the package stays offline and without a user's settings for
    the rest of the process.

    Args:
        log: File that its warnings are appended to; they are dropped if None.

    Raises:
        EnvironmentProblem: The package is not installed.
    """
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(_environment())
        stack.enter_context(_random_states())
        stack.enter_context(_torch_settings())
        stack.enter_context(_patched_functions())
        stack.enter_context(_printing())
        _import(stack)
        stack.enter_context(_class_defaults())
        stack.enter_context(_logging(log))
        yield


def _import(stack: ExitStack) -> None:
    os.environ.update(QUIET)
    if "ultralytics" not in sys.modules:
        # it writes a file of settings wherever this points; nobody reads it again
        os.environ["YOLO_CONFIG_DIR"] = stack.enter_context(tempfile.TemporaryDirectory(prefix="osm-"))
    try:
        import ultralytics.nn.tasks  # noqa: F401
    except ImportError as error:
        raise absent(f"not usable ({error})") from error


def absent(found: str) -> EnvironmentProblem:
    """The error of a missing ultralytics, with the command that installs it."""
    return EnvironmentProblem(
        "ultralytics",
        found=found,
        expected="the optional extra ultralytics (AGPL-3.0)",
        mend="pip install 'osm-ssd[ultralytics]'",
    )


@contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _random_states() -> Iterator[None]:
    import numpy as np
    import torch

    state, legacy = random.getstate(), np.random.get_state()
    # a device that is not in use yet has no state to keep
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(state)
            np.random.set_state(legacy)


@contextmanager
def _torch_settings() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn
    cudnn_flags = (cudnn.deterministic, cudnn.benchmark)
    # a module whose attribute is a property, which a type checker does not see
    filling: Any = torch.utils.deterministic
    fill = filling.fill_uninitialized_memory
    device = torch.cuda.current_device() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        cudnn.deterministic, cudnn.benchmark = cudnn_flags
        filling.fill_uninitialized_memory = fill
        if device is not None:
            torch.cuda.set_device(device)


@contextmanager
def _patched_functions() -> Iterator[None]:
    import torch
    from PIL import Image

    save, opened = torch.save, Image.open
    try:
        yield
    finally:
        torch.save, Image.open = save, opened


@contextmanager
def _printing() -> Iterator[None]:
    import cv2
    import numpy as np
    import torch

    options: dict[str, Any] = dict(np.get_printoptions())
    # torch has no public way to read its options
    shown = dict(vars(torch._tensor_str.PRINT_OPTS))
    threads = cv2.getNumThreads()
    try:
        yield
    finally:
        np.set_printoptions(**options)
        vars(torch._tensor_str.PRINT_OPTS).update(shown)
        cv2.setNumThreads(threads)


@contextmanager
def _class_defaults() -> Iterator[None]:
    from ultralytics.nn.modules import Conv, Detect

    activation, legacy = Conv.default_act, Detect.legacy
    try:
        yield
    finally:
        Conv.default_act, Detect.legacy = activation, legacy


@contextmanager
def _logging(log: Path | None) -> Iterator[None]:
    logger = logging.getLogger("ultralytics")
    level, handlers, disabled = logger.level, list(logger.handlers), logger.disabled
    handler: logging.Handler = logging.NullHandler()
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(log, encoding="utf-8")
    logger.handlers = [handler]
    # above INFO, its progress bars are off too
    logger.setLevel(logging.WARNING)
    # logging.config silences every logger that it does not name
    logger.disabled = False
    try:
        yield
    finally:
        logger.handlers, logger.disabled = handlers, disabled
        logger.setLevel(level)
        handler.close()
