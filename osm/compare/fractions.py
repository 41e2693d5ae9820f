"""Label efficiency: the cells of a comparison at several fractions of the training scenes.

A detector at a fraction stands in plan, tables and tests as a detector of its own, named by ``name_at``: so nothing is
compared across fractions, and p-values are corrected for all of them.

The scenes of a fraction are drawn by the cell's seed, the same for all arms of that seed, and hold those of every
smaller fraction. Which scenes are labelled moves AP by more than training does; drawn once for all seeds, that luck
would be in every difference and in no interval.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from osm.configs import parse_numbers
from osm.data.scene import Scene
from osm.detection.recipe import Recipe
from osm.detection.schedule import steps_in_all
from osm.detection.tiles import training_scenes, training_tiles
from osm.errors import ConfigError

_NAME = re.compile(r"(?P<detector>.+) \((?P<percent>[0-9.e+-]+) % of scenes\)")


def name_at(detector: str, fraction: float) -> str:
    """``faster-rcnn_r18 (5 % of scenes)``."""
    return f"{detector} ({100 * fraction:g} % of scenes)"


def parse_name(name: str) -> tuple[str, float | None]:
    """Detector and fraction of such a name; None for the fraction where the comparison has none."""
    found = _NAME.fullmatch(name)
    return (found["detector"], float(f"{float(found['percent']) / 100:.10g}")) if found else (name, None)


def cell_folder(name: str, arm: str, seed: int) -> Path:
    """Where a cell lies below the work directory: ``cells/<detector>/<arm>[/frac0.05]/seed0``."""
    detector, fraction = parse_name(name)
    part = () if fraction is None else (f"frac{fraction:g}",)
    return Path("cells", detector, arm, *part, f"seed{seed}")


def parse_fractions(text: str) -> tuple[float, ...]:
    """Fractions of the command line: ``0.05,0.1,1``.

    Raises:
        ConfigError: They are no numbers.
    """
    return parse_numbers("--fractions", text, "numbers such as 0.05,0.1,1")


def at_fractions(recipes: Sequence[Recipe], fractions: Sequence[float], where: str | Path) -> tuple[Recipe, ...]:
    """Every recipe at every fraction, the smallest first.

    Raises:
        ConfigError: A fraction is out of range or there twice; a recipe takes a fraction already, or does not say how
            long to train with few labels.
    """
    chosen = sorted(fractions)
    if not all(0 < one <= 1 for one in chosen):
        raise ConfigError(
            where, found=f"fractions {tuple(fractions)}", expected="above 0, at most 1", mend="correct them"
        )
    made = []
    for recipe in recipes:
        if recipe.data.train_fraction != 1:
            raise ConfigError(
                recipe.path,
                found=f"data.train_fraction = {recipe.data.train_fraction} beside fractions",
                expected="one of the two",
                mend="leave data.train_fraction out",
            )
        if recipe.train.min_steps < 1:
            raise ConfigError(
                recipe.path,
                found="fractions, and no train.min_steps",
                expected="the steps that a cell trains at least, since a few scenes make few steps an epoch",
                mend="set train.min_steps in overrides (1: train.epochs alone decide)",
            )
        for fraction in chosen:
            data = replace(recipe.data, train_fraction=float(fraction))
            made.append(replace(recipe, detector=name_at(recipe.detector, fraction), data=data))
    names = [recipe.detector for recipe in made]
    if len(set(names)) < len(names):
        raise ConfigError(where, found=f"fractions {tuple(fractions)}", expected="different ones", mend="drop one")
    return tuple(made)


def for_seed(recipe: Recipe, seed: int) -> Recipe:
    """The recipe of a cell: at a fraction, its seed chooses the scenes."""
    if parse_name(recipe.detector)[1] is None:
        return recipe
    return replace(recipe, data=replace(recipe.data, subset_seed=seed))


def whole(recipe: Recipe) -> Recipe:
    """The recipe with all training scenes, of which every seed takes its own."""
    if parse_name(recipe.detector)[1] is None:
        return recipe
    return replace(recipe, data=replace(recipe.data, train_fraction=1.0))


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """The recipe's settings for a report, which must not name a seed that no cell has."""
    values = recipe.settings()
    if parse_name(recipe.detector)[1] is not None:
        values["data"]["subset_seed"] = "the seed of the cell"
    return values


def describe(recipe: Recipe, train: Sequence[Scene], seeds: Sequence[int]) -> dict[str, Any] | None:
    """What a fraction is: scenes, and the ships and steps of each seed; None for a recipe without one.

    Args:
        recipe: The recipe.
        train: All training scenes.
        seeds: Seeds of the comparison.

    Raises:
        ConfigError: With one of the seeds there is no ship, or less than a batch of tiles: nothing has run yet.
    """
    detector, fraction = parse_name(recipe.detector)
    if fraction is None:
        return None
    ships, steps = [], []
    scenes: list[Scene] = []
    for seed in seeds:
        own = for_seed(recipe, seed)
        scenes = training_scenes(train, fraction, seed)
        tiles = len(training_tiles(scenes, own.data)) if any((~scene.ignore).any() for scene in scenes) else 0
        if tiles < recipe.train.batch_size:
            raise ConfigError(
                f"fraction {fraction:g} of {len(train)} training scenes, seed {seed}",
                found=f"{tiles} tiles to train on",
                expected=f"at least train.batch_size = {recipe.train.batch_size}",
                mend="leave this fraction out, choose another --seed, or a smaller batch in every arm",
            )
        ships.append(sum(int(np.count_nonzero(~scene.ignore)) for scene in scenes))
        steps.append(steps_in_all(recipe.train, tiles))
    return {
        "name": recipe.detector,
        "detector": detector,
        "fraction": fraction,
        "train_scenes": len(scenes),
        "train_ships": ships,
        "steps": steps,
    }


def caveats(facts: Sequence[dict[str, Any]]) -> list[str]:
    """Fractions that are the same number of scenes, since a small data set has no 1 %."""
    found = []
    for one, other in itertools.pairwise(facts):
        if one["detector"] == other["detector"] and one["train_scenes"] == other["train_scenes"]:
            scenes = f"{one['train_scenes']} scene{'s' * (one['train_scenes'] != 1)}"
            found.append(f"{100 * one['fraction']:g} % and {100 * other['fraction']:g} % are the same {scenes}.")
    return list(dict.fromkeys(found))
