"""Which device a user gets, and in what it computes."""

from pathlib import Path

import pytest

from osm.compat.device import pick_device, precision_on
from osm.errors import ConfigError


def test_a_device_that_is_not_here_is_refused():
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") in ("cpu", "cuda")
    with pytest.raises(ConfigError, match="--device"):
        pick_device("nonsense")


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_a_precision_that_is_said_is_taken_on_every_device(precision):
    assert {precision_on(precision, device) for device in ("cpu", "cuda", "mps")} == {precision}


def test_a_cpu_computes_in_bfloat16_only_where_it_has_instructions_for_it():
    facts = Path("/proc/cpuinfo")
    flags = facts.read_text().split() if facts.is_file() else []
    if "avx2" not in flags:
        pytest.skip("needs an x86 processor whose instructions Linux lists")
    able = bool({"avx512_bf16", "amx_bf16"} & set(flags))
    assert precision_on("auto", "cpu") == ("bfloat16" if able else "float32")


def test_what_is_not_known_computes_in_float32():
    assert precision_on("auto", "mps:0") == "float32"
