"""The same look at many items, by a few threads, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = 2
BATCH = 64

Progress = Callable[[int, int], None]
"""Called with how many items are done, and how many there are."""

Step = Callable[[str, int, int], None]
"""Likewise, with what is under way before it."""

Item = TypeVar("Item")
Found = TypeVar("Found")


def in_parallel(look: Callable[[Item], Found], items: Sequence[Item], progress: Progress | None) -> Iterator[Found]:
    """Results in order, batch by batch: an interrupt does not wait for a whole data set, nor do results pile up.

    Args:
        look: What to do with an item; image decoders release the interpreter's lock.
        items: The items.
        progress: Called before every batch, and at the end.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(items), BATCH):
            if progress is not None:
                progress(start, len(items))
            yield from pool.map(look, items[start : start + BATCH])
    if progress is not None:
        progress(len(items), len(items))


def named(step: Step | None, what: str) -> Progress | None:
    """The progress of one thing among several; None where nobody watches."""
    return None if step is None else lambda done, total: step(what, done, total)
