"""The report: its numbers against hand-computed ones, and a page that needs nothing but itself."""

from __future__ import annotations

import dataclasses
import json
import re
import statistics

import numpy as np
import pytest

from osm.compare.report import schema, write_report
from osm.compare.report.figures import smooth
from osm.compare.report.strip import busiest_window, choose_scenes
from osm.compare.report.tables import baselines, deltas, summaries
from osm.compare.study import ArmInfo, SkippedCell
from osm.data.boxes import intersection_matrix
from osm.detection.predictions import ScenePrediction
from osm.errors import DataError
from tests.compare.studies import ARMS, Page, a_study, bare_study, page_of, report_of


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return a_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def report(study, tmp_path_factory):
    return write_report(study, tmp_path_factory.mktemp("out") / "report").parent


# ---------------------------------------------------------------- numbers


def test_the_numbers_of_a_small_study_by_hand(tmp_path):
    cells = {("scratch", 0): 0.50, ("scratch", 1): 0.60, ("osm", 0): 0.54, ("osm", 1): 0.62, ("imagenet", 0): 0.70}
    write_report(bare_study(cells), tmp_path)
    content = report_of(tmp_path)
    cell = next(row for row in content["cells"] if (row["arm"], row["seed"]) == ("osm", 1))
    assert cell == {
        "detector": "faster-rcnn_r18", "arm": "osm", "seed": 1, "coverage": None, "seconds": 60.0,
        "ap50_tile": pytest.approx(0.72), "ap50_scene": 0.62,
        "ap50_voc07_tile": 0.62, "ap50_voc07_scene": 0.62, "ap50_coco_tile": 0.62, "ap50_coco_scene": 0.62,
        "ap_coco_tile": 0.31, "ap_coco_scene": 0.31,
        "truth_count_tile": 10, "truth_count_scene": 10, "detection_count_tile": 12, "detection_count_scene": 12,
    }  # fmt: skip
    by_key = {(d["arm"], d["baseline"], d["metric"]): d for d in content["deltas"]}
    delta = by_key["osm", "scratch", "ap50_scene"]
    assert delta["mean"] == pytest.approx(0.03)
    assert delta["sd"] == pytest.approx(0.01 * 2**0.5)
    assert delta["n_seeds"] == 2
    assert delta["per_seed"] == [
        {"seed": 0, "delta": pytest.approx(0.04)},
        {"seed": 1, "delta": pytest.approx(0.02)},
    ]
    assert by_key["osm", "scratch", "ap_coco_scene"]["mean"] == pytest.approx(0.015)
    # imagenet has seed 0 only, so both differences from and to it rest on that seed
    assert by_key["imagenet", "scratch", "ap50_scene"]["mean"] == pytest.approx(0.2)
    assert by_key["osm", "imagenet", "ap50_scene"]["mean"] == pytest.approx(-0.16)
    assert by_key["osm", "imagenet", "ap50_scene"]["sd"] is None
    assert {(d["arm"], d["baseline"]) for d in content["deltas"]} == {
        ("osm", "scratch"), ("imagenet", "scratch"), ("osm", "imagenet"),
    }  # fmt: skip
    mean = next(s for s in content["summary"] if (s["arm"], s["metric"]) == ("scratch", "ap50_scene"))
    assert (mean["mean"], mean["n_seeds"]) == (pytest.approx(0.55), 2)
    assert mean["sd"] == pytest.approx(statistics.stdev([0.5, 0.6]))


def test_differences_are_paired_on_common_seeds_only():
    cells = {("scratch", 0): 0.1, ("scratch", 1): 0.9, ("osm", 1): 0.8, ("osm", 2): 0.7}
    (delta,) = [d for d in deltas(bare_study(cells)) if d.metric == "ap50_scene"]
    # the difference of the means would be 0.75 - 0.5 = +0.25
    assert delta.per_seed == ((1, pytest.approx(-0.1)),)
    assert (delta.mean, delta.n_seeds, delta.sd) == (pytest.approx(-0.1), 1, None)
    assert deltas(bare_study({("scratch", 0): 0.1, ("osm", 1): 0.8})) == []


