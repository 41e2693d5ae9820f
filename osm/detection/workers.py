"""Running independent tasks in processes of their own, each with its share of the cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from osm.detection.engines import Progress

Task = TypeVar("Task")


def run_each(
    function: Callable[[Task, Progress], None], tasks: Sequence[Task], jobs: int, progress: Progress
) -> Iterator[None]:
    """Call a function with every task, yielding after each that is done.

    Args:
        function: A function of a module; it leaves its result in a file.
        tasks: Values that can be pickled.
        jobs: Processes at a time; 0 for none but this one.
        progress: Handed to the function where it runs in this process.

    Raises:
        Exception: The first that a task raised; tasks that have not begun are dropped.
    """
    if not tasks:
        return
    if jobs < 1:
        for task in tasks:
            function(task, progress)
            yield
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    count = min(jobs, len(tasks))
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    # never a fork: torch's threads do not survive one
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_settle, initargs=(threads,))
    try:
        for future in as_completed([pool.submit(function, task, _unheard) for task in tasks]):
            future.result()
            yield
    finally:
        pool.shutdown(cancel_futures=True)


def _unheard(what: str, done: int, total: int) -> None:
    """Progress that nobody sees."""


def _settle(threads: int) -> None:
    """Prepare a worker: its share of the cores, and an end when its parent ends, however that ends."""
    import threading
    from multiprocessing import connection, parent_process

    import torch

    torch.set_num_threads(threads)
    parent = parent_process()

    def follow() -> None:
        if parent is not None:
            connection.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
