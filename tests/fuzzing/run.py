"""Feed a parser with files that grow towards whatever it has not done yet (atheris, coverage-guided).

    pip install atheris
    python -m tests.fuzzing.run voc [--seconds 600] [--folder work_dirs/fuzzing]

Files that reached something new are kept in ``FOLDER/TARGET``: the next run goes on from them. The seeds are those of
``tests.fuzzing.targets``. It ends with the first file that breaks the parser, written to ``FOLDER/TARGET-crash-…``:
anything but an answer or an ``OSMError`` of one line, ten seconds for one file, more than 1 GB beside what importing
took, a connection, a process, or a file written elsewhere than beside the one that is read.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

MOST_SECONDS = 10
MOST_MB = 1000
#: Events of the interpreter that no parser causes, unless it has been talked into something.
FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "shutil.rmtree")


def main() -> None:
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris (Linux, CPython 3.11 or newer)")
    with atheris.instrument_imports(include=["osm", "defusedxml", "csv", "json", "yaml"]):
        from osm.errors import OSMError
        from tests.fuzzing.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--folder", type=Path, default=Path("work_dirs/fuzzing"))
    options = parser.parse_args()
    target = TARGETS[options.target]
    corpus = options.folder / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed{number}").write_bytes(seed)
        with tempfile.TemporaryDirectory() as name:  # whatever is imported on first use, before guards are up
            path = Path(name) / f"file{target.suffix}"
            path.write_bytes(seed)
            with suppress(OSMError):
                target.read(path)
    scratch = Path(tempfile.mkdtemp())
    guard = Guard(scratch)

    def once(content: bytes) -> None:
        path = scratch / f"file{target.suffix}"
        path.write_bytes(content)
        guard.up = True
        try:
            target.read(path)
        except OSMError as error:
            if not error.line.isprintable():
                raise AssertionError("an error that is not one printable line") from error
        finally:
            guard.up = False

    sys.addaudithook(guard)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + MOST_MB
    flags = (
        f"-max_total_time={options.seconds}",
        f"-timeout={MOST_SECONDS}",
        f"-rss_limit_mb={grown}",
        "-max_len=4096",
    )
    atheris.Setup([sys.argv[0], *flags, "-print_final_stats=1", f"-artifact_prefix={corpus}-", str(corpus)], once)
    atheris.Fuzz()


class Guard:
    """An audit hook that lets a parser read, and write beside what it reads."""

    def __init__(self, scratch: Path) -> None:
        self.up = False
        self.scratch = str(scratch)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.up:
            return
        if event.startswith(FORBIDDEN):
            raise AssertionError(f"a parser caused {event}{arguments!r}")
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            if writes and not os.fsdecode(path).startswith(self.scratch):
                raise AssertionError(f"a parser wrote to {path!r}")


if __name__ == "__main__":
    main()
