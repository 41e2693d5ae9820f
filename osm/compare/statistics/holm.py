"""Holm's correction: several comparisons, and the chance of even one false claim among them held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from osm.compare.statistics.difference import Difference


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected p-values, in the order given (Holm, Scandinavian Journal of Statistics 6(2), 1979).

    The smallest of m is multiplied by m, the next by m − 1, and so on; none becomes less than one before it or more
    than 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(steps, 1.0)
    return [float(value) for value in corrected]


def corrected(differences: Sequence[Difference]) -> list[Difference]:
    """The same differences with ``p_holm``; a family is one arm against one baseline, over detectors × metrics."""
    made = list(differences)
    families: dict[tuple[str, str], list[int]] = {}
    for index, one in enumerate(made):
        families.setdefault((one.arm, one.baseline), []).append(index)
    for members in families.values():
        for index, p in zip(members, holm([made[index].p for index in members]), strict=True):
            made[index] = replace(made[index], p_holm=p)
    return made
