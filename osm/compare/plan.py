"""The plan of a comparison: arms × detectors × seeds, everything checked before the first cell runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osm.compare.fractions import at_fractions, cell_folder, for_seed
from osm.compare.fusion import Fusion, gather_fusions
from osm.compare.grid import Grid, read_grid
from osm.compare.study import ArmInfo, SkippedCell, is_placebo
from osm.detection.arms import Init, check_kind, imagenet_weights
from osm.detection.engine import fed
from osm.detection.fingerprint import digest_run
from osm.detection.recipe import Recipe, check_words, load_recipe, read_config
from osm.errors import ConfigError, WeightsError
from osm.transfer.architectures import build_backbone
from osm.transfer.card import OSD, OSM, Card
from osm.transfer.load import fits, load_backbone
from osm.transfer.weights import read_weights

#: The arm that every comparison has: the floor.
FLOOR = "scratch"
#: The arm whose pretraining saw the same patches, and no patch with its partner.
PLACEBO = "osm-shuffled"
KEYS = (
    *("title", "detectors", "seeds", "min_coverage", "overrides", "caveats", "leakage", "pretraining_roots"),
    *("fuse", "fusion", "tune", "fractions"),
)


@dataclass(frozen=True)
class Arm:
    """An arm as asked for.

    Attributes:
        name: Name in tables and folders.
        kind: ``scratch``, ``imagenet``, ``osm`` or ``osd``.
        paths: Files of weights, one an architecture; empty for ``scratch`` and for downloads.
    """

    name: str
    kind: str
    paths: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One arm × one detector × one seed, ready to run.

    Attributes:
        recipe: The detector's recipe.
        arm: Name of the arm.
        init: How the backbone starts.
        seed: Seed of the cell.
        min_coverage: Least fraction of the backbone's tensors that the weights must fill.
        fingerprint: Of everything that decides the result but the data.
        allow_contract_mismatch: Whether weights that were trained on other input are taken all the same.
        held_out: Of a cell that tries a learning rate: training scenes that it is scored on, and not trained on.
        tuning: How the recipe's learning rate was chosen, if it was.
    """

    recipe: Recipe
    arm: str
    init: Init
    seed: int
    min_coverage: float
    fingerprint: str
    allow_contract_mismatch: bool = False
    held_out: tuple[str, ...] = ()
    tuning: Mapping[str, Any] | None = None

    @property
    def lr(self) -> float:
        """The learning rate."""
        return float(self.recipe.train.optimizer["lr"])

    @property
    def folder(self) -> Path:
        """Where the cell lies below the work directory."""
        own = cell_folder(self.recipe.detector, self.arm, self.seed)
        if not self.held_out:
            return own
        # cells/DETECTOR/ARM/…/SEED becomes tune/DETECTOR/ARM/…/LR/SEED
        return Path("tune", *own.parts[1:-1], f"lr{self.lr!r}", own.name)

    @property
    def name(self) -> str:
        """The cell in messages: its folder, without that of all cells."""
        return self.folder.as_posix().removeprefix("cells/")


@dataclass(frozen=True)
class Plan:
    """A comparison, resolved.

    Attributes:
        title: Headline of the report.
        recipes: One a detector, or one a detector × fraction (``osm.compare.fractions``).
        arms: The arms, ``scratch`` first, as the report names them.
        seeds: Seeds of every detector × arm.
        cells: What to run, seed by seed, so that an unfinished comparison is balanced.
        skipped: Detector × arm without weights.
        caveats: What a reader must know before any figure.
        min_coverage: Kind of arm → least coverage.
        leakage: ``stop`` or ``warn``: what a test scene among what was trained on does to the comparison.
        pretraining_roots: Folders of the pairs that arms were pretrained on, where they lie elsewhere than beside the
            weights or the data.
        fusions: Pairs of arms whose predictions are fused when their cells are finished.
        grid: Learning rates to try in every arm; None to take the recipes'.
        tuning: What came of it (``osm.compare.tuning``), once it was done.
    """

    title: str
    recipes: tuple[Recipe, ...]
    arms: tuple[ArmInfo, ...]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]
    skipped: tuple[SkippedCell, ...]
    caveats: tuple[str, ...]
    min_coverage: dict[str, float]
    leakage: str = "stop"
    pretraining_roots: tuple[str, ...] = ()
    fusions: tuple[Fusion, ...] = ()
    grid: Grid | None = None
    tuning: Mapping[str, Any] | None = None


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


