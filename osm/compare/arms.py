"""Arms as they are asked for: names, kinds, files of weights, all tried before the first cell runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from osm.compare.study import ArmInfo, is_placebo
from osm.detection.arms import Init, check_kind, imagenet_weights
from osm.detection.engine import fed
from osm.detection.recipe import Recipe
from osm.errors import ConfigError, WeightsError
from osm.transfer.architectures import build_backbone
from osm.transfer.card import OSD, OSM, Card
from osm.transfer.certificate import Certificate, percent
from osm.transfer.initialise import initialise
from osm.transfer.load import fits, load_backbone
from osm.transfer.loudness import Loud, loud_stages, loudness
from osm.transfer.weights import read_weights

if TYPE_CHECKING:
    from torch import nn

#: The arm that every comparison has: the floor.
FLOOR = "scratch"
#: The arm whose pretraining saw the same patches, and no patch with its partner.
PLACEBO = "osm-shuffled"


@dataclass(frozen=True)
class Arm:
    """An arm as asked for.

    Attributes:
        name: Name in tables and folders.
        kind: ``scratch``, ``imagenet``, ``osm`` or ``osd``.
        paths: Files of weights, one an architecture; empty for ``scratch`` and for downloads. ``{seed}`` in a path
            stands for the seed of a cell.
    """

    name: str
    kind: str
    paths: tuple[Path, ...] = ()


def parse_arm(text: str) -> Arm:
    """Read ``NAME`` or ``NAME=PATH``.

    A name that begins with ``imagenet`` is of that kind, ``scratch`` is the floor, names that begin with ``osd`` are
    backbones of optical ship detectors, all others are backbones pretrained by matching (``osm``, ``osm-shuffled``, …).

    Raises:
        ConfigError: A name without a path that needs one, or a name that makes no folder.
    """
    name, equals, path = text.partition("=")
    if not name or not name.replace("-", "").replace("_", "").isalnum():
        raise ConfigError(
            "--arm", found=repr(text), expected="NAME=PATH, NAME of letters, digits, - and _", mend="correct the option"
        )
    kind = FLOOR if name == FLOOR else next((kind for kind in ("imagenet", OSD) if name.startswith(kind)), OSM)
    if bool(path) == (kind == FLOOR) and kind != "imagenet":
        expected = "scratch alone, which takes no weights" if kind == FLOOR else f"{name}=PATH"
        raise ConfigError("--arm", found=repr(text), expected=expected, mend="correct the option")
    if equals and not path:
        raise ConfigError("--arm", found=repr(text), expected=f"{name}=PATH", mend="give the file after =")
    return Arm(name, kind, (Path(path),) if path else ())


def gather_arms(texts: Sequence[str]) -> list[Arm]:
    """Arms of the command line: the floor first, paths of a repeated name (other architectures) together."""
    arms = {FLOOR: Arm(FLOOR, FLOOR)}
    for arm in map(parse_arm, texts):
        known = arms.get(arm.name, arm)
        arms[arm.name] = Arm(arm.name, arm.kind, tuple(dict.fromkeys((*known.paths, *arm.paths))))
    return list(arms.values())


def resolve(
    arm: Arm, recipes: Sequence[Recipe], seeds: Sequence[int], min_coverage: float, allow_mismatch: bool
) -> tuple[ArmInfo, dict[str, dict[int, Init] | str]]:
    """Find and try the weights of an arm, before any cell runs.

    Args:
        arm: The arm.
        recipes: The detectors.
        seeds: Those of the comparison.
        min_coverage: Least fraction of a backbone's tensors that the weights must fill.
        allow_mismatch: Whether weights that were trained on other input are taken all the same.

    Returns:
        The arm as the report names it, and per detector its start by seed, or why there is none.

    Raises:
        ConfigError: Several files fit one architecture.
        WeightsError: A file is missing, broken, fits no detector, covers too little, or is another arm's.
    """
    if arm.kind == FLOOR:
        note = "random start, drawn by the scheme of whatever stays random in the other arms"
        floor: dict[int, Init] = dict.fromkeys(seeds, Init(FLOOR))
        return ArmInfo(arm.name, arm.name, arm.kind, None, note), {recipe.detector: floor for recipe in recipes}
    templates = {name: _weights_for(arm, name, seeds[0]) for name in {recipe.architecture for recipe in recipes}}
    own: dict[str, dict[int, Init] | str] = {}
    named: list[Path] = []
    tried: list[Path] = []
    notes: list[str] = []
    partial = False
    for recipe in recipes:
        template = templates[recipe.architecture]
        if template is None:
            own[recipe.detector] = f"no weights of {recipe.architecture} were given"
            continue
        by_seed = {seed: at_seed(template, seed) for seed in seeds}
        own[recipe.detector] = {seed: Init(arm.kind, path) for seed, path in by_seed.items()}
        named.append(template)
        for path in by_seed.values():
            if path not in tried:
                tried.append(path)
                complete, own_notes = _try(arm, path, recipe, min_coverage, allow_mismatch)
                partial |= not complete
                notes += own_notes
    if not named:
        raise _unfit(arm, recipes[0], seeds[0])
    if len(set(tried)) > len(set(named)):
        notes.insert(0, "each seed starts from a pretraining of its own")
    label = f"{arm.name} (partial)" if partial else arm.name
    said = "; ".join(dict.fromkeys(notes))
    return ArmInfo(arm.name, label, arm.kind, ", ".join(dict.fromkeys(map(str, named))), said), own


def at_seed(path: Path, seed: int) -> Path:
    """The file of a seed: ``{seed}`` stands for its number."""
    return Path(str(path).replace("{seed}", str(seed)))


def _try(arm: Arm, path: Path, recipe: Recipe, min_coverage: float, allow_mismatch: bool) -> tuple[bool, list[str]]:
    """Load a file as a cell would; whether it fills everything, and what has to be said of it."""
    notes = []
    # a trial load: too little coverage has to be said now, not after hours of other cells
    backbone = build_backbone(recipe.architecture)
    certificate = load_backbone(
        backbone,
        path,
        architecture=recipe.architecture,
        min_coverage=min_coverage,
        feeds=fed(recipe),
        allow_mismatch=allow_mismatch,
    )
    if not certificate.complete:
        notes.append(
            f"{path.name} fills {len(certificate.filled)} of {len(certificate.filled) + len(certificate.random)} "
            f"tensors of {recipe.architecture}, {percent(certificate.value_coverage)} of the values that can be "
            "trained; the rest stays random"
        )
        notes += [f"{path.name}: {stage.words}" for stage in _loud(recipe.architecture, backbone, certificate)]
    if certificate.contract and certificate.contract.mismatches:
        lines = "; ".join(mismatch.line for mismatch in certificate.contract.mismatches)
        notes.append(f"{path.name} was trained on other input, which --allow-contract-mismatch let pass: {lines}")
    card = read_weights(path).card
    check_kind(arm.kind, path, card)
    if arm.kind == OSM:
        _check_placebo(arm, path, card)
    if card is not None:
        notes.extend(_start_notes(path, card))
    return certificate.complete, notes


def _loud(architecture: str, backbone: nn.Module, certificate: Certificate) -> list[Loud]:
    random = build_backbone(architecture)
    initialise(random, 0)
    return loud_stages(loudness(random), loudness(backbone), certificate.stages)


def _weights_for(arm: Arm, architecture: str, seed: int) -> Path | None:
    if not arm.paths:
        return imagenet_weights(architecture)
    backbone = build_backbone(architecture)
    fitting = [path for path in arm.paths if fits(at_seed(path, seed), backbone, architecture=architecture)]
    if len(fitting) > 1:
        raise ConfigError(
            f"--arm {arm.name}",
            found=f"{len(fitting)} files of {architecture}: {', '.join(map(str, fitting))}",
            expected="one file an architecture",
            mend="give the others another arm's name",
        )
    return fitting[0] if fitting else None


def _unfit(arm: Arm, recipe: Recipe, seed: int) -> WeightsError:
    """What loading the arm's first file into the first detector raises, or what to raise."""
    first = at_seed(arm.paths[0], seed)
    load_backbone(build_backbone(recipe.architecture), first, architecture=recipe.architecture)
    return WeightsError(first, found="weights that fit no detector", expected=recipe.architecture, mend="give others")


