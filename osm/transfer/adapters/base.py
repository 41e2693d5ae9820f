"""What an adapter to another framework is, and where adapters are found."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from osm.errors import ConfigError, EnvironmentProblem

if TYPE_CHECKING:
    import torch
    from torch import nn

    from osm.transfer.weights import SourceWeights

#: What ``osm export --to`` offers; each is the module of that name beside this one.
TARGETS = ("mmdet", "torchvision", "timm", "ultralytics", "safetensors")
#: What ``osm import --from`` offers, likewise.
SOURCES = ("torchvision", "timm", "mmdet", "darknet")
#: Every adapter there is.
ADAPTERS = tuple(dict.fromkeys(TARGETS + SOURCES))


def _read_weights(path: Path) -> SourceWeights:
    from osm.transfer.weights import read_weights

    return read_weights(path)


def _no_usage(architecture: str, file: str) -> str:
    return ""


@dataclass(frozen=True)
class Adapter:
    """One framework, seen from a backbone: a pure key map, and what it takes to prove that the map is right.

    Attributes:
        name: As in ``ADAPTERS``.
        architectures: Names of ``osm.transfer.architectures`` that the framework has too.
        rename: (architecture, our keys) → our key: their key. Pure and one to one.
        build: Architecture → the framework's own model without a classifier, at random weights.
        load: Fills such a model from tensors under the framework's keys. Strict: it raises ``WeightsError``
            for a tensor too many, too few or of another shape.
        features: (model, images (N, 3, H, W), normalised) → its maps at the strides of our backbone's, shallow to
            deep; shallow ones that the framework does not give may be left out.
        usage: (architecture, file) → the lines with which the framework's users load the file.
        suffixes: Of the files that the framework's users load, the usual one first.
        read: Path → the backbone's tensors under the framework's keys.
        not_imported: Architecture → why its files are not imported, where the keys fit but the networks differ.
    """

    name: str
    architectures: tuple[str, ...]
    rename: Callable[[str, Sequence[str]], dict[str, str]]
    build: Callable[[str], nn.Module]
    load: Callable[[nn.Module, Mapping[str, torch.Tensor]], None]
    features: Callable[[nn.Module, torch.Tensor], tuple[torch.Tensor, ...]]
    usage: Callable[[str, str], str] = _no_usage
    suffixes: tuple[str, ...] = (".pth", ".safetensors")
    read: Callable[[Path], SourceWeights] = _read_weights
    not_imported: Mapping[str, str] | None = None

    def check(self, architecture: str) -> None:
        """Make sure that the framework has this backbone.

        Raises:
            ConfigError: It has not.
        """
        if architecture not in self.architectures:
            raise ConfigError(
                self.name,
                found=f"no {architecture} in it",
                expected=" or ".join(self.architectures),
                mend="choose another framework",
            )


def adapter(name: str) -> Adapter:
    """The adapter of a framework; its module, and no other, is imported.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in ADAPTERS:
        raise ConfigError(
            name, found="no adapter of that name", expected=f"one of {', '.join(ADAPTERS)}", mend="correct the name"
        )
    found: Adapter = importlib.import_module(f"osm.transfer.adapters.{name}").ADAPTER
    return found


def require(package: str, extra: str) -> ModuleType:
    """Import the package that an adapter stands on.

    Args:
        package: Name to import.
        extra: The optional extra of this package that brings it.

    Raises:
        EnvironmentProblem: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise EnvironmentProblem(
            package,
            found="not installed",
            expected=f"the optional extra {extra}",
            mend=f"pip install 'osm-ssd[{extra}]'",
        ) from error


def same_keys(architecture: str, keys: Sequence[str]) -> dict[str, str]:
    """The key map of frameworks that name things as we do."""
    return {key: key for key in keys}


def load_strict(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Fill a model; nothing may be missing, left over or of another shape.

    Raises:
        WeightsError: Something is.
    """
    from osm.transfer.load import fill

    mend = "report this as a defect of the adapter"
    fill(model, tensors, type(model).__name__, of="it", expected="every tensor of it and no other", mend=mend)
