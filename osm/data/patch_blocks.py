"""Work on a scene in blocks of patches: each is read at once, by threads, in an order that does not change."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from osm.data.patches import CutRule
from osm.data.sources import Box

BLOCK_PX = 2 * 2**20
_WIDEST_PX = 4096
"""Blocks are wide and low, for scenes are mostly stored by rows."""

Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True)
class PatchBlock:
    """Patches that are read at once.

    Attributes:
        region: Index of the region of the grid they lie in.
        box: x1, y1, x2, y2 of the window that holds them all.
        places: Row and column of each patch, in the grid.
    """

    region: int
    box: Box
    places: tuple[tuple[int, int], ...]


def patch_blocks(region: int, box: Box, rule: CutRule) -> list[PatchBlock]:
    """The patches of a region, row by row, in blocks."""
    size, stride = rule.size_px, rule.stride_px
    rows, columns = range(box[1], box[3] - size + 1, stride), range(box[0], box[2] - size + 1, stride)
    across = max(1, (min(_WIDEST_PX, BLOCK_PX // size) - size) // stride + 1)
    width = min(box[2] - box[0], (across - 1) * stride + size)
    down = max(1, (BLOCK_PX // max(width, 1) - size) // stride + 1)
    found = []
    for top in range(0, len(rows), down):
        for left in range(0, len(columns), across):
            ys, xs = rows[top : top + down], columns[left : left + across]
            window = (xs[0], ys[0], xs[-1] + size, ys[-1] + size)
            found.append(PatchBlock(region, window, tuple((row, column) for row in ys for column in xs)))
    return found


def in_turn(work: Callable[[Item], Found], items: Sequence[Item], jobs: int) -> Generator[Found, None, None]:
    """Results in the order of the items; some are always under way, and none is begun after an error."""
    with ThreadPoolExecutor(jobs) as pool:
        waiting: deque[Future[Found]] = deque()
        rest = iter(items)
        try:
            for item in rest:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= 2 * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            for job in waiting:
                job.cancel()
            raise
