from __future__ import annotations

from pathlib import Path

import pytest

from osm.configs import check_choices, check_values, config_path, find_config, nearest
from osm.errors import ConfigError


def test_the_first_value_that_is_not_good_is_named():
    rules = [(True, "a.b", 1, "at least 0"), (False, "a.c", -2, "at least 0"), (False, "a.d", -3, "at least 0")]
    check_values("my.py", rules[:1])
    with pytest.raises(ConfigError) as caught:
        check_values("my.py", rules)
    assert caught.value.line == "my.py: found a.c = -2; expected at least 0; correct the value"


def test_a_choice_that_there_is_not_gets_the_nearest_offered():
    check_choices("my.py", [("a", "x", ("x", "y"))])
    with pytest.raises(ConfigError, match="found a = 'cosin'; expected one of cosine, step; write 'cosine'"):
        check_choices("my.py", [("a", "cosin", ("cosine", "step"))])
    with pytest.raises(ConfigError, match="correct it"):
        check_choices("my.py", [("a", "", ("cosine", "step"))])


def test_the_nearest_name_is_found_whatever_its_capitals():
    assert nearest("sgd", ["SGD", "Adam"]) == "SGD"
    assert nearest("zzz", ["SGD", "Adam"]) is None


def test_shipped_configs_are_found():
    assert config_path("pretrain/bnn_resnet18.py").is_file()


def test_a_config_of_the_package_is_found_by_its_name_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = Path("configs/pretrain/bnn_resnet18.py")
    assert find_config(named) == config_path("pretrain/bnn_resnet18.py")
    for other in ("configs/pretrain/none.py", "configs", "other/pretrain/bnn_resnet18.py", "configs/../setup.py"):
        assert find_config(Path(other)) == Path(other)
    named.parent.mkdir(parents=True)
    named.touch()
    assert find_config(named) == named
