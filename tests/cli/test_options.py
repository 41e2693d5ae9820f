"""Options that name settings."""

import pytest

from osm.cli.options import parse_settings
from osm.errors import ConfigError


def test_values_are_literals_or_text():
    assert parse_settings(["a.b=3", "c=[1, 2]", "d=gpu", "e=x=y", "f="]) == {
        "a.b": 3, "c": [1, 2], "d": "gpu", "e": "x=y", "f": "",
    }  # fmt: skip
    assert parse_settings(None) == {}


@pytest.mark.parametrize("text", ["gpu", "=3"])
def test_the_option_that_is_wrong_is_named(text):
    with pytest.raises(ConfigError, match=f"^--set {text}: found no NAME=VALUE; expected e.g. train.epochs=5"):
        parse_settings([text])
    with pytest.raises(ConfigError, match=f"^--cluster {text}: .*slurm_partition=gpu"):
        parse_settings([text], "--cluster", "slurm_partition=gpu")
