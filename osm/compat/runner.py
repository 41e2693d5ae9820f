"""mmengine's Runner with its log in one file and only warnings on the terminal."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger
from mmengine.runner import Runner

_COUNTER = itertools.count()


def open_log(path: Path) -> MMLogger:
    """Open the log that everything of mmengine writes to from now on, building a model included.

    mmengine prints a page about the machine and lines for every tensor; progress bars would drown in
    that.

    Args:
        path: The log file, appended to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Loggers are global by name, and the newest one is the current one. A file that is appended to opens again by
    # itself after somebody has closed it: logging.config, which ultralytics calls when it is imported, closes all.
    logger = MMLogger.get_instance(
        f"osm-{next(_COUNTER)}", logger_name="osm", log_file=str(path), log_level="INFO", file_mode="a"
    )
    for handler in logger.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.WARNING)
    return logger


def quiet_log() -> None:
    """Let mmengine write nothing but warnings from now on, where a model is built and no training keeps a log."""
    MMLogger.get_instance(f"osm-{next(_COUNTER)}", logger_name="osm", log_level="WARNING")


class QuietRunner(Runner):
    """A Runner that writes to the log of ``open_log``, which has to be called first."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # by default a name ends with the second, and a second Runner within it gets the first one's files and scope
        options.setdefault("experiment_name", f"osm-{next(_COUNTER)}")
        super().__init__(*arguments, **options)

    def build_logger(self, *_: Any, **__: Any) -> MMLogger:
        """The current log, in place of one more."""
        return MMLogger.get_current_instance()

    def release_workers(self) -> None:
        """End the processes that read for the training, which persist between epochs.

        Left to the garbage collector, which may close their queues before they are told, each is waited for for 5 s.
        """
        self.train_dataloader._iterator = None

    def _init_model_weights(self) -> None:
        """Leaves the weights alone: they are set, and certified, before a Runner is built.

        mmengine's own version draws every module anew that was not initialised by mmengine itself.
        """
