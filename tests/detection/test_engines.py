"""Engines by name, and recipes that name them."""

import pytest

from osm.detection.engines import ENGINES, find_engine
from osm.detection.recipe import load_recipe
from osm.errors import ConfigError


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_is_found(name):
    engine = find_engine(name, "config.py")
    assert isinstance(engine.notice, str)
    assert engine is find_engine(name, "config.py")


def test_an_unknown_engine_is_named_with_the_config(repo_root):
    with pytest.raises(ConfigError, match=r"demo_yolov3_narrow\.py: found engine = 'mmdett'; expected one of mmdet"):
        load_recipe(repo_root / "configs/detect/demo_yolov3_narrow.py", {"engine": "mmdett"})


def test_a_recipe_without_an_engine_is_mmdets_and_keeps_its_fingerprint(repo_root):
    path = repo_root / "configs/detect/demo_yolov3_narrow.py"
    recipe = load_recipe(path)
    assert recipe.engine == "mmdet"
    assert "engine" not in recipe.settings()
    assert load_recipe(path, {"engine": "mmdet"}).settings() == recipe.settings()