def test_a_figure_without_truth_is_null_and_takes_no_part(tmp_path):
    cells = {("scratch", 0): 0.5, ("scratch", 1): float("nan"), ("osm", 0): 0.6, ("osm", 1): 0.9}
    study = bare_study(cells)
    write_report(study, tmp_path)
    content = report_of(tmp_path)
    assert next(c for c in content["cells"] if (c["arm"], c["seed"]) == ("scratch", 1))["ap50_scene"] is None
    (delta,) = [d for d in deltas(study) if d.metric == "ap50_scene"]
    assert delta.per_seed == ((0, pytest.approx(0.1)),)
    scratch = next(s for s in summaries(study) if (s.arm, s.metric) == ("scratch", "ap50_scene"))
    assert (scratch.mean, scratch.sd, scratch.n_seeds) == (0.5, None, 1)


def test_every_arm_meets_scratch_and_imagenet_and_no_pair_twice():
    extra = (*ARMS, ArmInfo("placebo", "placebo", "osm", "p", ""), ArmInfo("swsl", "swsl", "imagenet", "s", ""))
    study = bare_study({(arm.name, 0): 0.5 for arm in extra}, arms=extra)
    assert [arm.name for arm in baselines(study)] == ["scratch", "imagenet", "swsl"]
    pairs = [(d.arm, d.baseline) for d in deltas(study) if d.metric == "ap50_scene"]
    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == 9  # all 10 but osm against placebo
    assert ("placebo", "osm") not in pairs


def test_report_json_has_what_programs_need(report, study):
    content = report_of(report)
    assert content["format"] == 2
    assert len(content["cells"]) == len(study.cells) == 15
    for cell in content["cells"]:
        original = next(
            c for c in study.cells if (c.detector, c.arm, c.seed) == (cell["detector"], cell["arm"], cell["seed"])
        )
        assert cell["ap50_tile"] == original.tile["ap50"]
        assert cell["ap_coco_scene"] == original.scene["ap_coco"]
        assert cell["truth_count_scene"] == 21
        assert cell["coverage"] == original.coverage
    assert content["paper"]["rows"][2] == {"arm": "OSM-SSD", "detector": "Faster R-CNN", "ap": 0.8852}
    assert content["skipped"][0]["arm"] == "imagenet"
    assert content["settings"]["tile"] == {"size_px": 512, "overlap_px": 200}
    assert content["caveats"] == ["simulated data: these figures say nothing about real SAR"]


def test_the_schema_is_one_and_refuses_what_is_no_report(report):
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(schema())
    content = report_of(report)
    assert content["tests"]["settings"] == {
        "resamples": 10_000, "swaps": 5_000, "seed": 0, "place": "scene", "metrics": ["ap50"],
    }  # fmt: skip
    content["cells"][0]["ap50_tile"] = 87.2
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema())


# ---------------------------------------------------------------- the page


def test_the_page_loads_nothing_from_anywhere(report):
    text = (report / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not [tag for tag, _ in page.elements if tag in ("iframe", "object", "embed", "base")]
    assert not [attributes for tag, attributes in page.elements if tag == "script" and "src" in attributes]
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "data", "poster", "srcset", "action"):
            target = attributes.get(name)
            if target is not None and not (tag == "a" and target == "https://arxiv.org/abs/2103.08251"):
                assert target.startswith(("data:", "#")), (tag, target)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert re.findall(r"https?://[^\s\"'<]*", text) == ["https://arxiv.org/abs/2103.08251"]