def make_plan(
    config: str | Path,
    arms: Sequence[Arm],
    *,
    seeds: Sequence[int] | None = None,
    overrides: Mapping[str, Any] | None = None,
    allow_contract_mismatch: bool = False,
    fuse: Sequence[str] = (),
    lrs: Sequence[float] | None = None,
    fractions: Sequence[float] | None = None,
) -> Plan:
    """Resolve a config of ``configs/compare`` with the arms of a user.

    Args:
        config: The config file. ``detectors`` are paths of detection configs, relative to it;
            ``overrides`` (dotted keys) apply to each of them.
        arms: The arms.
        seeds: In place of the config's.
        overrides: Further overrides of the detection configs, applied last.
        allow_contract_mismatch: Whether weights that were trained on other input are taken all the same; the arm's
            note says so.
        fuse: Pairs of arms to fuse, as ``ARM+ARM``, beside those of the config.
        lrs: Learning rates to try in every arm of every detector, in place of the config's ``tune``.
        fractions: Of the training scenes, in place of the config's; with neither, every cell trains on those that
            ``data.train_fraction`` leaves.

    Raises:
        ConfigError: A setting is wrong.
        EnvironmentProblem: Arms are to be fused, and the package for it is not installed.
        WeightsError: An arm's file is broken, fits no detector or covers too little: nothing has run yet.
    """
    values = read_config(config)
    check_words(config, "the config", set(values), KEYS)
    for key in ("title", "detectors", "seeds"):
        if not values.get(key):
            raise ConfigError(config, found=f"no {key}", expected=f"a line {key} = …", mend="add it")
    common = {**values.get("overrides", {}), **(overrides or {})}
    recipes = tuple(load_recipe(Path(config).parent / path, common) for path in values["detectors"])
    names = [recipe.detector for recipe in recipes]
    if len(set(names)) < len(names):
        raise ConfigError(config, found=f"detectors {names}", expected="different names", mend="rename one")
    if shares := tuple(fractions or values.get("fractions", ())):
        if lrs or values.get("tune"):
            raise ConfigError(
                config,
                found="tune beside fractions",
                expected="one of the two",
                mend="tune with all labels first, then set the rate of each detector in overrides",
            )
        recipes = at_fractions(recipes, shares, config)
    min_coverage = dict(values.get("min_coverage", {}))
    check_words(config, "min_coverage", set(min_coverage), ("imagenet", OSM, OSD))
    leakage = values.get("leakage", "stop")
    check_words(config, "leakage", {str(leakage)}, ("stop", "warn"))

    arm_names = [arm.name for arm in arms]
    fusions = gather_fusions(config, arm_names, values.get("fuse", ()), fuse, values.get("fusion"))

    chosen = tuple(dict.fromkeys(seeds or values["seeds"]))
    infos, skipped = [], []
    starts: dict[tuple[str, str], Init] = {}
    for arm in arms:
        info, own = _resolve(arm, recipes, min_coverage.get(arm.kind, 1.0), allow_contract_mismatch)
        infos.append(info)
        for recipe in recipes:
            start = own[recipe.detector]
            if isinstance(start, Init):
                starts[recipe.detector, arm.name] = start
            else:
                skipped.append(SkippedCell(recipe.detector, arm.name, start))
    cells = [
        replace(
            _cell(recipe, arm, starts[recipe.detector, arm.name], seed, min_coverage.get(arm.kind, 1.0)),
            allow_contract_mismatch=allow_contract_mismatch,
        )
        for seed in chosen
        for recipe in recipes
        for arm in arms
        if (recipe.detector, arm.name) in starts
    ]
    return Plan(
        title=values["title"],
        recipes=recipes,
        arms=tuple(infos),
        seeds=chosen,
        cells=tuple(cells),
        skipped=tuple(skipped),
        caveats=tuple(values.get("caveats", ())),
        min_coverage=min_coverage,
        leakage=leakage,
        pretraining_roots=tuple(map(str, values.get("pretraining_roots", ()))),
        fusions=fusions,
        grid=read_grid(config, values.get("tune"), lrs, names, chosen),
    )


