"""The plan of a comparison: arms × detectors × seeds, everything checked before the first cell runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osm.compare.arms import Arm, resolve
from osm.compare.fractions import at_fractions, cell_folder, for_seed
from osm.compare.fusion import Fusion, gather_fusions
from osm.compare.grid import Grid, read_grid
from osm.compare.study import ArmInfo, SkippedCell
from osm.compat.config_files import read_config_file, with_overrides
from osm.detection.arms import Init
from osm.detection.fingerprint import digest_run
from osm.detection.recipe import Recipe, check_words, recipe_of
from osm.errors import ConfigError
from osm.transfer.card import OSD, OSM

KEYS = (
    *("title", "detectors", "seeds", "min_coverage", "overrides", "caveats", "leakage", "pretraining_roots"),
    *("fuse", "fusion", "tune", "fractions"),
)


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
            or, in one that is data, these configs themselves; ``overrides`` (dotted keys) apply to each of them.
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
    values = read_config_file(config)
    check_words(config, "the config", set(values), KEYS)
    for key in ("title", "detectors", "seeds"):
        if not values.get(key):
            raise ConfigError(config, found=f"no {key}", expected=f"a line {key} = …", mend="add it")
    common = {**values.get("overrides", {}), **(overrides or {})}
    recipes = tuple(_read_recipe(Path(config), entry, common) for entry in values["detectors"])
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
    starts: dict[tuple[str, str], dict[int, Init]] = {}
    for arm in arms:
        info, own = resolve(arm, recipes, chosen, min_coverage.get(arm.kind, 1.0), allow_contract_mismatch)
        infos.append(info)
        for recipe in recipes:
            start = own[recipe.detector]
            if isinstance(start, str):
                skipped.append(SkippedCell(recipe.detector, arm.name, start))
            else:
                starts[recipe.detector, arm.name] = start
    cells = [
        replace(
            _cell(recipe, arm, starts[recipe.detector, arm.name][seed], seed, min_coverage.get(arm.kind, 1.0)),
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


def _read_recipe(config: Path, entry: str | Mapping[str, Any], overrides: Mapping[str, Any]) -> Recipe:
    if isinstance(entry, Mapping):
        return recipe_of(config, with_overrides(config, entry, overrides))
    path = config.parent / entry
    return recipe_of(path, read_config_file(path, overrides))


def _cell(recipe: Recipe, arm: Arm, init: Init, seed: int, min_coverage: float) -> Cell:
    recipe = for_seed(recipe, seed)
    digest = digest_run(recipe, init, kind=arm.kind, seed=seed, min_coverage=min_coverage)
    return Cell(recipe, arm.name, init, seed, min_coverage, digest)
