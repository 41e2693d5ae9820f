"""``osm view``: scenes and what was found in them, in a browser on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from threading import Event


def view(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="What `osm detect`, `osm compare` or `osm finetune` left, or one JSON file of it.",
        ),
    ],
    truth: Annotated[
        Path | None,
        typer.Option("--truth", help="COCO JSON (file or folder) of the ships that are there.", show_default=False),
    ] = None,
    second: Annotated[
        Path | None, typer.Option("--second", help="A second DIR, to lie over the first.", show_default=False)
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            "--images",
            help="Folder in which the images are; repeat it for more. No image outside of these and DIR is opened.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of 127.0.0.1; 0 is any that is free.")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page, where there is a screen.")
    ] = True,
) -> None:
    """Show scenes with their boxes on a page for this machine alone, until Ctrl-C.

    The address holds a token that changes with every start: without it, nobody else on this machine can read the page.

    From another machine: `ssh -L 8000:127.0.0.1:8000 HOST`, and there `osm view DIR --port 8000`.
    """
    from osm.view.find import open_collection
    from osm.view.server import ViewServer
    from osm.view.site import Site

    collection = open_collection(folder, truth=truth, second=second, images=images or ())
    with ViewServer(Site(collection), port) as server, _told_to_end() as ended:
        scenes, runs = len(collection.scene_ids), len(collection.runs)
        typer.echo(f"{collection.kind}: {scenes} scene{'s'[: scenes != 1]}, {runs} run{'s'[: runs != 1]}")
        if outside := collection.folders_outside():
            more = f" and {len(outside) - 3} more folders" if len(outside) > 3 else ""
            typer.echo(
                f"images in {', '.join(map(str, outside[:3]))}{more} lie outside of {folder} and are not shown: to see "
                f"them, add {' '.join(f'--images {shlex.quote(str(one))}' for one in outside[:3])}"
            )
        for note in collection.notes:
            typer.echo(f"note: {note}")
        typer.echo(f"\n  {server.url}\n\nCtrl-C ends it.")
        if browser:
            _open(server.url)
        ended.wait()
    typer.echo("ended")


def _open(url: str) -> None:
    """Open a browser, but only where it would not take over a terminal."""
    import os
    import sys

    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        import webbrowser

        webbrowser.open(url)


@contextmanager
def _told_to_end() -> Iterator[Event]:
    """Ctrl-C and SIGTERM as an event; from before the address is known to anybody who could send one."""
    import signal
    import threading
    from types import FrameType

    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    before = [(one, signal.signal(one, end)) for one in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield ended
    finally:
        for one, handler in before:
            signal.signal(one, handler)
