from __future__ import annotations

import numpy as np
import pytest

from osm.matching.charts import accuracies, accuracy_chart, histogram, histogram_chart, save
from osm.matching.metrics import verdicts

DRAW = np.random.default_rng(0)
MATCH, NONMATCH = DRAW.beta(2, 5, 60), DRAW.beta(5, 3, 50)


def test_every_pair_is_in_one_step_of_the_histogram():
    edges, near, far = histogram(np.array([0.0, 0.049, 0.05, 1.0, 1.0 + 1e-9]), NONMATCH)
    assert near.tolist() == [2, 1, *[0] * 17, 2]
    assert far.sum() == 50
    assert (edges[0], edges[-1], len(edges)) == (0.0, 1.0, 21)


@pytest.mark.parametrize("threshold", [0.0, 0.38, float(MATCH[7]), 1.0])
def test_the_curve_goes_through_the_verdicts(threshold):
    assert accuracies(MATCH, NONMATCH, np.array([threshold]))[0] == pytest.approx(
        verdicts(MATCH, NONMATCH, threshold).accuracy
    )


@pytest.mark.parametrize("chart", [histogram_chart, accuracy_chart])
def test_both_thresholds_are_named_and_the_same_figure_is_the_same_file(chart, tmp_path):
    for name in ("a", "b"):
        figure = chart(MATCH, NONMATCH, 0.38, 0.456)
        save(figure, tmp_path / f"{name}.png", dpi=50)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    words = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert words[-2:] == ["threshold 0.380, fixed", "threshold 0.456, chosen"]


def test_matches_that_all_lie_in_one_place_still_make_a_chart(tmp_path):
    same = np.full(3, 0.5)
    for chart in (histogram_chart, accuracy_chart):
        save(chart(same, same, 0.5, 0.5), tmp_path / "flat.png", dpi=50)
