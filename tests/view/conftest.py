"""A comparison of two small scenes, one of which has lost its image."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.view.made import a_comparison, picture, write_picture


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes ``one``, ``gone`` and ``two``."""
    root = tmp_path_factory.mktemp("view")
    scenes = {name: root / "compare" / "images" / f"{name}.png" for name in ("one", "gone", "two")}
    for seed, name in enumerate(("one", "two")):
        write_picture(scenes[name], picture(seed=seed))
    return a_comparison(root / "compare", scenes)
