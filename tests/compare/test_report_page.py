"""The page as a browser shows it: wide and narrow, light and dark, with a pointer, in print, and without scripts."""

from __future__ import annotations

import shutil

import pytest

from osm.compare.report import write_report
from osm.compare.report.figures import LIGHT
from tests.colours import contrast, luminance
from tests.compare.studies import a_study

#: Widths in CSS pixels: a desk and a phone.
WIDTHS = (1280, 390)

DRAW = "index => document.querySelectorAll('.plot')[index].parentElement.scrollIntoView()"
DRAWN = "document.querySelectorAll('.drawn').length === document.querySelectorAll('.plot').length"
WIDTH = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
COLOURS = """() => {
  const probe = document.body.appendChild(document.createElement("i"));
  const count = [...document.styleSheets[0].cssRules[0].style].filter(name => name.startsWith("--arm-")).length;
  return [...Array(count).keys()].map(index => {
    probe.style.color = `var(--arm-${index})`;
    return getComputedStyle(probe).color;
  });
}"""
PICTURES = """() => Promise.all([...document.querySelectorAll("image, img")].map(one => {
  const picture = new Image();
  picture.src = one.getAttribute("href") ?? one.src;
  return picture.decode().then(() => picture.naturalWidth);
}))"""


@pytest.fixture(scope="module")
def page_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s")
    study = a_study(folder / "s", detectors=("faster-rcnn_r18",), seeds=(0, 1), counts=(5, 3, 2))
    return write_report(study, folder / "report")


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


def opened(browser, path, width=1280, **options):
    """A page, and what it complained about or asked for."""
    page = browser.new_page(viewport={"width": width, "height": 900}, **options)
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    return page, complaints, [url for url in requests if not url.startswith("data:")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_quiet_whole_and_no_wider_than_the_screen(browser, page_path, width, scheme):
    page, complaints, requests = opened(browser, page_path, width, color_scheme=scheme)
    for index in range(page.locator(".plot").count()):
        page.evaluate(DRAW, index)
    page.wait_for_function(DRAWN, timeout=60_000)
    for one in page.locator("details").all():
        one.evaluate("one => { one.open = true }")
    assert complaints == []
    assert requests == [page_path.as_uri()]
    whole, shown = page.evaluate(WIDTH)
    assert (whole, shown) == (width, width)
    sizes = page.evaluate(PICTURES)
    assert len(sizes) == page.locator("image").count() > 0
    assert all(size > 0 for size in sizes)
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert contrast(ink, paper) > 7  # WCAG AAA
    notes = page.evaluate("[...document.querySelectorAll('.soft')].map(one => getComputedStyle(one).color)")
    assert min(contrast(note, paper) for note in notes) > 4.5
    lines = page.evaluate(COLOURS)
    assert len(lines) == len(LIGHT)
    assert min(contrast(line, paper) for line in lines) > 3
    assert luminance(paper) > 0.9 if scheme == "light" else luminance(paper) < 0.1
    # the drawn figure gives way to the one that answers
    assert (
        page.locator(".still:visible").count() == page.locator("figure .still").count() - page.locator(".plot").count()
    )
    assert page.locator(".plot:visible .main-svg").count() > 0
    page.close()


def test_curves_take_the_colours_of_a_scheme_that_changes(browser, page_path):
    page, complaints, _ = opened(browser, page_path, color_scheme="light")
    page.evaluate(DRAW, 0)
    stroke = "() => document.querySelector('.plot .lines path.js-line')?.style.stroke"
    page.wait_for_function("() => document.querySelector('.drawn .plot .lines path.js-line')", timeout=60_000)
    light = page.evaluate(stroke)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"before => ({stroke})() !== before", arg=light, timeout=60_000)
    assert complaints == []
    page.close()


def test_a_table_is_sorted_by_a_click_within_each_detector(browser, page_path):
    page, _, _ = opened(browser, page_path)
    table = page.locator("table").first
    column = [head.inner_text() for head in table.locator("thead tr").last.locator("th").all()].index("AP50")

    def values():
        rows = table.locator("tbody tr:not(:has(th.block))").all()
        return [float(row.locator("td").nth(column).inner_text().split()[0]) for row in rows]

    before = sorted(values())
    head = table.locator("thead tr").last.locator("th").nth(column)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert values() == before[::-1]
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert values() == before
    # the name of the detector still stands above its rows
    assert table.locator("tbody tr").first.locator("th.block").count() == 1
    page.close()


def test_without_scripts_and_in_print_the_drawn_figures_stay(browser, page_path):
    page, _, _ = opened(browser, page_path, java_script_enabled=False)
    assert page.locator(".still:visible").count() == page.locator(".still").count() > 0
    assert page.locator(".plot:visible").count() == 0
    page.close()
    page, _, _ = opened(browser, page_path)
    page.evaluate(DRAW, 0)
    page.wait_for_function("document.querySelectorAll('.drawn').length > 0", timeout=60_000)
    page.emulate_media(media="print")
    assert page.locator(".plot:visible").count() == 0
    assert page.locator("figure > .still:visible").count() == page.locator("figure > .still").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.printed:not([open])").count() == 0
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 less a centimetre on each side
    whole, shown = page.evaluate(WIDTH)
    assert whole == shown
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.printed[open]").count() == 0
    page.close()