def _check_placebo(arm: Arm, path: Path, card: Card | None) -> None:
    """Make sure that a placebo is called so, and nothing else is.

    Raises:
        WeightsError: The arm's name and the card of its weights disagree: the files were swapped.
    """
    shuffled = card is not None and bool(card.config.get("model", {}).get("placebo", False))
    if is_placebo(arm.name) == shuffled:
        return
    if shuffled:
        found, expected = "weights that were pretrained on shuffled pairs", "weights that could match"
        mend = f"give them as --arm {PLACEBO}={path}"
    elif card is None:
        found, expected = "weights without a card", "weights whose card says model.placebo"
        mend = "pretrain with model.placebo=True"
    else:
        found, expected = "weights that were pretrained on true pairs", "a placebo (model.placebo=True)"
        mend = f"give them as --arm osm={path}, and pretrain a placebo with --set model.placebo=True"
    raise WeightsError(path, found=f"{found}, for the arm {arm.name}", expected=expected, mend=mend)


def _start_notes(path: Path, card: Card) -> list[str]:
    notes = []
    start, data = card.start, card.data
    coverage = start.get("coverage")
    detector = card.pretrained == OSD
    if detector:
        scenes = f" ({data['root']}, {data['train_scenes']} scenes)" if data.get("root") else ""
        notes.append(
            f"{path.name} was pretrained as a detector of optical ships{scenes}, in colours, and is fed one SAR band "
            "three times"
        )
    if start.get("source") and coverage is not None:
        extent = "partial, " if coverage < 1 else ""
        source = Path(start["source"]).name
        what = "that detector's backbone" if detector else "its branches"
        notes.append(f"{path.name}: {what} started from {source} ({extent}coverage {coverage:.2f})")
    if data.get("simulated"):
        notes.append(f"{path.name} was pretrained on simulated {'scenes' if detector else 'pairs'}")
    return notes
