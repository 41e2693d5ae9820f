"""What a mark is, and that a block without one does not pass."""

from __future__ import annotations

import pytest

from tests.docs.blocks import read_blocks


def only(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    [block] = read_blocks(page)
    return block


def test_a_marked_block_is_read_with_its_words(tmp_path):
    block = only(tmp_path, "words\n\n<!-- run: simulated, slow -->\n```sh\nosm doctor\n```\n")
    assert (block.line, block.language, block.text, block.mark) == (4, "sh", "osm doctor\n", "run")
    assert block.slow
    assert not block.fault


@pytest.mark.parametrize(
    "above",
    ["", "<!-- run: sometimes -->", "<!-- not run: -->", "<!-- file: ../outside.py -->", "<!-- run: simulated -->\n"],
)
def test_a_block_without_a_right_mark_is_a_fault(tmp_path, above):
    assert only(tmp_path, f"words\n{above}\n```sh\nosm doctor\n```\n").fault
    assert only(tmp_path, f"words\n{above}\n```\nosm doctor\n```\n").fault


def test_drawings_need_no_mark(tmp_path):
    assert not only(tmp_path, "```text\na → b\n```\n").fault
    assert only(tmp_path, "```\na → b\n```\n").fault


def test_blocks_in_lists_lose_their_indent(tmp_path):
    assert only(tmp_path, "- a\n  <!-- run: simulated -->\n  ```sh\n  one\n    two\n  ```\n").text == "one\n  two\n"
