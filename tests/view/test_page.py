"""The page in a headless Chromium: what is seen, clicked, and asked for."""

from __future__ import annotations

import base64
import io
import re
import shutil

import numpy as np
import pytest

from osm.view.find import open_collection
from osm.view.server import ViewServer
from osm.view.site import Site
from tests.colours import channels, contrast, luminance
from tests.view.made import FOUND_A, SHIPS, a_search, picture, write_picture

WIDTH = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
#: Pixels of a picture on the page, as RGBA.
PICTURE = """async (image) => {
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  return [canvas.width, canvas.height, [...pen.getImageData(0, 0, canvas.width, canvas.height).data]];
}"""
COLOURS = """(names) => names.map((name) => {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
})"""
#: What a screen reader finds without a name.
UNNAMED = """() => [...document.querySelectorAll("button, input, select, canvas, [role]")].filter((one) =>
  one.checkVisibility() && !one.textContent.trim() && !one.getAttribute("aria-label")
  && !one.labels?.[0]?.textContent.trim() && !["status", "alert"].includes(one.getAttribute("role")))
  .map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium of this machine; the tests are skipped where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        # a container's root has no user namespace for the sandbox
        running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def server(comparison):
    with ViewServer(Site(open_collection(comparison))) as running:
        yield running


class Opened:
    """A page, what it complained about, and what it asked for."""

    def __init__(self, browser, server, width=1200, scene=0, **options):
        self.page = browser.new_page(viewport={"width": width, "height": 850}, **options)
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{server.url}#{scene}")
        self.settled(scene)

    def settled(self, scene):
        self.page.wait_for_selector(f'#canvas[data-settled="{scene}"]')

    def text(self, name):
        return " ".join(self.page.locator(f"#{name}").inner_text().split())

    def slide(self, letter, score):
        self.page.locator(f"#score-{letter}").fill(str(score))

    def canvas(self):
        """What is painted, as RGBA, once it has been."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        url = self.page.evaluate("() => document.getElementById('canvas').toDataURL()")
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")).astype(int)

    def click_scene(self, x, y, size=(400, 300)):
        """Click a point of the scene while the whole of it is shown."""
        box = self.page.locator("#canvas").bounding_box()
        scale = min(box["width"] / size[0], box["height"] / size[1])
        at = {"x": box["width"] / 2 + (x - size[0] / 2) * scale, "y": box["height"] / 2 + (y - size[1] / 2) * scale}
        self.page.locator("#canvas").click(position=at)

    def close(self):
        assert self.complaints == []
        self.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_is_quiet_whole_and_no_wider_than_the_screen(browser, server, width, scheme):
    opened = Opened(browser, server, width, color_scheme=scheme)
    opened.page.locator("#box-next").click()
    opened.page.wait_for_selector("#chip:visible")
    assert opened.page.evaluate(WIDTH) == [width, width]
    # nothing is asked of anybody else
    assert {url.startswith((server.url, "data:", "blob:")) for url in opened.requests} == {True}
    assert opened.page.evaluate(UNNAMED) == []
    ink, soft, paper, alarm = opened.page.evaluate(COLOURS, ["--ink", "--soft", "--page", "--alarm"])
    assert contrast(ink, paper) > 7  # WCAG AAA
    assert contrast(soft, paper) > 4.5
    assert contrast(ink, alarm) > 7
    truth, first, second, backdrop = opened.page.evaluate(COLOURS, ["--truth", "--a", "--b", "--backdrop"])
    assert min(contrast(one, backdrop) for one in (truth, first, second)) > 4.5
    assert luminance(paper) > 0.9 if scheme == "light" else luminance(paper) < 0.1
    assert opened.page.title() == "A <b>title</b> – osm view"
    assert opened.text("kind") == "comparison · 3 scenes · 4 runs"
    opened.close()


def test_a_slider_changes_the_counts(browser, server):
    opened = Opened(browser, server)
    assert opened.text("counts-truth").startswith("3 ships")
    assert opened.text("counts-a") == "2 hits, 1 false alarm, 1 missed"
    assert opened.text("counts-b") == "2 hits, 1 false alarm, 1 missed"
    opened.slide("a", 0.5)
    assert opened.text("counts-a") == "2 hits, 0 false alarms, 1 missed"
    opened.slide("a", 0.9)
    assert opened.text("counts-a") == "1 hit, 0 false alarms, 2 missed"
    opened.slide("b", 1)
    assert opened.text("counts-b") == "0 hits, 0 false alarms, 3 missed"
    assert opened.text("value-b") == "1.00"
    # the list follows when the slider is let go
    opened.page.wait_for_function("() => document.querySelector('#scenes small').textContent.includes('B\\u00a00')")
    opened.close()


