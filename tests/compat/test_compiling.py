"""A compiled module computes what it computed, under the same names; without a compiler one line says so."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import nn

from osm.compat.compiling import check_compiler, compiled
from osm.errors import ConfigError


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))


def stepped(module: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    out = module(images)
    out.square().mean().backward()
    values = {name: parameter.grad for name, parameter in module.named_parameters()}
    return out.detach(), {**values, **dict(module.named_buffers())}


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_a_compiled_module_gives_the_same_under_the_same_names():
    plain, other = network(), network()
    images = torch.rand(2, 3, 16, 16)
    names = list(other.state_dict())
    expected, wanted = stepped(plain, images)
    with compiled([other], True, "cpu"):
        assert list(other.state_dict()) == names
        given, values = stepped(other, images)
        assert other._compiled_call_impl is not None
    assert other._compiled_call_impl is None
    torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-5)
    assert values.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(values[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_nothing_is_compiled_where_it_is_not_wanted(monkeypatch):
    monkeypatch.setenv("PATH", "")
    module = network()
    with compiled([module], False, "cpu"):
        assert module._compiled_call_impl is None


@pytest.mark.parametrize("named", [None, "/no/such/c++"])
def test_without_a_compiler_one_line_says_so(monkeypatch, named):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    if named:
        monkeypatch.setenv("CXX", named)
    with pytest.raises(ConfigError, match=r"train\.compile: found no C\+\+ compiler .*set train\.compile=False"):
        check_compiler("cpu")
