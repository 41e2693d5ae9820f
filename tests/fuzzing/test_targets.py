"""Whatever stands in a file, it is read or refused in one line: nothing hangs, grows, or goes anywhere."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osm.errors import OSMError
from tests.fuzzing.targets import TARGETS, Target

#: What breaks parsers: numbers at their limits, marks of other formats, brackets without an end, addresses.
PIECES = (
    b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[2J", b"-1", b"0", b"1e309", b"nan", b"Infinity", b"9" * 400,
    b"1_0", b"\xd9\xa3", b"null", b"true", b"[", b"]", b"{", b"}", b"[" * 3000, b'"', b"'", b",", b";", b"\n", b"\r",
    b"<a>", b"</a>", b"<!--", b'<!DOCTYPE a [<!ENTITY b SYSTEM "http://127.0.0.1:9/">]>', b"&b;", b"&lt;", b"../../x",
    b"/x", b"http://127.0.0.1:9/", b"!!python/object/apply:os.system [x]", b"&a [*a]", b"_base_", b"\xe2\x80\xa8",
)  # fmt: skip


@st.composite
def files(draw: st.DrawFn, target: Target) -> bytes:
    """A file of the format with parts exchanged, doubled or lost; now and then any bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    text = draw(st.sampled_from(target.seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.sampled_from((0, 1, 1, 2, 4, 8, 40))))
        piece = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4), st.just(text[start:stop] * 2)))
        text = text[:start] + piece + text[stop:]
    return text


def read(target: Target, content: bytes, folder: Path) -> None:
    path = folder / f"file{target.suffix}"
    path.write_bytes(content)
    try:
        target.read(path)
    except OSMError as error:
        refused = error.line
    else:
        return
    assert refused.isprintable()
    assert len(refused) < 2000


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a parser opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


@pytest.mark.parametrize("name", TARGETS)
def test_a_good_file_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{TARGETS[name].suffix}"
    path.write_bytes(TARGETS[name].seeds[0])
    TARGETS[name].read(path)


@pytest.mark.parametrize("name", TARGETS)
def test_any_file_is_read_or_refused_in_one_line(name: str) -> None:
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        @settings(max_examples=150, deadline=2000, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
        @given(files(target))
        def check(content: bytes) -> None:
            read(target, content, place)

        check()
        # nothing was written but the file itself, and what the target lays out around a list
        assert {path.name for path in place.iterdir()} <= {f"file{target.suffix}", "ssdd"}


_LARGE = b"3" * 60
FOUND: dict[str, tuple[tuple[str, bytes], ...]] = {
    "voc": (("a corner beyond float32", TARGETS["voc"].seeds[0].replace(b"30", b"3e60")),),
    "air-sarship-2": (("a corner beyond float32", TARGETS["air-sarship-2"].seeds[0].replace(b"30", b"3e60")),),
    "dota": (("a corner beyond float32", b"imagesource:a\ngsd:0.5\n1 2 " + _LARGE + b" 2 30 20 1 20 ship 0\n"),),
    "coco": (("a box beyond float32", TARGETS["coco"].seeds[0].replace(b"30", b"3e60")),),
    "coco-boxes": (("a box beyond float32", TARGETS["coco-boxes"].seeds[0].replace(b"30", b"3e60")),),
    "mbrect": (("a corner at infinity", b"ship 1e3091 2 30 2 30 20 1 20\n"),),
    "split-list": (("another encoding", b"\x80"),),
    "groups": (("columns without an end", b"[" * 3000 + b"scene,group\na,inshore\n"),),
}
"""By target: what was found, and what it was."""


@pytest.mark.parametrize(("name", "content"), [(name, one[1]) for name, many in FOUND.items() for one in many])
def test_what_once_broke_a_parser_does_not(name: str, content: bytes, tmp_path: Path) -> None:
    read(TARGETS[name], content, tmp_path)
