"""What a machine ran out of, as a line that says what to do: no room, no right to write, no memory, a lost worker."""

from __future__ import annotations

import errno
import os
import re
import sys

from osm.errors import DataError, EnvironmentProblem, OSMError

_AGAIN = "and run the command again, with --resume if it has that option"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
#: How torch says that an allocation on the CPU failed, and that a process of a DataLoader is gone.
_NO_MEMORY = "can't allocate memory"
_LOST_WORKER = re.compile(r"DataLoader worker \(pid\(?s?\)?\s*[\d, ]+\)")
#: How numpy says that a disk was full.
_CUT_SHORT = re.compile(r"\d+ requested and \d+ written")
#: How Rust (safetensors) shows an error of the system.
_RUST = re.compile(r"\(os error (\d+)\)")


def outage(error: Exception) -> OSMError | None:
    """The error that a user can mend behind one that a library raised, by it or by what it was raised from; else None.

    What merely went before is no cause: a cache that is not there yet is met and passed over in many places, and a
    defect that comes after it stays a defect.
    """
    seen: BaseException | None = error
    while seen is not None:
        if (found := _of_memory(seen) or _of_worker(seen) or _of_system(seen)) is not None:
            return found
        seen = seen.__cause__
    return None


def _of_system(error: BaseException) -> OSMError | None:
    number, where, said = _system_error(error)
    if number in _FULL:
        return DataError(where, found=said, expected="room on the disk", mend=f"make room {_AGAIN}")
    if number in _FORBIDDEN:
        return DataError(
            where, found=said, expected="files and folders that may be read and written", mend=f"allow it {_AGAIN}"
        )
    if number in (errno.ENOENT, errno.EIO, errno.ESTALE):
        return DataError(
            where,
            found=said,
            expected="that files stay as they are while a command runs",
            mend=f"put it back {_AGAIN}",
        )
    if number in (errno.EMFILE, errno.ENFILE):
        return EnvironmentProblem(where, found=said, expected="more", mend=f"raise the limit (ulimit -n) {_AGAIN}")
    return _no_memory(said) if number == errno.ENOMEM else None


def _system_error(error: BaseException) -> tuple[int | None, str, str]:
    """Number, file and words of an error of the operating system; no number for any other error."""
    if isinstance(error, OSError):
        where = error.filename if isinstance(error.filename, str) else "a file of this command"
        number = errno.ENOSPC if error.errno is None and _CUT_SHORT.fullmatch(str(error)) else error.errno
        return number, where, (error.strerror or str(error)).lower()
    if type(error).__name__ == "SafetensorError" and (told := _RUST.search(str(error))):
        return int(told[1]), "a file of weights", os.strerror(int(told[1])).lower()
    return None, "", ""


def _of_memory(error: BaseException) -> OSMError | None:
    torch = sys.modules.get("torch")  # what is not imported has raised nothing
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return _no_memory(str(error).partition(". ")[0], "the GPU's memory")
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY in str(error)):
        return _no_memory(str(error) or "an allocation that failed")
    return None


def _no_memory(said: str, where: str = "memory") -> EnvironmentProblem:
    return EnvironmentProblem(
        where, found=said, expected="more of it", mend=f"take smaller batches or fewer workers {_AGAIN}"
    )


def _of_worker(error: BaseException) -> OSMError | None:
    if not isinstance(error, RuntimeError) or not (told := _LOST_WORKER.search(str(error))):
        return None
    return EnvironmentProblem(
        told[0],
        found="that it was ended from outside, which the system does when memory runs out",
        expected="memory for all workers",
        mend=f"take fewer (data.workers) or smaller batches {_AGAIN}",
    )
