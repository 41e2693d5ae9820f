"""submitit, without what importing it does to the process."""

from __future__ import annotations

import os
from types import ModuleType

_LEVEL = "SUBMITIT_LOG_LEVEL"


def load_submitit() -> ModuleType:
    """Import submitit and leave the logs alone.

    It configures logging when it is imported, which closes every file that is logged to by then, for good.
    """
    before = os.environ.get(_LEVEL)
    os.environ[_LEVEL] = "NOCONFIG"
    try:
        import submitit
    finally:
        del os.environ[_LEVEL]
        if before is not None:
            os.environ[_LEVEL] = before
    return submitit
