"""The site: built strictly, and whole without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("mkdocs", "material", "mkdocstrings_handlers")),
        reason="mkdocs-material or mkdocstrings[python] is not installed: pip install 'osm-ssd[docs]'",
    ),
]
#: Elements that a browser fetches by itself, and the attribute that says from where.
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}


@pytest.fixture(scope="module")
def site(repo_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


class Fetches(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        target = values.get(FETCHED.get(tag, ""), "") or ""
        if re.match(r"(https?:)?//", target) and values.get("rel") != "canonical":
            self.found.append(f"{tag} {target}")


def test_no_page_fetches_anything_from_a_network(site):
    found = []
    for page in sorted(site.rglob("*.html")):
        reader = Fetches()
        reader.feed(page.read_text(encoding="utf-8"))
        found += [f"{page.relative_to(site)}: {entry}" for entry in reader.found]
    assert found == []


def test_no_stylesheet_fetches_anything_from_a_network(site):
    pattern = re.compile(r"(?:@import\s*|url\(\s*)[\"']?(?:https?:)?//[^\"')]+")
    found = [(path.name, hit) for path in site.rglob("*.css") for hit in pattern.findall(path.read_text("utf-8"))]
    assert found == []


def test_no_page_asks_for_a_diagram_that_a_script_would_fetch(site):
    # the theme's script loads a renderer from elsewhere where a page holds such a block
    assert [page.name for page in site.rglob("*.html") if 'class="mermaid"' in page.read_text("utf-8")] == []


def test_every_page_of_the_docs_is_there(site, repo_root):
    docs = repo_root / "docs"
    pages = {path.relative_to(docs).with_suffix(".html") for path in docs.rglob("*.md")}
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_the_reference_holds_docstrings(site):
    page = (site / "reference/matching.html").read_text("utf-8")
    assert "osm.matching.objectives.bridge.BridgeLoss" in page
    assert "Weight α of the non-matching pairs" in page


def test_every_module_is_listed_with_its_sentence(site, repo_root):
    page = (site / "reference/index.html").read_text("utf-8")
    rows = re.findall(r'title="(osm\.[\w.]+)"', page) + re.findall(r"<code>([a-z]\w*)</code>", page)
    # what the commands do stands on their page, and errors, files and configs on one of the reference
    inside = [path for path in (repo_root / "osm").rglob("*.py") if path.relative_to(repo_root).parts[1] != "cli"]
    names = {path.stem for path in inside if not path.stem.startswith("_") and path.parent != repo_root / "osm"}
    assert names - {name.rpartition(".")[2] for name in rows} == set()
