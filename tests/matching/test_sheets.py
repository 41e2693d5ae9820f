from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from osm.matching.charts import save
from osm.matching.sheets import PairRow, QueryRow, pair_sheet, query_sheet, short

SAR = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
OPTICAL = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_pair_is_two_pictures_and_its_words(count, tmp_path):
    rows = [PairRow(SAR, OPTICAL, f"match {number}", ("distance 0.1", "a$b$.png"), True) for number in range(count)]
    figure = pair_sheet(rows)
    assert sum(len(axes.images) for axes in figure.axes) == 2 * count
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert [word for word in words if word.startswith("match")] == [row.title for row in rows]
    save(figure, tmp_path / "sheet.png", dpi=40)
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width > image.height or count > 2


def test_the_partner_alone_is_framed(tmp_path):
    rows = [
        QueryRow(SAR, "SAR 1", (OPTICAL,) * 3, ("a", "b", "c"), 1),
        QueryRow(SAR, "SAR 2", (OPTICAL,) * 3, ("a", "b", "c"), None),
    ]
    figure = query_sheet(rows)
    save(figure, tmp_path / "sheet.png", dpi=40)
    framed = [axes.get_xlabel() for axes in figure.axes if axes.spines["left"].get_visible()]
    assert framed == ["b"]
    assert len(figure.axes) == 8


def test_a_long_name_keeps_its_end():
    assert short("scene.png") == "scene.png"
    assert short("a_very_long_name_of_a_scene_0017.png", 12) == "…ne_0017.png"
