"""Licences: strong copyleft comes with one extra alone, and the page tells what is installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

if find_spec("piplicenses") is None:
    pytest.skip("pip-licenses is not installed", allow_module_level=True)

from tests.packaging.licences import PAGE, STRONG, groups, installed


@pytest.fixture(scope="module")
def entries():
    return installed()


def test_strong_copyleft_comes_with_ultralytics_alone(entries):
    found = {
        extra: sorted(name for name in names if name in entries and STRONG.search(entries[name].licence))
        for extra, names in groups().items()
    }
    found.pop("ultralytics")
    assert {extra: names for extra, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("licence", "strong"),
    [
        ("AGPL-3.0-only", True),
        ("GNU Affero General Public License v3 or later (AGPLv3+)", True),
        ("GPL-2.0", True),
        ("GNU Lesser General Public License v3", False),
        ("Apache-2.0", False),
    ],
)
def test_strong_copyleft_is_told_by_its_names(licence, strong):
    assert bool(STRONG.search(licence)) is strong


def test_every_package_states_a_licence(entries):
    named = set().union(*groups().values())
    unknown = sorted(name for name in named if name in entries and entries[name].licence in ("", "UNKNOWN"))
    assert unknown == []


def test_the_page_names_every_package_of_the_core_and_of_every_extra(entries):
    text = PAGE.read_text(encoding="utf-8")
    named = set().union(*groups().values()) & entries.keys()
    assert sorted(entry for entry in named if f"| {entries[entry].name} |" not in text) == []
