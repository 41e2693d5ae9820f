"""A command of ``osm`` in a process of its own, which a test may end, starve or disturb."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LIMIT_S = 120.0


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code (negative: the signal that killed it), what it said, and its seconds."""

    code: int
    out: str
    errors: str
    seconds: float

    @property
    def complaints(self) -> list[str]:
        """The lines that name what is wrong: one, or of osm detect one for each scene that failed."""
        lines = self.errors.splitlines()
        failed = next((number for number, line in enumerate(lines) if line.split() == ["failed", "why"]), len(lines))
        named = [line.partition(" ")[2] for line in lines if line.startswith("error: ")]
        return named + [line.strip().partition(" ")[2].strip() for line in lines[failed + 1 :]]

    @property
    def refused(self) -> bool:
        """Whether it ended as a command ends whose user can mend what is wrong."""
        return self.code in (1, 2) and bool(self.complaints) and "Traceback (most recent call last)" not in self.errors


@dataclass
class Running:
    """A command that was begun."""

    process: psutil.Process
    folder: Path
    began: float = field(default_factory=time.monotonic)
    _known: list[psutil.Process] = field(default_factory=list)

    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def workers(self) -> list[psutil.Process]:
        """Processes that it started, those of Python that only keep the books left out."""
        found = []
        with suppress(psutil.NoSuchProcess):  # it has ended, and its own children with it
            for child in self.process.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(child.cmdline()):
                        found.append(child)
        return found

    def kill_and_end(self, number: int) -> Ended:
        """Send it, and nobody else, a signal, and wait for its end; its workers may take longer."""
        self._known = self.workers()
        os.kill(self.process.pid, number)  # nothing to one that has ended and was not waited for
        return self._end()

    def wait_for_workers(self) -> None:
        """Wait for the end of what it started."""
        _, left = psutil.wait_procs(self._known, timeout=30)
        assert left == [], f"{len(left)} processes go on after their command has ended"

    def running(self) -> bool:
        """Whether it has not ended; ``end`` is still to be called."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        """Wait for something to be so, or for the end; whether it is so."""
        while not condition():
            if not self.running():
                return condition()
            if self.seconds() > LIMIT_S:
                os.kill(self.process.pid, signal.SIGKILL)
            time.sleep(0.005)
        return True

    def end(self) -> Ended:
        """Wait for its end, and for that of whatever it started."""
        self._known = self.workers()
        ended = self._end()
        self.wait_for_workers()
        return ended

    def _end(self) -> Ended:
        self.wait_until(lambda: not self.running())
        spent = self.seconds()
        _, status = os.waitpid(self.process.pid, 0)
        assert spent < LIMIT_S, f"it hung: {(self.folder / 'errors').read_text()[-2000:]}"
        out, errors = ((self.folder / name).read_text(errors="replace") for name in ("out", "errors"))
        return Ended(os.waitstatus_to_exitcode(status), out, errors, spent)


def begin(arguments: Sequence[str | Path], folder: Path, disturb: Callable[[], None] = lambda: None) -> Running:
    """Begin a command.

    It is forked from this process, which has imported what takes seconds to import and runs no command itself.

    Args:
        arguments: What follows ``osm``.
        folder: Where what it says goes; made anew.
        disturb: Called in its process before the command.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gc.collect()
    child = os.fork()
    if not child:
        _run([str(argument) for argument in arguments], folder, disturb)
    return Running(psutil.Process(child), folder)


def run(arguments: Sequence[str | Path], folder: Path, disturb: Callable[[], None] = lambda: None) -> Ended:
    """Run a command to its end."""
    return begin(arguments, folder, disturb).end()


def _run(arguments: list[str], folder: Path, disturb: Callable[[], None]) -> None:
    code = 70
    try:
        os.setsid()
        # pytest handles signals in its own way
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
        for number, name in ((1, "out"), (2, "errors")):
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, number)
            os.close(descriptor)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
        from osm.cli.main import main

        disturb()
        main(arguments)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # noqa: BLE001  (shown as the interpreter would)
        traceback.print_exc()
        code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
