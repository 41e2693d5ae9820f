"""The report of a finished pretraining: ``report.md`` with its figures, each of which is a table too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from osm.errors import DataError
from osm.files import write_text
from osm.matching.charts import accuracies, accuracy_chart, histogram, histogram_chart, save
from osm.matching.dataset import PairDataset
from osm.matching.evaluate import Evaluation
from osm.matching.examples import Example, Query, query_examples, verdict_examples
from osm.matching.reference import TABLE_II, TABLE_II_SOURCE
from osm.matching.sheets import Bytes, PairRow, QueryRow, pair_sheet, query_sheet, short
from osm.matching.workdir import WorkDir
from osm.transfer.card import Card

#: Examples of each outcome, and queries.
_EXAMPLES, _QUERIES = 4, 6


def write_report(work: WorkDir, evaluation: Evaluation, metrics: dict[str, Any], card: Card, test: PairDataset) -> None:
    """Write ``figures/*.png`` and, last, ``report.md``.

    Args:
        work: The run's folder.
        evaluation: Figures on the test part.
        metrics: The content of ``metrics.json``.
        card: That of the SAR backbone: what the run started from.
        test: The test pairs, in the order of the evaluation.

    Raises:
        DataError: A patch that is to be shown cannot be read.
    """
    evidence = evaluation.evidence
    fixed, chosen = evaluation.fixed.threshold, evaluation.chosen.threshold
    examples = verdict_examples(evidence, chosen, _EXAMPLES)
    queries = query_examples(evidence, _QUERIES)
    save(histogram_chart(evidence.match, evidence.nonmatch, fixed, chosen), work.figures / "distances.png")
    save(accuracy_chart(evidence.match, evidence.nonmatch, fixed, chosen), work.figures / "accuracy.png")
    save(pair_sheet([_pair_row(example, test) for example in examples]), work.figures / "examples.png")
    save(query_sheet([_query_row(query, test) for query in queries]), work.figures / "retrieval.png")
    parts = [
        f"# Matching: {card.architecture} branches on {metrics['data']['root']}",
        "## Beside the paper",
        *_paper(metrics, card),
        "## Retrieval",
        *_retrieval(metrics["retrieval"]),
        "## Distances",
        *_distances(evaluation),
        "## Accuracy and threshold",
        *_accuracy(evaluation),
        "## Examples of verdicts",
        *_examples(examples, chosen, test),
        "## Examples of retrieval",
        *_queries(queries, test),
    ]
    write_text(work.report, "\n\n".join(parts) + "\n")


def _paper(metrics: dict[str, Any], card: Card) -> list[str]:
    data, chosen = metrics["data"], metrics["at_chosen_threshold"]
    rows = [
        [label, f"{row['threshold']:.3f}", *(f"{row[name]:.3f}" for name in ("accuracy", "precision", "recall"))]
        for label, row in (
            (f"here, {card.architecture}, fixed threshold", metrics),
            (f"here, {card.architecture}, chosen on {chosen['chosen_on_training_pairs']:,} training pairs", chosen),
        )
    ]
    rows += [
        [f"paper, {name}", "0.380", *(f"{row[key]:.3f}" for key in ("accuracy", "precision", "recall"))]
        for name, row in TABLE_II.items()
    ]
    silent = [
        f"the precision at {row['threshold']:.3f} is 0 because no pair was taken for a match"
        for row in (metrics, chosen)
        if row["predicted_matches"] == 0
    ]
    start = card.start
    begun = (
        "Both branches started at random."
        if start["source"] is None
        else f"Both branches started from {start['source']} ({100 * start['coverage']:.0f} % of the tensors)."
    )
    kind = "**simulated** pairs: the figures say nothing of real ones" if data["simulated"] else "pairs as given"
    caption = (
        f"Test part: {metrics['test_matches']:,} matches and as many non-matches, split {data['split']}, of "
        f"{data['pairs']:,} {kind}. AUC {metrics['auc']:.3f}. Paper: {TABLE_II_SOURCE}. {begun}"
        f"{' Note: ' + '; '.join(silent) + '.' if silent else ''}"
    )
    departed = [[entry["setting"], _said(entry["reference"]), _said(entry["here"])] for entry in metrics["departures"]]
    parts = [caption, _table(["", "threshold", "accuracy", "precision", "recall"], rows)]
    if not departed:
        return [*parts, "No setting departs from the reference."]
    return [
        *parts,
        f"{len(departed)} settings depart from the reference:",
        _table(["setting", "reference", "here"], departed),
    ]


def _retrieval(found: dict[str, Any]) -> list[str]:
    names = {"sar_to_optical": "SAR → optical", "optical_to_sar": "optical → SAR", "chance": "chance"}
    rows = [
        [
            label,
            *(f"{100 * found[name][f'recall_at_{count}']:.2f} %" for count in (1, 5, 10)),
            f"{found[name]['median_rank']:g}",
        ]
        for name, label in names.items()
    ]
    caption = (
        f"The partner of each test patch, sought among all {found['chance']['candidates']:,} of the test part. "
        "Where others are exactly as near, the recall is that expected when ties are broken at random."
    )
    return [caption, _table(["query → sought", "recall@1", "recall@5", "recall@10", "median rank"], rows)]


def _distances(evaluation: Evaluation) -> list[str]:
    edges, near, far = histogram(evaluation.evidence.match, evaluation.evidence.nonmatch)
    rows = [
        [f"{low:.2f} to {high:.2f}", f"{matches:,}", f"{others:,}"]
        for low, high, matches, others in zip(edges[:-1], edges[1:], near, far, strict=True)
        if matches or others
    ]
    caption = (
        f"Mean distance of matches {evaluation.mean_match:.3f}, of non-matches {evaluation.mean_nonmatch:.3f}. "
        f"Thresholds: fixed {evaluation.fixed.threshold:.3f}, chosen on training pairs "
        f"{evaluation.chosen.threshold:.3f}. Steps without a pair are left out."
    )
    return [
        "![Histogram of the distances of matches and non-matches, as in the table below](figures/distances.png)",
        caption,
        _table(["distance", "matches", "non-matches"], rows),
    ]


def _accuracy(evaluation: Evaluation) -> list[str]:
    marked = {evaluation.fixed.threshold: "fixed", evaluation.chosen.threshold: "chosen on training pairs"}
    thresholds = np.array(sorted({*np.linspace(0, 1, 21).round(2).tolist(), *marked}))
    values = accuracies(evaluation.evidence.match, evaluation.evidence.nonmatch, thresholds)
    rows = [
        [f"{threshold:.3f}", f"{value:.3f}", marked.get(float(threshold), "")]
        for threshold, value in zip(thresholds, values, strict=True)
    ]
    return [
        "![Accuracy over the threshold, as in the table below](figures/accuracy.png)",
        "The fixed threshold is the network's own; the chosen one is that of highest accuracy on training pairs, "
        "so that no test pair had a say in it.",
        _table(["threshold", "accuracy", ""], rows),
    ]


def _examples(examples: Sequence[Example], threshold: float, test: PairDataset) -> list[str]:
    rows = [
        [_code(_name(test, one.sar)), _code(_name(test, one.optical)), f"{one.distance:.3f}", one.kind.name,
         f"{one.of_kind:,}"]
        for one in examples
    ]  # fmt: skip
    return [
        "![SAR and optical patches with distance and verdict, as in the table below](figures/examples.png)",
        f"Verdicts at the chosen threshold, {threshold:.3f}. Of each outcome at most {_EXAMPLES}, evenly spread from "
        "the nearest to the farthest: neither the best nor the worst alone.",
        _table(["SAR patch", "optical patch", "distance", "outcome", "pairs of this outcome"], rows),
    ]


def _queries(queries: Sequence[Query], test: PairDataset) -> list[str]:
    rows = [
        [
            _code(_name(test, query.sar)),
            f"{query.rank:g}",
            ", ".join(
                f"**{_name(test, row)}** {far:.3f}" if row == query.sar else f"{_name(test, row)} {far:.3f}"
                for row, far in zip(query.found, query.distances, strict=True)
            ),
        ]
        for query in queries
    ]
    return [
        "![SAR queries and the optical patches nearest to each, the partner framed](figures/retrieval.png)",
        f"SAR patches and the optical patches nearest to them; the partner is framed, and bold in the table. At most "
        f"{_QUERIES} queries, evenly spread from the best to the worst rank.",
        _table(["SAR patch", "rank of its partner", "nearest optical patches, with their distances"], rows),
    ]


def _pair_row(example: Example, test: PairDataset) -> PairRow:
    kind = example.kind
    return PairRow(
        _patches(test, example.sar)[0],
        _patches(test, example.optical)[1],
        kind.name.replace(", ", ",\n"),
        (
            f"distance {example.distance:.3f}",
            f"SAR {short(_name(test, example.sar), 20)}",
            f"opt {short(_name(test, example.optical), 20)}",
        ),
        kind.right,
    )


def _query_row(query: Query, test: PairDataset) -> QueryRow:
    return QueryRow(
        query=_patches(test, query.sar)[0],
        label=f"SAR {short(_name(test, query.sar), 14)}\npartner: rank {query.rank:g}",
        found=tuple(_patches(test, row)[1] for row in query.found),
        labels=tuple(
            f"{short(_name(test, row), 18)}\n{far:.3f}" for row, far in zip(query.found, query.distances, strict=True)
        ),
        true=query.found.index(query.sar) if query.sar in query.found else None,
    )


def _patches(test: PairDataset, number: int) -> tuple[Bytes, Bytes]:
    sample = test[number]
    if "unreadable" in sample:
        raise DataError(**sample["unreadable"])
    return sample["sar"], sample["optical"]


def _name(test: PairDataset, number: int) -> str:
    return test.folder.names[int(test.indices[number])]


def _said(value: Any) -> str:
    """A setting as a person writes it."""
    if isinstance(value, dict):
        rest = ", ".join(f"{name}={_said(entry)}" for name, entry in value.items() if name != "type")
        return f"{value['type']}({rest})" if "type" in value else f"{{{rest}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_said, value))}]"
    return str(value)


def _code(text: str) -> str:
    return f"`{text}`"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; its first column is words, the others are numbers or words."""
    lines = [list(heads), ["---"] * len(heads), *[[cell.replace("|", "\\|") for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