def test_every_picture_is_inside_and_described(report):
    page = page_of(report)
    pictures = [a["href"] for tag, a in page.elements if tag == "image"]
    assert len(pictures) == 4  # four of five scenes, shared by both detectors
    assert all(picture.startswith("data:image/webp;base64,") for picture in pictures)
    described = [a for _, a in page.elements if a.get("role") == "img"]
    # seeds and curves: 2 detectors x 2 places; training: 2; panels: 4 scenes x (3 + 2 arms), and 3 x 5 in dispute
    assert len(described) == 4 + 4 + 2 + 20 + 15
    assert all(len(a["aria-label"]) > 20 for a in described)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    referred = {a[n][1:] for _, a in page.elements for n in ("href", "xlink:href") if a.get(n, "").startswith("#")}
    text = (report / "index.html").read_text(encoding="utf-8")
    referred |= set(re.findall(r"url\(#([^)]+)\)", text))
    assert referred <= set(ids)


def test_the_page_says_what_was_found_and_what_to_keep_in_mind(report, study):
    page = page_of(report)
    text = " ".join(page.text.split())
    report_json = report_of(report)
    tested = next(
        d for d in report_json["tests"]["differences"]
        if (d["detector"], d["arm"], d["baseline"], d["metric"]) == ("faster-rcnn_r18", "osm", "scratch", "ap50")
    )  # fmt: skip
    by = f"{100 * tested['estimate']:.1f} points against scratch ["
    found = f"On AIR-SARShip-1.0, osm raises faster-rcnn_r18's AP50 per scene by {by}"
    assert found in text
    assert text.index(found) < text.index("simulated data: these figures") < text.index("Average precision")
    assert "imagenet (partial)" in text
    assert "the weights are of resnet18, the backbone is darknet53" in text
    assert "87.2" in text
    assert "88.5" in text
    assert "bit for bit the same" in text
    assert "init = 'scratch'" in text
    assert "+init = 'osm'" in text
    assert "signific" not in text


def test_cells_without_predictions_are_not_tested_and_the_page_says_so(tmp_path):
    cells = {(arm, seed): 0.5 + 0.01 * seed for arm in ("scratch", "osm") for seed in (0, 1)}
    write_report(bare_study(cells), tmp_path)
    for name in ("index.html", "report.md"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "it was not tested, and nothing is settled" in text
        assert "4 of 4 cells left no predictions" in text


def test_hostile_labels_stay_text(tmp_path):
    evil = '<script>alert(1)</script>|`$x$ "onload="x'
    arms = (ARMS[0], ArmInfo("osm", evil, "osm", "</pre><img src=//x>", evil))
    study = a_study(tmp_path / "s", detectors=("faster-rcnn_r18",), seeds=(0,), arms=arms, counts=(2,))
    hostile = dataclasses.replace(
        study, title=evil, caveats=(evil,), settings={evil: evil}, skipped=(SkippedCell("d", "osm", evil),)
    )
    write_report(hostile, tmp_path / "out")
    report_of(tmp_path / "out")
    page = page_of(tmp_path / "out")
    assert not [tag for tag, _ in page.elements if tag == "img"]
    # one curve per tile and one per scene, the library, and what runs
    kinds = [attributes.get("type") for attributes, _ in page.scripts]
    assert kinds == ["application/json", "application/json", "text/plain", None]
    assert [tag for tag, _ in page.elements].count("script") == len(kinds)
    for _, text in page.scripts[:2]:
        # as text, also for plotly.js, which takes tags for markup
        assert {line["name"] for line in json.loads(text)["lines"]} == {
            "scratch", '&lt;script&gt;alert(1)&lt;/script&gt;|`$x$ "onload="x',
        }  # fmt: skip
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert page.text.count("alert(1)") >= 6
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "<script" not in text.replace("\\<script", "")
    assert any(line.startswith("| faster-rcnn") and r"\|" in line for line in text.splitlines())


def test_a_study_that_has_only_begun_still_has_a_report(tmp_path):
    write_report(bare_study({}), tmp_path)
    assert "There is no finished pair of cells to compare yet." in page_of(tmp_path).text
    assert report_of(tmp_path)["cells"] == []
    assert "no finished pair" in (tmp_path / "report.md").read_text()


def test_what_is_gone_is_said_and_what_is_broken_is_named(tmp_path):
    study = a_study(tmp_path / "s", detectors=("faster-rcnn_r18",), seeds=(0,), counts=(3, 2))
    (tmp_path / "s" / "1.tiff").unlink()
    (study.cells[0].folder / "training.json").unlink()
    write_report(study, tmp_path / "out")
    text = page_of(tmp_path / "out").text
    assert "The picture of this scene cannot be shown" in text
    assert "1.tiff" in text
    before = (tmp_path / "out" / "report.json").read_bytes()
    path = study.cells[1].folder / "predictions.json"
    path.write_text(path.read_text()[:-100])
    changed = dataclasses.replace(study, title="another")
    with pytest.raises(DataError, match=r"predictions\.json"):
        write_report(changed, tmp_path / "out")
    # the earlier report is left as it was, with nothing beside it
    assert (tmp_path / "out" / "report.json").read_bytes() == before
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"index.html", "report.json", "report.md"}


