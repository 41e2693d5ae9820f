"""Two comparisons side by side: one page of the same form, with a group of columns for each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from osm.compare.report import answers, html, markdown, proofs, settings
from osm.compare.report.certainty import METRICS as TESTED
from osm.compare.report.certainty import claims, settled
from osm.compare.report.contents import Contents, gather
from osm.compare.report.tables import Summary, summaries
from osm.compare.report.words import METRIC_NAMES, PLACE_NAMES, Column, Table, labels, points, signed, spread
from osm.compare.statistics.difference import Difference
from osm.compare.statistics.study import METRICS
from osm.compare.study import Study
from osm.files import write_text

NOTE = (
    "Two runs beside each other. Each difference between arms is tested within its own run; between the runs nothing "
    "is tested, and a difference of their means holds all that differs in their settings, and chance."
)
OTHER_DATA = "The two runs were not scored on the same scenes: their AP cannot be compared."
OTHER_TRAINING = "The two runs were not trained on the same scenes."
FIGURES = (("ap50", "scene"), ("ap_coco", "scene"), ("ap50", "tile"))


def write_beside(
    runs: tuple[tuple[Study, Path | None], tuple[Study, Path | None]],
    names: tuple[str, str],
    out: Path,
    metrics: Sequence[str] = TESTED,
    workers: int = 1,
) -> Path:
    """Write ``report.md`` and, last, ``index.html`` of two runs into ``out``.

    Args:
        runs: Two studies, each with the folder that keeps what takes long, or None.
        names: What to call them; different.
        out: Folder, created if need be.
        metrics: Figures to test.
        workers: Processes at most.

    Returns:
        The path of ``index.html``.

    Raises:
        DataError: A file of a cell is there but broken, or the arms of one run were scored on different scenes.
    """
    first, second = (gather(study, cache, metrics, workers) for study, cache in runs)
    both = {names[0]: first, names[1]: second}
    title = f"{names[0]} beside {names[1]}"
    figures, differences = figure_table(both), difference_table(both)
    changed, same = setting_table(both)
    warnings = data_warnings(first, second)
    warnings += [f"{name}: {leak}" for name, one in both.items() for leak in proofs.leaks(one.study)]
    told = {name: answers.answer(one.study, one.certainty) for name, one in both.items()}
    same_words = f"{same} other settings, versions and sources of weights are the same."
    page = html.fill(
        "beside.html.j2",
        title=title,
        note=NOTE,
        warnings=warnings,
        answers=told,
        titles={name: one.study.title for name, one in both.items()},
        caveats={name: one.study.caveats for name, one in both.items() if one.study.caveats},
        test_note=answers.TEST_NOTE,
        figures=figures,
        differences=differences,
        changed=changed,
        same=same_words,
        library="",
    )
    parts = [f"# {markdown.escape(title)}", NOTE, *(f"**{markdown.escape(warning)}**" for warning in warnings)]
    for name, sentences in told.items():
        parts += [f"## {markdown.escape(name)}", *map(markdown.escape, sentences)]
        if both[name].study.caveats:
            parts.append("\n".join(f"- {markdown.escape(caveat)}" for caveat in both[name].study.caveats))
    parts += ["## Average precision", markdown.table(figures), "## Differences", answers.TEST_NOTE]
    parts += [markdown.table(differences), "## What differs in the settings", markdown.table(changed), same_words]
    write_text(out / "report.md", "\n\n".join(part for part in parts if part) + "\n")
    write_text(out / "index.html", page)
    return out / "index.html"


def data_warnings(first: Contents, second: Contents) -> list[str]:
    """In which of their data two runs differ, by what their cells wrote down, or else by the numbers in their plans."""
    found = []
    for part, words in (("test", OTHER_DATA), ("train", OTHER_TRAINING)):
        one, other = (_scenes(contents, part) for contents in (first, second))
        if any(one[name] != other[name] for name in {*one} & {*other}):
            found.append(words)
    return found


def _scenes(contents: Contents, part: str) -> dict[str, Any]:
    """Detector, or an empty name for all of them → what it was trained or scored on."""
    data = contents.study.data
    told = {key: value for key, value in data.items() if key.startswith(part)}
    if part == "train":
        told |= {"label_fractions": data.get("label_fractions")}
    found: dict[str, Any] = {"": {"kind": data.get("kind"), "radiometry": data.get("radiometry"), **told}}
    for detector, shared in contents.fairness.shared.items():
        known = shared.get("data", {}).get(f"{part}_scenes")
        if known is not None:
            found[detector] = known
    return found


def figure_table(both: dict[str, Contents]) -> Table:
    """Mean ± sd over seeds by run, and how far the means are apart."""
    heads = [f"{METRIC_NAMES[metric]} {PLACE_NAMES[place]}" for metric, place in FIGURES]
    columns = [Column("Detector", number=False), Column("Arm", number=False)]
    for name in both:
        columns += [Column("Seeds", name), *(Column(head, name) for head in heads)]
    columns.append(Column(heads[0], "Second − first"))
    found = [{(row.detector, row.arm, row.metric): row for row in summaries(one.study)} for one in both.values()]
    label = _labels(both)
    rows = []
    for detector, arm in dict.fromkeys((key[0], key[1]) for key in sorted_keys(both, found)):
        cells = []
        for run in found:
            own = [run.get((detector, arm, f"{metric}_{place}")) for metric, place in FIGURES]
            cells += [_seeds(own), *(spread(row.mean, row.sd) if row else "–" for row in own)]
        ends = [run.get((detector, arm, "ap50_scene")) for run in found]
        means = [row.mean for row in ends if row is not None and row.mean is not None]
        rows.append((detector, label[arm], *cells, signed(means[1] - means[0]) if len(means) == 2 else "–"))
    return Table(tuple(columns), tuple(rows))


def sorted_keys(
    both: dict[str, Contents], found: list[dict[tuple[str, str, str], Summary]]
) -> list[tuple[str, str, str]]:
    """Keys of both runs by detector and arm, in the order of the first run and then of the second."""
    detectors = list(dict.fromkeys(name for one in both.values() for name in one.study.detectors))
    arms = list(dict.fromkeys(arm.name for one in both.values() for arm in one.study.arms))
    keys = dict.fromkeys(key for run in found for key in run)
    return sorted(keys, key=lambda key: (detectors.index(key[0]), arms.index(key[1])))


def difference_table(both: dict[str, Contents]) -> Table:
    """What was tested, by run."""
    columns = [Column(name, number=False) for name in ("Detector", "Difference", "Figure")]
    for name in both:
        columns += [Column("Seeds", name), Column("Points", name), Column("95 % interval", name)]
        columns += [Column("p (Holm)", name), Column("Settled", name, number=False)]
    keyed = [{_key(one): one for one in run.certainty.tested} for run in both.values()]
    label = _labels(both)
    rows = []
    order = list(dict.fromkeys(name for one in both.values() for name in one.study.detectors))
    keys = sorted(
        dict.fromkeys(key for run in keyed for key in run),
        key=lambda key: (order.index(key[0]), list(METRICS).index(key[3])),
    )
    for key in keys:
        cells = [cell for run in keyed for cell in _tested(run.get(key))]
        rows.append((key[0], f"{label[key[1]]} − {label[key[2]]}", METRIC_NAMES[key[3]], *cells))
    return Table(tuple(columns), tuple(rows))


def setting_table(both: dict[str, Contents]) -> tuple[Table, int]:
    """Settings that differ, and the number of those that do not."""
    flat = [dict(_settings(one.study)) for one in both.values()]
    names = list(dict.fromkeys(name for one in flat for name in one))
    rows = tuple(
        (name, *(one.get(name, "–") for one in flat)) for name in names if flat[0].get(name) != flat[1].get(name)
    )
    heads = ("Setting", *both)
    return Table(tuple(Column(head, number=False) for head in heads), rows), len(names) - len(rows)


def _settings(study: Study) -> list[tuple[str, str]]:
    arms: dict[str, Any] = {arm.name: asdict(arm) for arm in study.arms}
    content = {
        "data": study.data,
        "seeds": list(study.seeds),
        "arms": arms,
        "settings": study.settings,
        "versions": study.versions,
        "leakage": study.leakage.get("setting", "unknown"),
    }
    return settings.flatten(content)


def _labels(both: dict[str, Contents]) -> dict[str, str]:
    """Arm name → label; both where the runs have another for it, as of weights that are complete in one alone."""
    found: dict[str, list[str]] = {}
    for one in both.values():
        for name, label in labels(one.study).items():
            found.setdefault(name, []).append(label)
    return {name: " / ".join(dict.fromkeys(told)) for name, told in found.items()}


def _seeds(rows: list[Summary | None]) -> str:
    number = max((row.n_seeds for row in rows if row is not None), default=0)
    return str(number) if number else points(None)


def _key(one: Difference) -> tuple[str, str, str, str]:
    return one.detector, one.arm, one.baseline, one.metric


def _tested(one: Difference | None) -> tuple[str, ...]:
    if one is None:
        return ("–",) * 5
    p = answers.p_value(one.p_holm) if claims(one) and one.p_holm is not None else "–"
    verdict = ("yes" if settled(one) else "no") if claims(one) else "not tested"
    return str(one.spread.n_seeds), signed(one.estimate), answers.ends(one), p, verdict
