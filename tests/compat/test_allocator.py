"""Freed memory stays with the process as long as that is wanted, and no longer."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

#: Page faults of taking and freeing 64 MB ten times over, before, within and after the context.
PROBE = """
import resource
from osm.compat.allocator import memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        bytearray(64 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
with memory_kept({wanted}) as kept:
    faults()
    print(faults())
print(faults())
print(kept)
"""


def probe(wanted: bool) -> tuple[list[int], str]:
    # in a process of its own: how an allocator behaves depends on what went before
    code = PROBE.format(wanted=wanted)
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    *counts, kept = ran.stdout.split()
    return [int(count) for count in counts], kept


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another libc")
def test_memory_is_kept_within_the_context_and_handed_back_after_it():
    (before, within, after), kept = probe(True)
    assert kept == "True"
    assert before > 1000
    assert within < before / 20
    assert after > before / 2


def test_nothing_changes_where_it_is_not_wanted():
    (before, within, after), kept = probe(False)
    assert kept == "False"
    assert min(within, after) > before / 2
