"""Which device a user gets."""

import pytest

from osm.compat.device import pick_device
from osm.errors import ConfigError


def test_a_device_that_is_not_here_is_refused():
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") in ("cpu", "cuda")
    with pytest.raises(ConfigError, match="--device"):
        pick_device("nonsense")
