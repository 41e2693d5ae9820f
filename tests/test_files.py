"""Files: whole or absent, readable as any other; sealed JSON, in which a changed content is found."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osm.errors import DataError
from osm.files import (
    InUseError,
    atomic_path,
    check_seal,
    clear_torn,
    digests,
    exclusive,
    read_json,
    sha256_file,
    write_sealed,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
contents = st.dictionaries(st.text(max_size=3), values, max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents, st.integers(0, 8))
def test_what_is_sealed_passes_however_it_is_laid_out(tmp_path, content, indent):
    path = tmp_path / "a.json"
    write_sealed(path, content)
    check_seal(path, read_json(path))
    path.write_text(json.dumps(read_json(path), indent=indent, ensure_ascii=False, sort_keys=bool(indent % 2)))
    check_seal(path, read_json(path))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents, st.text(max_size=3), st.integers())
def test_a_changed_entry_is_found(tmp_path, content, key, value):
    path = tmp_path / "a.json"
    write_sealed(path, content)
    sealed = read_json(path)
    changed = {**sealed, key: value}
    if json.dumps(changed, sort_keys=True) != json.dumps(sealed, sort_keys=True):
        with pytest.raises(DataError, match=r"a\.json: found"):
            check_seal(path, changed)


@pytest.mark.parametrize("value", [{}, {"sha256": 1}, [], None, "text"])
def test_what_has_no_seal_is_not_taken_for_sealed(value):
    with pytest.raises(DataError, match="found no SHA-256 in it"):
        check_seal("a.json", value)


def test_digests_are_of_the_files_that_are_there(tmp_path):
    (tmp_path / "a").write_text("x")
    assert digests(tmp_path, ("a", "b")) == {"a": sha256_file(tmp_path / "a")}


def test_json_too_deep_is_an_error_that_a_user_can_mend(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match=r"deep\.json: found broken JSON"):
        read_json(tmp_path / "deep.json")


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


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match=r"file/out: found that it cannot be written to \(Not a directory\)"),
        exclusive(tmp_path / "file" / "out"),
    ):
        pass


def test_a_worker_does_not_keep_the_lock_of_a_killed_process(tmp_path):
    """A forked worker outlives its parent; the folder must not stay locked for it."""
    code = (
        "import os, sys, time; from osm.files import exclusive\n"
        "with exclusive(sys.argv[1]):\n"
        "    if not os.fork():\n"
        "        print('forked', flush=True); time.sleep(60)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        try:
            assert child.stdout.readline() == "forked\n"
            with pytest.raises(InUseError), exclusive(tmp_path / "a"):
                pass
            child.kill()
            child.wait()
            with exclusive(tmp_path / "a"):
                pass
        finally:
            os.killpg(child.pid, signal.SIGKILL)


def test_a_child_that_leaves_the_block_does_not_end_the_lock(tmp_path):
    child = None
    try:
        with exclusive(tmp_path):
            child = os.fork()
            if not child:
                raise SystemExit  # out of the block, as its parent would leave it
            assert os.waitpid(child, 0)[1] == 0
            with pytest.raises(InUseError), exclusive(tmp_path):
                pass
    except BaseException as error:
        if not child:
            os._exit(0 if isinstance(error, SystemExit) else 1)
        raise


def test_what_a_killed_process_was_writing_is_cleared_away_and_nothing_else(tmp_path):
    code = (
        "import os, signal, sys; from osm.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as path:\n"
        "    path.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for name in ("a.coco.json", "b.png"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=False)
    others = {"a.coco.json", ".a.json", ".a.coco.json", ".lock", ".a.coco.12345678.png"}
    for name in others:
        (tmp_path / name).write_text("mine")
    assert len(list(tmp_path.iterdir())) == len(others) + 2
    clear_torn(tmp_path, ["a.coco.json"])
    (left,) = {path.name for path in tmp_path.iterdir()} - others
    assert left.startswith(".b.")
    clear_torn(tmp_path, ["b.png"])
    assert {path.name for path in tmp_path.iterdir()} == others