def _resolve(
    arm: Arm, recipes: Sequence[Recipe], min_coverage: float, allow_mismatch: bool
) -> tuple[ArmInfo, dict[str, Init | str]]:
    """The arm as the report names it, and per detector its start, or why there is none."""
    if arm.kind == FLOOR:
        note = "random start, drawn by the scheme of whatever stays random in the other arms"
        return ArmInfo(arm.name, arm.name, arm.kind, None, note), {r.detector: Init(FLOOR) for r in recipes}
    own: dict[str, Init | str] = {}
    used, notes, partial = [], [], False
    for recipe in recipes:
        path = _weights_for(arm, recipe.architecture)
        if path is None:
            own[recipe.detector] = f"no weights of {recipe.architecture} were given"
            continue
        own[recipe.detector] = Init(arm.kind, path)
        if path in used:
            continue
        used.append(path)
        # a trial load: too little coverage has to be said now, not after hours of other cells
        certificate = load_backbone(
            build_backbone(recipe.architecture),
            path,
            architecture=recipe.architecture,
            min_coverage=min_coverage,
            feeds=fed(recipe),
            allow_mismatch=allow_mismatch,
        )
        if not certificate.complete:
            partial = True
            notes.append(
                f"{path.name} fills {len(certificate.filled)} of {len(certificate.filled) + len(certificate.random)} "
                f"tensors of {recipe.architecture}, the rest stays random"
            )
        if certificate.contract and certificate.contract.mismatches:
            lines = "; ".join(mismatch.line for mismatch in certificate.contract.mismatches)
            notes.append(f"{path.name} was trained on other input, which --allow-contract-mismatch let pass: {lines}")
        card = read_weights(path).card
        check_kind(arm.kind, path, card)
        if arm.kind == OSM:
            _check_placebo(arm, path, card)
        if card is not None:
            notes.extend(_start_notes(path, card))
    if not used:
        return _unfit(arm, recipes)
    label = f"{arm.name} (partial)" if partial else arm.name
    return ArmInfo(arm.name, label, arm.kind, ", ".join(map(str, used)), "; ".join(dict.fromkeys(notes))), own


def _weights_for(arm: Arm, architecture: str) -> Path | None:
    if not arm.paths:
        return imagenet_weights(architecture)
    backbone = build_backbone(architecture)
    fitting = [path for path in arm.paths if fits(path, backbone, architecture=architecture)]
    if len(fitting) > 1:
        raise ConfigError(
            f"--arm {arm.name}",
            found=f"{len(fitting)} files of {architecture}: {', '.join(map(str, fitting))}",
            expected="one file an architecture",
            mend="give the others another arm's name",
        )
    return fitting[0] if fitting else None


def _unfit(arm: Arm, recipes: Sequence[Recipe]) -> tuple[ArmInfo, dict[str, Init | str]]:
    """Raise what loading the arm's first file into the first detector says."""
    recipe = recipes[0]
    load_backbone(build_backbone(recipe.architecture), arm.paths[0], architecture=recipe.architecture)
    raise WeightsError(
        arm.paths[0], found="weights that fit no detector", expected=recipe.architecture, mend="give others"
    )


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


def _cell(recipe: Recipe, arm: Arm, init: Init, seed: int, min_coverage: float) -> Cell:
    recipe = for_seed(recipe, seed)
    digest = digest_run(recipe, init, kind=arm.kind, seed=seed, min_coverage=min_coverage)
    return Cell(recipe, arm.name, init, seed, min_coverage, digest)
