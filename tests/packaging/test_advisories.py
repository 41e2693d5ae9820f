"""What `make install` brings is free of the vulnerabilities that the page of security lists."""

from __future__ import annotations

import re
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.packaging.advisories import ADVISORIES, table


def pinned(repo_root) -> dict[str, list[Version]]:
    found: dict[str, list[Version]] = {}
    for line in (repo_root / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            asked = Requirement(line)
            found.setdefault(asked.name, []).append(Version(re.sub("^==", "", str(asked.specifier))))
    return found


@pytest.mark.parametrize("advisory", ADVISORIES, ids=lambda one: one.number)
def test_no_pinned_version_has_it(advisory, repo_root):
    versions = pinned(repo_root)[advisory.package]
    assert all(version >= Version(advisory.fixed) for version in versions), versions


def test_no_installed_torch_loads_code():
    assert Version(metadata.version("torch")) >= Version("2.6")
    asked = [Requirement(line) for line in metadata.requires("osm-ssd")]
    (torch,) = [one.specifier for one in asked if one.name == "torch" and one.marker is None]
    assert "2.5.1" not in torch


def test_the_page_has_the_list(repo_root):
    assert table() in (repo_root / "docs/security.md").read_text("utf-8")
