"""The quick look shows the ships, and the page works alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osm.detection.search.overview import Overview
from osm.detection.search.pictures import write_page, write_quick_look
from osm.detection.search.ships import Ships
from tests.detection.search.scenes import paint, ships_in

BOXES = ships_in(np.random.default_rng(0), 400, 300, count=9)


def found(scene_id: str = "a") -> Ships:
    count = len(BOXES)
    lonlat = np.stack([np.linspace(10, 11, count), np.linspace(50, 51, count)], axis=1)
    sizes = np.linspace(20, 200, count)
    return Ships(
        scene_id, "a.tif", 400, 300, BOXES, np.linspace(0.9, 0.3, count).astype(np.float32), lonlat, lonlat,
        "EPSG:4326", sizes, sizes / 2, np.where(sizes > 100, np.nan, 45.0), None, "w.onnx", "ab" * 32, "none",
    )  # fmt: skip


def overview(most_px: int = 1600) -> Overview:
    drawn = Overview(400, 300, most_px)
    image = paint(BOXES, 400, 300)
    for x in (0, 150, 250):  # windows that overlap
        drawn.add(np.asarray([x, 0, x + 150 + 100 * (x == 0), 300]), image[:, x : x + 150 + 100 * (x == 0)])
    return drawn


@pytest.mark.parametrize("most_px", [1600, 399, 100, 57])
def test_an_overview_is_the_mean_of_blocks(most_px: int) -> None:
    drawn = overview(most_px)
    assert max(drawn.pixels().shape) <= most_px
    image = paint(BOXES, 400, 300).astype(float)
    factor = drawn.factor
    expected = np.asarray([[image[y : y + factor, x : x + factor].mean() for x in range(0, 400, factor)]
                           for y in range(0, 300, factor)])  # fmt: skip
    # blocks at the edge of a window count the part in the overlap twice
    assert np.abs(drawn.pixels() - expected).mean() < 1


def test_a_quick_look_shows_the_boxes(tmp_path: Path) -> None:
    write_quick_look(tmp_path / "a.png", found(), overview())
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image)
        assert image.size == (400, 300)
    yellow = (pixels == (255, 208, 0)).all(axis=2)
    for x1, y1, x2, y2 in BOXES.astype(int):
        assert yellow[max(y1 - 4, 0) : y2 + 4, max(x1 - 4, 0) : x2 + 4].sum() > 16


@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_works_alone(tmp_path: Path, width: int) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    # a name that would end the script, were it not made harmless
    write_page(tmp_path / "a.html", replace(found("</script><b>x</b>"), acquired="2020-01-02"), overview())
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        complaints: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "a.html").as_uri())
        assert page.title() == "Ships in </script><b>x</b>"
        assert page.locator("#boxes rect:visible").count() == page.locator("#rows tr:visible").count() == 9
        page.locator("#score").fill("0.6")
        assert page.locator("#boxes rect:visible").count() == page.locator("#rows tr:visible").count() == 5
        assert page.inner_text("#count") == "5 of 9 ships"
        page.locator("#rows tr").first.click()
        assert "50.00000, 10.00000 (latitude, longitude)" in page.inner_text("#more")
        assert page.locator("#boxes rect.chosen").count() == 1
        page.locator("#in").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
