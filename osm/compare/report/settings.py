"""Settings, versions and configs of a study as text for the folded part of the report."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from osm.compare.report.evidence import Evidence, Key
from osm.compare.study import Study


def flatten(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested settings as ``a.b.c`` → text, in their order."""
    if isinstance(value, Mapping) and value:
        return [row for key, inner in value.items() for row in flatten(inner, f"{name}.{key}" if name else str(key))]
    if isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(v, Mapping) for v in value):
        return [row for index, inner in enumerate(value) for row in flatten(inner, f"{name}[{index}]")]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [(name, ", ".join(str(one) for one in value) or "none")]
    return [(name, str(value))]


def configs(study: Study, evidence: dict[Key, Evidence]) -> list[tuple[str, str]]:
    """A title and a text for each cell's config: the first of a detector in full, the others as their differences."""
    texts = []
    for detector in study.detectors:
        first: tuple[str, str] | None = None
        for arm in study.arms:
            for seed in study.seeds:
                found = evidence.get((detector, arm.name, seed))
                if found is None or found.config is None:
                    continue
                title = f"{detector} · {arm.label} · seed {seed}"
                if first is None:
                    first = title, found.config
                    texts.append((title, found.config))
                else:
                    texts.append((f"{title}, against {first[0]}", _difference(first[1], found.config)))
    return texts


def jsonable(value: Any) -> Any:
    """A value as JSON has it: what is not finite becomes null, paths and the unknown become text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.generic | np.ndarray):
        return jsonable(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [jsonable(inner) for inner in value]
    return value.as_posix() if isinstance(value, PurePath) else str(value)


def _difference(old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    kept = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return "\n".join(kept) or "the same, letter by letter"
