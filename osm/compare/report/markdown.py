"""The report as Markdown: the words and the tables."""

from __future__ import annotations

import re
from collections.abc import Iterable

from osm.compare.report import answers, breakdowns, disagree, efficiency, fairness, learning, paper, proofs, words
from osm.compare.report.contents import Contents, where_it_is
from osm.compare.report.settings import flatten
from osm.compare.report.words import Table


def render(contents: Contents) -> str:
    """The whole document."""
    study, evidence, certainty = contents.study, contents.evidence, contents.certainty
    parts = [f"# {escape(study.title)}", *(f"**{escape(leak)}**" for leak in proofs.leaks(study))]
    parts += [escape(sentence) for sentence in answers.answer(study, certainty)]
    if study.caveats:
        parts += ["## What to keep in mind", _items(study.caveats)]
    parts += ["## AP", words.AP_NOTE, table(words.ap_table(study)), paper.NOTE, table(words.paper_table())]
    parts += [f"[{paper.SOURCE}]({paper.LINK})", "## Differences", answers.TEST_NOTE, *map(escape, certainty.untested)]
    parts += [table(answers.difference_table(study, certainty)), "### Every figure", words.DELTA_NOTE]
    parts += [table(words.delta_table(study)), *_curves(contents), *_where(contents)]
    parts += ["## Arms", table(words.arm_table(study))]
    if study.skipped:
        parts += ["## Not run", table(words.skipped_table(study))]
    parts += ["## Cells", table(words.cell_table(study))]
    if study.leakage:
        parts += ["## Leakage", table(proofs.leak_table(study))]
    parts += ["## Fairness", escape(contents.fairness.line), escape(fairness.tuning_note(study))]
    parts += [table(fairness.tuning_table(study))]
    parts += ["## What was loaded", contents.random_parts, table(proofs.certificate_table(study, evidence))]
    for title, content in (("Data", study.data), ("Settings", study.settings), ("Versions", study.versions)):
        parts += [f"## {title}", _items(f"{name}: {value}" for name, value in flatten(content))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _curves(contents: Contents) -> list[str]:
    """Label efficiency and epochs to an AP, where there are any."""
    study, parts = contents.study, []
    if charts := efficiency.efficiency_charts(study):
        parts += ["## Label efficiency", efficiency.NOTE]
        parts += [part for chart in charts for part in (escape(chart.caption), table(chart.numbers))]
        parts += [efficiency.GAIN_NOTE, table(efficiency.gain_table(study, contents.certainty))]
    if contents.looks:
        goals = table(learning.goal_table(study, contents.looks))
        parts += ["## Epochs to an AP", learning.NOTE, learning.GOAL_NOTE.format(baseline=study.baseline), goals]
    return parts


def _where(contents: Contents) -> list[str]:
    sections = where_it_is(contents)
    if not sections:
        return []
    parts = ["## Where the difference is", breakdowns.NOTE]
    for section in sections:
        parts += [f"### {section.title}", escape(section.note)]
        parts += [table(section.table)] if section.table is not None else []
    disputed = table(disagree.disputed_table(contents.study, contents.disputed))
    return [*parts, *(["### Scenes where the arms disagree most", disagree.NOTE, disputed] if disputed else [])]


def table(content: Table) -> str:
    """A pipe table, numbers to the right; nothing for a table without rows."""
    if not content.rows:
        return ""
    heads = [escape(column.full_name) for column in content.columns]
    rule = ["---:" if column.number else "---" for column in content.columns]
    return "\n".join(_line(cells) for cells in (heads, rule, *([escape(c) for c in row] for row in content.rows)))


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#&])", r"\\\1", " ".join(text.split()))


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _items(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)
