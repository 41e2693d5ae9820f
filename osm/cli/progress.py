"""A progress bar with the time left; a line now and then where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from osm.data.parallel import Step

#: Seconds between lines where nobody watches a bar.
QUIET_S = 30.0


@contextmanager
def progress_bar() -> Iterator[Step]:
    """Yield the function that shows the bar and moves it; what is under way may change at any call.

    Everything goes to stderr, so that stdout holds results alone.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(lambda text: console.print(text, highlight=False, soft_wrap=True))
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("", total=None)
    shown = ""

    def step(what: str, done: int, total: int) -> None:
        nonlocal shown
        bar.start()  # at the first call: where everything is at hand, no bar flickers
        if what != shown:
            bar.reset(task, description=what, total=total)
            shown = what
        bar.update(task, completed=done, total=total)

    try:
        yield step
    finally:
        bar.stop()


def _lines(say: Callable[[str], None]) -> Step:
    shown, began, said = "", time.monotonic(), time.monotonic()

    def step(what: str, done: int, total: int) -> None:
        nonlocal shown, began, said
        now = time.monotonic()
        if what != shown:
            shown, began, said = what, now, now
        if now - said >= QUIET_S and done:
            said = now
            say(f"{what}: {done}/{total}, {(now - began) / done * (total - done):.0f} s left")

    return step
