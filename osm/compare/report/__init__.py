"""The report of a comparison: one page for people, one text for repositories, one JSON file for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from osm.compare.report import breakdowns, efficiency, learning, paper
from osm.compare.report.answers import answer
from osm.compare.report.certainty import (
    METRICS,
    PLACE,
    RESAMPLES,
    SEED,
    SWAPS,
    claims,
    settled,
)
from osm.compare.report.contents import Contents, gather
from osm.compare.report.evidence import random_parts_agree
from osm.compare.report.settings import jsonable
from osm.compare.report.tables import COUNTS, FIGURES, PLACES, count, deltas, figure, ordered_cells, summaries
from osm.compare.statistics.difference import Difference
from osm.compare.statistics.power import detectable, needed
from osm.compare.study import Study
from osm.files import write_json, write_text

FORMAT = 2


def write_report(
    study: Study, out: Path, *, cache: Path | None = None, metrics: Sequence[str] = METRICS, workers: int = 1
) -> Path:
    """Write ``report.json``, ``report.md`` and, last, ``index.html`` into ``out``.

    AP is a fraction in [0, 1] in JSON (null where there was no truth) and stands in points (×100) in the other two.

    Args:
        study: The comparison, whole or as far as it has come; its cells' folders are read.
        out: Folder, created if need be; earlier reports in it are replaced file by file.
        cache: Folder to keep in what takes long to compute, by the content of the predictions; None to keep nothing.
        metrics: Figures to test, of ``osm.compare.statistics.study.METRICS``; p-values are corrected for all of them.
        workers: Processes at most; more than one are started anew, so that a script has to guard its main part.

    Returns:
        The path of ``index.html``.

    Raises:
        DataError: A file of a cell is there but broken, or arms were scored on different scenes.
        FairnessError: Cells differ in more than the initialisation.
    """
    from osm.compare.report import html, markdown

    contents = gather(study, cache, metrics, workers)
    # everything is rendered before anything is written: no report is half new
    content, text, page = to_json(contents), markdown.render(contents), html.render(contents)
    write_json(out / "report.json", content)
    write_text(out / "report.md", text)
    write_text(out / "index.html", page)
    return out / "index.html"


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of ``report.json``."""
    file = resources.files("osm.compare.report").joinpath("schemas").joinpath(f"report-{FORMAT}.json")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def to_json(contents: Contents) -> dict[str, Any]:
    """The content of ``report.json``, by ``schema``."""
    study, certainty = contents.study, contents.certainty
    cells = []
    for cell in ordered_cells(study):
        row: dict[str, Any] = {"detector": cell.detector, "arm": cell.arm, "seed": cell.seed}
        row |= {name: figure(cell, name) for name in FIGURES}
        row |= {f"{name}_{place}": count(cell, f"{name}_{place}") for place in PLACES for name in COUNTS}
        cells.append(row | {"coverage": cell.coverage, "seconds": cell.seconds})
    differences = []
    for delta in deltas(study):
        per_seed = [{"seed": seed, "delta": value} for seed, value in delta.per_seed]
        differences.append(asdict(delta) | {"per_seed": per_seed})
    settings = {"resamples": RESAMPLES, "swaps": SWAPS, "seed": SEED, "place": PLACE, "metrics": certainty.metrics}
    content = {
        "format": FORMAT,
        "title": study.title,
        "cells": cells,
        "deltas": differences,
        "answer": answer(study, certainty),
        "tests": {
            "settings": settings,
            "differences": [_tested(one) for one in certainty.tested],
            "untested": certainty.untested,
        },
        "summary": [asdict(row) for row in summaries(study)],
        "breakdown": breakdowns.to_json(contents.breakdown),
        "label_efficiency": efficiency.to_json(study),
        "learning": learning.to_json(study, contents.looks),
        "disagreements": [asdict(one) for one in contents.disputed],
        "leakage": study.leakage,
        "fairness": contents.fairness.to_json(),
        "tuning": study.tuning,
        "random_parts_equal": random_parts_agree(study, contents.evidence),
        "arms": [asdict(arm) for arm in study.arms],
        "detectors": study.detectors,
        "seeds": study.seeds,
        "baseline": study.baseline,
        "skipped": [asdict(one) for one in study.skipped],
        "caveats": study.caveats,
        "data": study.data,
        "settings": study.settings,
        "versions": study.versions,
        "paper": paper.to_json(),
    }
    made: dict[str, Any] = jsonable(content)
    return made


def _tested(one: Difference) -> dict[str, Any]:
    """A difference for programs: nothing that one seed, or one scene, cannot say."""
    told = claims(one)
    more = needed(one) if told and not settled(one) else None
    return {
        "detector": one.detector,
        "arm": one.arm,
        "baseline": one.baseline,
        "metric": one.metric,
        "place": one.place,
        "n_seeds": one.spread.n_seeds,
        "n_scenes": one.spread.n_scenes,
        "per_seed": [{"seed": seed, "delta": value} for seed, value in one.per_seed],
        "estimate": one.estimate,
        "low": one.low,
        "high": one.high,
        "p": one.p if told else None,
        "p_holm": one.p_holm if told else None,
        "settled": settled(one),
        "detectable": detectable(one) if told else None,
        "more_scenes": more.more_scenes if more else None,
        "more_seeds": more.more_seeds if more else None,
    }
