"""The learning rates that are tried in every arm alike: the word ``tune`` of a comparison's config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osm.configs import check_values, parse_numbers
from osm.detection.recipe import check_words
from osm.errors import ConfigError

KEYS = ("lrs", "seeds", "fraction", "split_seed")
#: Seeds of the comparison that are tried, where the config names none.
SEEDS = 3
FRACTION = 0.2


@dataclass(frozen=True)
class Grid:
    """What is tried.

    Attributes:
        lrs: Rising learning rates, by detector; every arm of a detector gets the same.
        seeds: Seeds of every arm × learning rate.
        fraction: Part of the training scenes that is held out to choose by, in (0, 0.5].
        split_seed: Seed of the choice of those scenes.
    """

    lrs: Mapping[str, tuple[float, ...]]
    seeds: tuple[int, ...]
    fraction: float = FRACTION
    split_seed: int = 0


def parse_lrs(text: str) -> tuple[float, ...]:
    """Read ``0.005,0.01,0.02``.

    Raises:
        ConfigError: These are no numbers.
    """
    return parse_numbers("--tune", text, "learning rates such as 0.005,0.01,0.02")


def read_grid(
    config: str | Path,
    words: Mapping[str, Any] | None,
    lrs: Sequence[float] | None,
    detectors: Sequence[str],
    seeds: Sequence[int],
) -> Grid | None:
    """Read the word ``tune``.

    Args:
        config: The config, for errors.
        words: ``dict(lrs=[…])`` for all detectors alike or ``dict(lrs=dict(DETECTOR=[…], …))``; further words are
            those of ``Grid``. None where the config has none.
        lrs: In place of the config's learning rates.
        detectors: Names of all detectors.
        seeds: Seeds of the comparison.

    Returns:
        None where there is nothing to try.

    Raises:
        ConfigError: A word or a value is wrong.
    """
    if words is None and lrs is None:
        return None
    if not isinstance(words or {}, Mapping):
        raise ConfigError(
            config, found=f"tune = {words!r}", expected="tune = dict(lrs=[0.01, 0.02])", mend="correct the value"
        )
    values = dict(words or {})
    check_words(config, "tune", set(values), KEYS)
    given = lrs if lrs is not None else values.get("lrs")
    each: dict[str, Any] = dict(given) if isinstance(given, Mapping) else dict.fromkeys(detectors, given)
    check_words(config, "tune.lrs", set(each), list(detectors))
    for detector in detectors:
        rates = each.get(detector)
        numbers = isinstance(rates, Sequence) and all(
            isinstance(rate, int | float) and 0 < rate < float("inf") for rate in rates
        )
        if not numbers or len(set(rates or ())) < 2:
            raise ConfigError(
                "--tune" if lrs is not None else config,
                found=f"learning rates {list(rates) if isinstance(rates, tuple) else rates!r} for {detector}",
                expected="two or more different ones, above 0",
                mend="correct the grid",
            )
    grid = Grid(
        lrs={detector: tuple(sorted({float(rate) for rate in each[detector]})) for detector in detectors},
        seeds=tuple(dict.fromkeys(values.get("seeds", list(seeds)[:SEEDS]))),
        fraction=float(values.get("fraction", FRACTION)),
        split_seed=int(values.get("split_seed", 0)),
    )
    rules = (
        (
            bool(grid.seeds) and all(type(seed) is int and seed >= 0 for seed in grid.seeds),
            "tune.seeds",
            grid.seeds,
            "one or more, from 0 up",
        ),
        (0 < grid.fraction <= 0.5, "tune.fraction", grid.fraction, "above 0, at most 0.5"),
    )
    check_values(config, rules)
    return grid