def test_an_answer_that_comes_late_replaces_no_newer_one(browser, server):
    opened = Opened(browser, server)
    held = []
    opened.page.route("**/scenes?*", lambda route: route.continue_() if held else held.append(route))
    opened.slide("a", 0.5)
    opened.slide("b", 1)
    newest = "() => document.querySelector('#scenes small').textContent.includes('B\\u00a00')"
    opened.page.wait_for_function(newest)
    with opened.page.expect_response("**/scenes?*") as late:
        held[0].continue_()
    late.value.finished()
    opened.canvas()  # two frames later
    assert opened.page.evaluate(newest)
    opened.close()


def test_layers_are_switched_on_and_off(browser, server):
    opened = Opened(browser, server)
    names = ["--truth", "--a", "--b"]
    colours = [channels(one) for one in opened.page.evaluate(COLOURS, names)]

    def painted():
        pixels = opened.canvas()
        return [int((np.abs(pixels - np.round(np.array(one) * 255)).max(axis=2) <= 40).sum()) for one in colours]

    before = painted()
    assert min(before) > 20
    for place, letter in enumerate(("truth", "a", "b")):
        opened.page.locator(f"#show-{letter}").press("Space")
        after = painted()
        assert after[place] < before[place] / 4
        opened.page.locator(f"#show-{letter}").press("Space")
        assert painted() == before
    opened.close()


def test_a_click_on_a_box_shows_it_at_full_resolution(browser, server):
    opened = Opened(browser, server)
    # the only box here is the ship that A misses; B's is larger by a pixel, and not sure enough
    opened.slide("b", 0.5)
    opened.click_scene(230, 160)
    opened.page.wait_for_selector("#chip:visible")
    facts = opened.text("chip-facts")
    assert "Of truth Ship missed" in facts
    assert "Size 60.0 × 20.0 px" in facts
    assert "150 × 50 m" in facts
    source = opened.page.locator("#chip-image").get_attribute("src")
    x1, y1, x2, y2 = (int(part) for part in re.fullmatch(r"chip/0/(\d+)/(\d+)/(\d+)/(\d+)", source).groups())
    width, height, values = opened.page.locator("#chip-image").evaluate(PICTURE)
    shown = np.array(values).reshape(height, width, 4)
    expected = picture(seed=0)[y1:y2, x1:x2]
    assert (width, height) == (x2 - x1, y2 - y1)
    np.testing.assert_array_equal(shown[:, :, :3], np.repeat(expected[:, :, None], 3, axis=2))
    assert x1 <= SHIPS[2][0]
    assert x2 >= SHIPS[2][2]
    # where several lie, the smallest first, and with every click the next
    for expected in (
        "Of truth Ship hit by A and B", "Of B: osm (partial) Score 0.800 Verdict hit",
        "Of A: scratch Score 0.600 Verdict hit", "Of truth Ship hit by A and B",
    ):  # fmt: skip
        opened.click_scene(126, 80)
        assert expected in opened.text("chip-facts")
    # beside all boxes: none
    opened.click_scene(20, 280)
    assert not opened.page.locator("#chip").is_visible()
    opened.close()


def test_what_is_painted_is_the_scene(browser, server):
    opened = Opened(browser, server, scene=2)
    for letter in ("truth", "a", "b"):
        opened.page.locator(f"#show-{letter}").press("Space")
    opened.page.locator("#full").click()
    opened.settled(2)
    pixels = opened.canvas()
    height, width = pixels.shape[:2]
    scene = picture(seed=1)
    # one pixel of the scene is one of the canvas, its centre in the centre
    left, top = width / 2 - 200, height / 2 - 150
    assert left > 0
    x, y = round(left), round(top)
    inner, around = pixels[y + 4 : y + 296, x + 4 : x + 396, 0], (-1, 0, 1)
    parts = [scene[4 + dy : 296 + dy, 4 + dx : 396 + dx] for dx in around for dy in around]
    assert min(np.abs(inner - part).mean() for part in parts) < 1
    opened.close()


def test_by_keys_alone(browser, server):
    opened = Opened(browser, server)
    page = opened.page
    page.locator("#canvas").focus()
    before = opened.canvas()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    assert np.abs(opened.canvas() - before).mean() > 1
    page.keyboard.press("0")
    opened.settled(0)
    np.testing.assert_array_equal(opened.canvas(), before)
    page.keyboard.press("n")
    page.wait_for_selector("#chip:visible")
    assert "Of B: osm (partial)" in opened.text("chip-facts") or "Of A: scratch" in opened.text("chip-facts")
    page.keyboard.press("]")
    page.wait_for_selector("#trouble:visible")
    assert opened.text("name") == "gone"
    page.keyboard.press("]")
    opened.settled(2)
    assert opened.text("name") == "two"
    assert not page.locator("#trouble").is_visible()
    page.keyboard.press("[")
    page.wait_for_selector("#trouble:visible")
    assert "gone.png: found no such file" in opened.text("trouble")
    # its boxes are there all the same
    assert opened.text("counts-a") == "2 hits, 1 false alarm, 1 missed"
    opened.close()


