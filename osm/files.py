"""Files that are whole or absent: written beside their final name, then renamed."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from osm.errors import DataError, OSMError

#: Entry of a JSON object that holds the SHA-256 of all others.
SEAL = "sha256"
#: List of the SHA-256 of a folder's files, as sha256sum writes it.
SUMS = "SHA256SUMS"


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it into place when the block succeeds.

    When the block raises, the temporary file is removed and ``path`` is left as it was, so that a
    reader never meets half a file. The suffix is kept, since writers choose a format by it.

    Args:
        path: The final file; its parent folders are created.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{final.stem}.", suffix=final.suffix, dir=final.parent)
    os.close(handle)
    temporary = Path(name)
    umask = os.umask(0)
    os.umask(umask)
    try:
        yield temporary
        # mkstemp makes files private, and so does whatever writes by renaming a file of its own (safetensors); an
        # output has the permissions of any other new file
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, final)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = str(final)  # a write to an open file does not say which
        raise


def clear_torn(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed processes left of files that they were writing with ``atomic_path``.

    Args:
        folder: A folder that this process holds (``exclusive``).
        names: The final names of the files.
    """
    for name in map(Path, names):
        # what mkstemp put between, and the name by which safetensors writes before it renames
        patterns = [f".{glob.escape(name.stem)}.{'?' * 8}{glob.escape(name.suffix)}"]
        patterns += [".tmp??????"] if name.suffix == ".safetensors" else []
        for pattern in patterns:
            for torn in folder.glob(pattern):
                torn.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as JSON (indented, no NaN), atomically."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: The file is missing or is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(path, found="no such file", expected="a JSON file", mend="check the path") from error
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(path, found=f"broken JSON ({error})", expected="a JSON file", mend="write it again") from error


def content_sha256(value: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON object's content, its own entry ``sha256`` left aside, however the text is laid out."""
    rest = {key: entry for key, entry in value.items() if key != SEAL}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_sealed(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with the SHA-256 of its content inside, atomically."""
    write_json(path, {**value, SEAL: content_sha256(value)})


def check_seal(path: str | Path, value: Any) -> None:
    """Make sure that a JSON object is what ``write_sealed`` wrote.

    Raises:
        DataError: It has no SHA-256, or another content.
    """
    sealed = value.get(SEAL) if isinstance(value, dict) else None
    if not isinstance(sealed, str):
        raise DataError(path, found="no SHA-256 in it", expected="one, as written", mend="copy or write it again")
    found = content_sha256(value)
    if found != sealed:
        raise DataError(
            path,
            found=f"a content with SHA-256 {found[:12]}…",
            expected=f"{sealed[:12]}… as written",
            mend="the file was changed or damaged: copy or write it again",
        )


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the files of these names that are there, by name."""
    return {name: sha256_file(folder / name) for name in names if (folder / name).is_file()}


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Write ``SHA256SUMS`` of those files that are there; ``sha256sum -c SHA256SUMS`` in the folder checks them."""
    lines = [f"{digest}  {name}\n" for name, digest in digests(folder, names).items()]
    write_text(folder / SUMS, "".join(lines))


#: Descriptors of the locks that this process holds. A worker that it forks must not: it may outlive a killed parent by
#: seconds, and the folder would stay locked for nobody.
_HELD: set[int] = set()


def _let_go() -> None:
    while _HELD:
        os.close(_HELD.pop())


os.register_at_fork(after_in_child=_let_go)


class InUseError(OSMError):
    """Another process is writing to the same folder."""


@contextmanager
def exclusive(folder: str | Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder for one process; the lock ends with the process, however it ends.

    Args:
        folder: The folder, created if need be.
        wait: Whether to wait for a process that holds it.

    Raises:
        InUseError: Another process holds it, and ``wait`` is false.
        DataError: The folder cannot be made or written to.
    """
    path = Path(folder) / ".lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    except OSError as error:
        raise DataError(
            folder,
            found=f"that it cannot be written to ({error.strerror or error})",
            expected="a folder that can be made and written to",
            mend="choose another",
        ) from error
    _HELD.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUseError(
                folder, found="another run at work", expected="none", mend="wait for it or use another folder"
            ) from error
        yield
    finally:
        if descriptor in _HELD:  # else this is a forked child, which has no part in it
            _HELD.remove(descriptor)
            os.close(descriptor)
