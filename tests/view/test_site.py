"""What each address answers."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osm.view.find import open_collection
from osm.view.site import Site
from tests.view.made import FOUND_A, SCORES_A, SHIPS, a_search, picture, write_picture

BOTH = {"a": "0", "b": "2", "a_score": "0.3", "b_score": "0.3"}


@pytest.fixture(scope="module")
def site(comparison):
    return Site(open_collection(comparison))


def content(answer):
    assert answer.status == 200, answer.body
    assert answer.kind == "application/json"
    return json.loads(answer.body)


def image(answer):
    from PIL import Image

    assert (answer.status, answer.kind) == (200, "image/png")
    return np.asarray(Image.open(io.BytesIO(answer.body)))


def test_the_list_of_scenes(site):
    first, gone, _ = content(site.answer("scenes", BOTH))["scenes"]
    assert first == {"name": "one", "size": [400, 300], "truth": 3, "found": [3, 3]}
    assert gone["name"] == "gone"
    (first, *_) = content(site.answer("scenes", BOTH | {"b_score": "0.5"}))["scenes"]
    assert first["found"] == [3, 2]


def test_a_scene_with_verdicts_and_metres(site):
    scene = content(site.answer("scene/0", BOTH))
    assert "error" not in scene
    assert (scene["levels"], scene["radiometry"], scene["note"]) == (2, "none", "")
    assert scene["truth"]["boxes"] == SHIPS.tolist()
    assert [arm["verdict"] for arm in scene["arms"]] == [[1, 1, 0], [1, 1, 0]]
    assert [arm["claims"] for arm in scene["arms"]] == [[0, 1, -1], [1, 2, -1]]
    assert scene["arms"][0]["scores"] == [0.9, 0.6, 0.4]
    # no place, but a size that the data set states: 32 px of 2.5 m
    assert scene["truth"]["ground"][0] == [None, None, 80.0, 35.0]
    assert content(site.answer("scene/2", BOTH))["truth"]["ground"] is None


def test_a_scene_without_its_image_still_has_its_boxes(site):
    scene = content(site.answer("scene/1", BOTH))
    assert "gone.png: found no such file" in scene["error"]
    assert "levels" not in scene
    assert len(scene["arms"][0]["boxes"]) == 3
    answer = site.answer("tile/1/0/0/0", {})
    assert answer.status == 422
    assert "gone.png" in json.loads(answer.body)["error"]


def test_tiles_and_chips_are_the_pixels_of_the_scene(site):
    pixels = picture(seed=1)
    np.testing.assert_array_equal(image(site.answer("tile/2/0/0/0", {})), pixels[:256, :256])
    np.testing.assert_array_equal(image(site.answer("tile/2/0/1/1", {})), pixels[256:, 256:])
    assert image(site.answer("tile/2/1/0/0", {})).shape == (150, 200)
    np.testing.assert_array_equal(image(site.answer("chip/2/15/25/70/99", {})), pixels[25:99, 15:70])


def test_the_next_disagreement_goes_around(site):
    answer = content(site.answer("disagreements/2", BOTH))
    assert [place["words"] for place in answer["places"]] == ["hit by A only", "hit by B only"]
    assert answer["places"][0]["box"] == SHIPS[0].tolist()
    assert answer["next_scene"] == 0
    nowhere = content(site.answer("disagreements/0", {"a": "0", "b": "1"}))
    assert nowhere == {"places": [], "next_scene": None}
    # B alone is called B
    alone = content(site.answer("disagreements/0", {"b": "2"}))
    assert {place["words"] for place in alone["places"]} == {"missed by B", "false alarm of B"}


def test_unsearched_scenes_and_no_truth(tmp_path):
    path = write_picture(tmp_path / "one.png", picture())
    first = a_search(tmp_path / "a", {"one": path})
    second = a_search(tmp_path / "b", {"two": path}, FOUND_A, SCORES_A)
    site = Site(open_collection(first, second=second))
    both = {"a": "0", "b": "1"}
    assert [scene["found"] for scene in content(site.answer("scenes", both))["scenes"]] == [[3, None], [None, 3]]
    scene = content(site.answer("scene/1", both))
    assert scene["arms"][0] is None
    assert "verdict" not in scene["arms"][1]
    assert "truth" not in scene
    assert content(site.answer("disagreements/0", both)) == {"places": [], "next_scene": None}


def test_only_what_is_known_is_answered(site):
    paths = [
        "scene/3", "scene/-1", "scene/01x", "scene/", "scene/1/", "scene/²", "scene/9999999999", "tile/3/0/0/0",
        "tile/0/2/0/0", "scene/\u0661",
        "tile/0/0/2/0", "tile/0/0/0/2", "tile/0/0/0", "tile/0/0/0/0.png", "chip/0/0/0/401/10", "chip/0/5/5/5/9",
        "chip/0/9/5/5/9", "chip/9/0/0/5/5", "disagreements/3", "page", "page/index.html", "index.html", "../page.js",
        "/etc/passwd", "%2e%2e/page.js", "..%2f..%2fetc%2fpasswd", "scenes/../page.js", "site.py", "\0", "collection\n",
    ]  # fmt: skip
    for path in paths:
        answer = site.answer(path, BOTH)
        assert answer.status == 404, path
        assert b"/" not in answer.body


@pytest.mark.parametrize(
    "query",
    [
        {"a": "4"},
        {"a": "-1"},
        {"a": "x"},
        {"a": ""},
        {"a": "²"},
        {"a": "0", "a_score": "nan"},
        {"a": "0", "a_score": "1e9"},
    ],
)
def test_parameters_that_the_page_never_sends(site, query):
    for path in ("scenes", "scene/0", "disagreements/0"):
        assert site.answer(path, query).status == 400


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30), st.lists(st.integers(0, 10**9), min_size=5, max_size=5))
def test_no_address_is_a_defect(site, text, numbers):
    for path in (
        text,
        f"scene/{text}",
        "/".join(map(str, ["tile", *numbers[:4]])),
        "/".join(map(str, ["chip", *numbers])),
    ):
        assert site.answer(path, {}).status in (200, 404, 422)


def test_names_cannot_break_out_of_the_page(site):
    # the title holds markup: it goes out as JSON, never within the page
    page = site.answer("", {})
    assert page.kind == "text/html; charset=utf-8"
    assert b"title</b>" not in page.body
    assert content(site.answer("collection", {}))["title"] == "A <b>title</b>"
    for script in ("page.js", "scene.js"):
        assert b"innerHTML" not in site.answer(script, {}).body
