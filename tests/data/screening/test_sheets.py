from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from osm.data.screening.sheets import PER_PAGE, THUMB_PX, Cell, spread_over, thumbnail, write_sheets


def test_a_thumbnail_shows_sar_left_and_optical_right() -> None:
    import io

    thumb = thumbnail(np.full((256, 256), 200, np.uint8), np.full((256, 256, 3), (250, 0, 0), np.uint8))
    pixels = np.asarray(Image.open(io.BytesIO(thumb)))
    assert pixels.shape == (THUMB_PX, 2 * THUMB_PX, 3)
    assert np.abs(pixels[50, 20].astype(int) - 200).max() < 5
    assert np.abs(pixels[50, -20].astype(int) - [250, 0, 0]).max() < 12


def test_sheets_have_pages_and_no_more_than_asked_for(tmp_path: Path) -> None:
    thumb = thumbnail(np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.uint8))
    shown: list[int] = []

    def cell(index: int) -> Cell:
        shown.append(index)
        return Cell(thumb, f"scene_r{index}", "a reason that is longer than the room there is for it, by far")

    paths = write_sheets(tmp_path, "dropped-seam line", 2 * PER_PAGE + 1, cell, pages=5, kept=False)
    assert [path.name for path in paths] == [f"dropped-seam-line-0{number}.png" for number in (1, 2, 3)]
    assert shown == list(range(2 * PER_PAGE + 1))
    sizes = [Image.open(path).size for path in paths]
    assert sizes[0] == sizes[1]
    assert sizes[2][1] < sizes[0][1]
    shown.clear()
    assert len(write_sheets(tmp_path, "kept", 10 * PER_PAGE, cell, pages=2, kept=True)) == 2
    assert len(shown) == 2 * PER_PAGE
    assert (shown[0], shown[-1]) == (0, 10 * PER_PAGE - 1)


def test_nothing_is_shown_on_no_page() -> None:
    assert len(spread_over(100, 0)) == 0
