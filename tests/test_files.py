"""Files are whole or absent, and readable as any other."""

import os

import pytest

from osm.files import atomic_path


def test_a_file_has_the_usual_permissions_even_where_the_writer_put_another_in_its_place(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic_path(tmp_path / "a.bin") as temporary:
            private = temporary.with_suffix(".own")
            private.touch(mode=0o600)
            private.replace(temporary)
    finally:
        os.umask(before)
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o644


def test_what_fails_leaves_the_earlier_file_and_nothing_else(tmp_path):
    (tmp_path / "a.bin").write_text("before")

    def write_half():
        with atomic_path(tmp_path / "a.bin") as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_text() == "before"
