from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osm.matching.charts import save
from osm.matching.inspection.drawing import embedding_chart, filter_sheet, heat_table, map_sheet
from osm.matching.inspection.embeddings import Chosen, Embedded
from osm.matching.inspection.filters import Filters
from osm.matching.inspection.maps import activation
from osm.matching.retrieval import chance
from osm.transfer.card import Card, InputContract

DRAW = np.random.default_rng(0)


def embedded(scenes, points=None):
    count = len(scenes)
    return Embedded(
        Path("n.safetensors"), "", Card("resnet18", InputContract.of("resnet18")), tuple(map(str, range(count))),
        Chosen(np.arange(count), scenes, count, False), chance(count), chance(count), points, 5.0, 0, None,
    )  # fmt: skip


def test_every_value_is_written_and_what_cannot_be_said_is_a_dash():
    figure = heat_table(["A – B"], ["conv1", "conv_res_block1", "layer1"], [[0.123, None, 0.987]])
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.12", "–", "0.99"]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["conv1", "block1", "layer1"]


def test_dead_filters_are_struck_out_in_both_sheets():
    weights = DRAW.standard_normal((7, 3, 3, 3))
    weights[4] = 0
    for axes in filter_sheet(Filters(weights, None, (1.0, 1.0, 1.0))).axes:
        assert len(axes.lines) == 1
        # the fifth of rows of three: second line, second column; cells of 3 px with a line of 1 px between
        assert axes.lines[0].get_xydata().tolist() == [[4.5, 4.5], [7.5, 7.5]]


@pytest.mark.parametrize("values", [np.zeros((4, 4, 4)), DRAW.standard_normal((4, 4, 4))])
def test_a_map_has_its_limit_in_its_title_and_a_silent_stage_is_drawn_too(values, tmp_path):
    found = activation("layer1", values.astype(np.float32))
    figure = map_sheet(np.zeros((16, 16), np.uint8), [found])
    titles = [axes.get_title() for axes in figure.axes]
    assert "the tile" in titles
    assert sum(title.startswith("#") for title in titles) == 3
    save(figure, tmp_path / "a.png", dpi=40)


def test_points_are_coloured_by_scene_and_a_dollar_in_a_name_is_no_formula(tmp_path):
    points = DRAW.standard_normal((2, 4, 2))
    figure = embedding_chart(embedded(("a", "a", "$b$", "c"), points))
    lines = [line.get_color() for line in figure.axes[0].lines]
    assert lines[0] == lines[1]
    assert len(set(lines)) == 3
    np.testing.assert_allclose(figure.axes[0].lines[2].get_xydata(), points[:, 2])
    save(figure, tmp_path / "a.png", dpi=40)
    with pytest.raises(ValueError, match="no points"):
        embedding_chart(embedded(("a",) * 4))
