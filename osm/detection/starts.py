"""Starts of a probe: how a user spells them, and the trial load that names what is wrong before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from osm.detection.arms import KINDS, PRETRAINED, Init, check_kind, imagenet_weights, parse_init
from osm.detection.engine import fed
from osm.detection.recipe import Recipe
from osm.errors import ConfigError
from osm.files import sha256_file
from osm.transfer.architectures import build_backbone
from osm.transfer.export import read_card
from osm.transfer.load import load_backbone

#: Least coverage of a backbone by kind of start: the ImageNet weights at hand may be incomplete, and are then
#: called so; our own exports never are.
MIN_COVERAGE = {"scratch": 0.0, "imagenet": 0.8, "osm": 1.0, "osd": 1.0}


@dataclass(frozen=True)
class Start:
    """A start, checked.

    Attributes:
        label: As in tables: ``scratch``, ``imagenet (partial)``, or the file as it was given.
        init: How the backbone starts; with a file, unless from scratch.
        sha256: Of the file of weights; None from scratch.
        coverage: Fraction of the backbone's tensors that the file fills; None from scratch.
        min_coverage: Least such fraction.
        mismatches: What of the input contract does not agree and was let pass.
    """

    label: str
    init: Init
    sha256: str | None
    coverage: float | None
    min_coverage: float
    mismatches: tuple[str, ...] = ()


def parse_start(text: str) -> Init:
    """Read what ``parse_init`` reads, or ``PATH.safetensors`` (an ``osm`` start).

    Raises:
        ConfigError: It is none of these.
    """
    if text.endswith(".safetensors") and text.partition(":")[0] not in KINDS:
        return Init("osm", Path(text))
    try:
        return parse_init(text)
    except ConfigError as error:
        raise ConfigError(
            f"start {text!r}",
            found="no such start",
            expected="scratch, imagenet, imagenet:PATH, osm:PATH, osd:PATH or PATH.safetensors",
            mend="correct the argument",
        ) from error


def check_start(
    init: Init, recipe: Recipe, min_coverage: float | None = None, *, allow_contract_mismatch: bool = False
) -> Start:
    """Load the weights once, on trial: what does not fit has to be said before anything runs.

    Args:
        init: The start.
        recipe: For the architecture and what it feeds.
        min_coverage: In place of ``MIN_COVERAGE``.
        allow_contract_mismatch: Whether weights that were trained on other input are taken all the same.

    Raises:
        WeightsError: The weights cannot be found, are broken, fit another backbone, were trained on other input or
            cover too little, or are of another kind.
    """
    import torch

    if init.kind == "scratch":
        return Start("scratch", init, None, None, 0.0)
    least = MIN_COVERAGE[init.kind] if min_coverage is None else min_coverage
    name = recipe.architecture
    path = init.path or imagenet_weights(name)
    check_kind(init.kind, path, read_card(path))
    # a pretraining run that probes itself must not find its random state moved
    with torch.random.fork_rng(devices=[]):
        backbone = build_backbone(name)
    certificate = load_backbone(
        backbone,
        path,
        architecture=name,
        min_coverage=least,
        feeds=fed(recipe),
        allow_mismatch=allow_contract_mismatch,
    )
    label = str(init.path) if init.kind in PRETRAINED else init.kind
    if not certificate.complete:
        label += " (partial)"
    contract = certificate.contract
    mismatches = tuple(mismatch.line for mismatch in contract.mismatches) if contract else ()
    return Start(label, Init(init.kind, path), sha256_file(path), certificate.coverage, least, mismatches)
