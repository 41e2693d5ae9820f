"""Memory that a training frees and takes again a moment later, kept instead of handed to the kernel and back."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# <malloc.h> of glibc
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_NEVER = -1
#: What glibc's own thresholds grow to at most on 64-bit machines, and its number of mapped pieces.
_LARGEST_MMAP_THRESHOLD = 32 << 20
_DEFAULT_MMAP_MAX = 65536


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    # another libc (musl) may know a mallopt that does nothing, but not this
    return libc if hasattr(libc, "gnu_get_libc_version") else None


@contextmanager
def memory_kept(wanted: bool = True) -> Iterator[bool]:
    """Keep freed memory in this process as long as the context lasts.

    glibc maps every array above 32 MB anew and hands free memory at the end of the heap back. A training step on a
    CPU frees all its maps of features and takes them again in the next, so the kernel clears the same pages over and
    over; where it runs in a virtual machine, the host may have to find them first. Resident memory stays at the peak
    that it reaches in any case. Threads that are not the main one, and memory on a GPU, are not concerned.

    Args:
        wanted: Whether to do so; otherwise, and without glibc, nothing is changed.

    Yields:
        Whether memory is kept.
    """
    libc = _glibc() if wanted else None
    if libc is None:
        yield False
        return
    kept = bool(libc.mallopt(_MMAP_MAX, 0)) and bool(libc.mallopt(_TRIM_THRESHOLD, _NEVER))
    try:
        yield kept
    finally:
        # glibc adapts its thresholds no more once they were set: they are left where they would have grown to
        libc.mallopt(_MMAP_MAX, _DEFAULT_MMAP_MAX)
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_MMAP_THRESHOLD)
        libc.malloc_trim(0)
