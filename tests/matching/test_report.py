"""The report of the finished run: figures that open, and the same numbers as in metrics.json."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from osm.files import read_json

FIGURES = ("distances", "accuracy", "examples", "retrieval")


@pytest.fixture(scope="module")
def text(finished):
    return (finished.work_dir / "report.md").read_text(encoding="utf-8")


def test_it_stands_beside_the_paper_and_says_what_it_is_not(text, finished):
    metrics = read_json(finished.work_dir / "metrics.json")
    assert "| paper, resnet50 | 0.380 | 0.829 | 0.748 | 0.993 |" in text
    assert "| paper, darknet53 | 0.380 | 0.828 | 0.746 | 0.995 |" in text
    assert f"| {metrics['accuracy']:.3f} | {metrics['precision']:.3f} | {metrics['recall']:.3f} |" in text
    assert "**simulated** pairs" in text
    assert "Both branches started at random." in text
    assert "| train.epochs | 200 | 4 |" in text
    assert "| init coverage | 1.0 | 0.0 |" in text
    assert f"{len(metrics['departures'])} settings depart" in text


def test_every_figure_is_there_and_is_a_picture(text, finished):
    assert re.findall(r"!\[.+?\]\(figures/(\w+)\.png\)", text) == list(FIGURES)
    for name in FIGURES:
        with Image.open(finished.work_dir / "figures" / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).std() > 5


def test_every_table_has_as_many_cells_in_each_row(text):
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_the_tables_count_every_test_pair(text):
    rows = re.findall(r"^\| \d\.\d\d to \d\.\d\d \| (\d+) \| (\d+) \|$", text, flags=re.MULTILINE)
    assert np.array(rows, dtype=int).sum(axis=0).tolist() == [7, 7]


def test_retrieval_stands_beside_chance(text, finished):
    found = read_json(finished.work_dir / "metrics.json")["retrieval"]
    assert found["chance"] == {
        "recall_at_1": 1 / 7, "recall_at_5": 5 / 7, "recall_at_10": 1.0, "median_rank": 4.0, "candidates": 7
    }  # fmt: skip
    assert "| chance | 14.29 % | 71.43 % | 100.00 % | 4 |" in text
    assert f"| {100 * found['sar_to_optical']['recall_at_1']:.2f} % |" in text