def test_the_next_disagreement(browser, server):
    opened = Opened(browser, server)
    said = []
    for _ in range(3):
        before = opened.text("said")
        opened.page.locator("#disagree").click()
        opened.page.wait_for_function("before => document.getElementById('said').innerText !== before", arg=before)
        opened.page.wait_for_function("() => document.getElementById('said').innerText !== ''")
        said.append((opened.text("name"), opened.text("said")))
        assert opened.page.locator("#chip").is_visible()
    assert said == [
        ("one", "1 of 2 in this scene: hit by A only"),
        ("one", "2 of 2 in this scene: hit by B only"),
        ("gone", "1 of 2 in this scene: hit by A only"),
    ]
    opened.page.locator("#arm-b").select_option("scratch")
    opened.page.locator("#disagree").click()
    opened.page.wait_for_function("() => document.getElementById('said').innerText.startsWith('They differ nowhere')")
    opened.close()


def test_arms_seeds_and_scenes_are_chosen(browser, server):
    opened = Opened(browser, server)
    page = opened.page
    assert page.locator("#detector").is_hidden()
    assert page.locator("#seed option").all_inner_texts() == ["2", "10"]
    assert page.locator("#arm-b option").all_inner_texts() == ["none", "scratch", "osm (partial)"]
    page.locator("#arm-b").select_option("")
    assert page.locator("#layer-b").is_hidden()
    page.locator("#filter").fill("TW")
    assert page.locator("#scenes button").count() == 1
    page.locator("#scenes button").click()
    opened.settled(2)
    assert page.locator('#scenes button[aria-current="true"]').inner_text().startswith("two")
    page.locator("#filter").fill("nothing")
    assert opened.text("more") == "no scene of this name"
    opened.close()


def test_fingers_move_and_zoom(browser, server):
    opened = Opened(browser, server, 390, has_touch=True, is_mobile=True)
    before = opened.canvas()
    box = opened.page.locator("#canvas").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    devtools = opened.page.context.new_cdp_session(opened.page)

    def touch(kind, *points):
        places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", (middle[0] - 20, middle[1]), (middle[0] + 20, middle[1]))
    for step in range(1, 8):
        touch("touchMove", (middle[0] - 20 - 10 * step, middle[1]), (middle[0] + 20 + 10 * step, middle[1]))
    touch("touchEnd")
    opened.settled(0)
    zoomed = opened.canvas()
    assert np.abs(zoomed - before).mean() > 1
    # the page itself did not zoom, and a pinch is no click
    assert opened.page.evaluate("visualViewport.scale") == 1
    assert not opened.page.locator("#chip").is_visible()
    opened.page.locator("#fit").tap()
    opened.settled(0)
    box = opened.page.locator("#canvas").bounding_box()
    scale = box["width"] / 400
    opened.page.touchscreen.tap(middle[0] + (315 - 200) * scale, box["y"] + box["height"] / 2 + (30 - 150) * scale)
    opened.page.wait_for_selector("#chip:visible")
    assert "false alarm" in opened.text("chip-facts")
    opened.close()


def test_a_search_has_neither_truth_nor_choice(browser, tmp_path):
    scenes = {f"scene {number:03d}": tmp_path / "a.png" for number in range(302)}
    write_picture(tmp_path / "a.png", picture())
    with ViewServer(Site(open_collection(a_search(tmp_path / "found", scenes), images=[tmp_path]))) as server:
        opened = Opened(browser, server)
        assert opened.text("counts-a") == f"{len(FOUND_A)} of {len(FOUND_A)} boxes"
        assert opened.page.locator("#choice").is_hidden()
        assert opened.page.locator("#layer-truth").is_hidden()
        assert opened.page.locator("#disagree").is_disabled()
        assert opened.page.locator("#scenes button").count() == 300
        assert opened.text("more") == "and 2 more: type a part of the name"
        opened.page.locator("#previous").click()
        opened.settled(301)
        assert opened.text("name") == "scene 301"
        opened.close()
        # the list scrolls to the scene that is shown, the page does not
        opened = Opened(browser, server, 390, scene=150)
        assert opened.page.evaluate("[scrollY, document.getElementById('scenes').scrollTop > 0]") == [0, True]
        opened.close()
