"""The report as Markdown: the words and the tables."""

from __future__ import annotations

import re
from collections.abc import Iterable

from osm.compare.report import answers, paper, words
from osm.compare.report.certainty import Certainty
from osm.compare.report.evidence import Evidence, Key, random_parts_agree
from osm.compare.report.settings import flatten
from osm.compare.report.words import Table
from osm.compare.study import Study


def render(study: Study, evidence: dict[Key, Evidence], certainty: Certainty) -> str:
    """The whole document."""
    parts = [f"# {escape(study.title)}", *(escape(sentence) for sentence in answers.answer(study, certainty))]
    if study.caveats:
        parts += ["## What to keep in mind", _items(study.caveats)]
    parts += ["## AP", words.AP_NOTE, table(words.ap_table(study)), paper.NOTE, table(words.paper_table())]
    parts += [f"[{paper.SOURCE}]({paper.LINK})", "## Differences", answers.TEST_NOTE, *map(escape, certainty.untested)]
    parts += [table(answers.difference_table(study, certainty)), "### Every figure", words.DELTA_NOTE]
    parts += [table(words.delta_table(study)), "## Arms", table(words.arm_table(study))]
    if study.skipped:
        parts += ["## Not run", table(words.skipped_table(study))]
    parts += ["## Cells", table(words.cell_table(study)), "## What was loaded"]
    agree = random_parts_agree(study, evidence)
    parts += [words.RANDOM_PARTS[agree]] if agree is not None else []
    parts.append(table(words.certificate_table(study, evidence)))
    for title, content in (("Data", study.data), ("Settings", study.settings), ("Versions", study.versions)):
        parts += [f"## {title}", _items(f"{name}: {value}" for name, value in flatten(content))]
    return "\n\n".join(part for part in parts if part) + "\n"


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