def test_random_parts_that_differ_are_a_warning(tmp_path):
    study = a_study(tmp_path / "s", detectors=("faster-rcnn_r18",), seeds=(0,), counts=(2,))
    path = study.cells[1].folder / "certificate.json"
    proof = json.loads(path.read_text())
    proof["backbone_sha256"][proof["random"][0]] = "something else"
    path.write_text(json.dumps(proof))
    write_report(study, tmp_path / "out")
    assert "NOT the same in all arms" in page_of(tmp_path / "out").text


def test_markdown_has_the_same_tables(report, study):
    text = (report / "report.md").read_text(encoding="utf-8")
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 12
    for lines in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    ap = next(lines for lines in tables if "Bao" in lines[0])
    assert len(ap) == 2 + 5
    mean = statistics.fmean(c.tile["ap50"] for c in study.cells if (c.detector, c.arm) == ("yolov3_d53", "osm"))
    row = next(line for line in ap if line.startswith("| yolov3\\_d53 | osm"))
    assert f"| {100 * mean:.1f} ±" in row
    assert row.endswith("| 88.4 |")


# ---------------------------------------------------------------- which scenes are shown


def scene(scene_id, ships, size=(100, 100), truth=None):
    truth = np.tile(np.float32([10, 10, 20, 20]), (ships, 1)) if truth is None else np.float32(truth)
    return ScenePrediction(scene_id, "x", *size, "max", truth, np.zeros(len(truth), dtype=bool), [], [])


def test_scenes_are_shown_evenly_from_most_ships_to_fewest():
    scenes = tuple(scene(str(k), ships) for k, ships in enumerate((0, 5, 3, 9, 1, 7, 2)))
    assert [len(one.truth) for one in choose_scenes(scenes)] == [9, 5, 2, 0]
    assert [len(one.truth) for one in choose_scenes(scenes[:3])] == [5, 3, 0]


def test_a_large_scene_is_shown_where_most_ships_are():
    far = [[2000 + 30 * k, 1500, 2020 + 30 * k, 1520] for k in range(3)]
    x1, y1, x2, y2 = busiest_window(scene("1", 4, (3000, 2500), [[10, 10, 30, 30], *far]))
    assert (x2 - x1, y2 - y1) == (800, 800)
    assert intersection_matrix([[x1, y1, x2, y2]], far).tolist() == [[400, 400, 400]]
    assert busiest_window(scene("1", 0, (3000, 500))) == (0, 0, 800, 500)
    assert busiest_window(scene("1", 2, (300, 500))) == (0, 0, 300, 500)


def test_smoothing_keeps_a_constant_and_drops_a_spike():
    values = np.ones(100)
    values[50] = 1000
    np.testing.assert_array_equal(smooth(values), np.ones(100))
    np.testing.assert_array_equal(smooth(np.array([3.0, 1.0])), [3.0, 1.0])
    values = np.random.default_rng(0).normal(size=100)
    np.testing.assert_array_equal(smooth(values, at=np.array([0, 7, 99])), smooth(values)[[0, 7, 99]])
