"""Commands of ``osm``, run in the process of the tests."""

from __future__ import annotations

from osm.cli.main import main


def osm(*arguments):
    """Run a command in this process; return its exit code."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code or 0
    return 0
