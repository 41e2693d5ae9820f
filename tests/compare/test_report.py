"""The report: its numbers against hand-computed ones, and a page that needs nothing but itself."""

from __future__ import annotations

import dataclasses
import json
import re
import statistics
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from osm.compare.report import write_report
from osm.compare.report.figures import smooth
from osm.compare.report.strip import busiest_window, choose_scenes
from osm.compare.report.tables import baselines, deltas, summaries
from osm.compare.study import ArmInfo, CellResult, SkippedCell, Study
from osm.data.boxes import intersection_matrix
from osm.detection.evaluate import average_precision
from osm.detection.predictions import Predictions, ScenePrediction, TilePrediction
from osm.errors import DataError
from osm.files import write_json

ARMS = (
    ArmInfo("scratch", "scratch", "scratch", None, "drawn by the scheme that every arm shares"),
    ArmInfo("imagenet", "imagenet (partial)", "imagenet", "weights/resnet18.pth", "without layer4's 3×3 convolutions"),
    ArmInfo("osm", "osm", "osm", "work_dirs/bnn/sar_backbone.safetensors", ""),
)
CONFIG = "model = dict(type='FasterRCNN')\nseed = {seed}\ninit = '{arm}'\n"


# ---------------------------------------------------------------- a study without training anything


def a_scene(root, scene_id, ships, size=(260, 220), seed=0):
    """A 16-bit picture of speckle with bright ships; their boxes."""
    import tifffile

    rng = np.random.default_rng(seed)
    width, height = size
    corners = np.stack([rng.uniform(5, width - 45, ships), rng.uniform(5, height - 35, ships)], axis=1)
    boxes = np.concatenate([corners, corners + rng.uniform([12, 8], [38, 26], (ships, 2))], axis=1)
    image = rng.rayleigh(900, (height, width))
    for x1, y1, x2, y2 in boxes.astype(int):
        image[y1:y2, x1:x2] += rng.rayleigh(9000, (y2 - y1, x2 - x1))
    path = root / f"{scene_id}.tiff"
    tifffile.imwrite(path, np.clip(image, 0, 65535).astype(np.uint16))
    return path, boxes.astype(np.float32)


def detections(rng, truth, size, skill):
    """Most ships, a little shifted and surer the better the skill; false alarms, fewer the better."""
    seen = truth[rng.random(len(truth)) < 0.55 + 0.4 * skill]
    seen = seen + rng.normal(0, 1.2, seen.shape)
    stray = rng.integers(0, 1 + round(6 * (1 - skill)))
    corners = np.stack([rng.uniform(0, size[0] - 40, stray), rng.uniform(0, size[1] - 30, stray)], axis=1)
    boxes = np.concatenate([seen, np.concatenate([corners, corners + rng.uniform(8, 30, (stray, 2))], axis=1)])
    scores = np.concatenate([rng.beta(4 + 3 * skill, 2, len(seen)), rng.beta(2, 4 + 2 * skill, stray)])
    return np.clip(boxes, 0, np.tile(size, 2)), scores


def a_cell(root, detector, arm, seed, scenes, size, skill, steps=60):
    """Every file of a cell, and its result."""
    folder = root / "cells" / detector / arm / f"seed{seed}"
    folder.mkdir(parents=True)
    rng = np.random.default_rng([seed, round(1000 * skill), len(detector)])
    predicted, tiles = [], []
    for scene_id, (path, truth) in scenes.items():
        boxes, scores = detections(rng, truth, size, skill)
        ignore = np.zeros(len(truth), dtype=bool)
        predicted.append(
            ScenePrediction(scene_id, str(path), *size, "percentile:0.5,99.5", truth, ignore, boxes, scores)
        )
        boxes, scores = detections(rng, truth, size, min(1, skill + 0.1))
        tiles.append(TilePrediction(scene_id, (0, 0, *size), truth, ignore, boxes, scores))
    predictions = Predictions(tuple(predicted), tuple(tiles))
    predictions.write(folder / "predictions.json")
    loss = 2.5 * np.exp(-np.linspace(0, 2 + skill, steps)) + 0.3 + rng.gamma(2, 0.06, steps)
    write_json(
        folder / "training.json",
        [{"step": 10 * k, "epoch": k / 10, "loss": float(value), "lr": 0.01} for k, value in enumerate(loss)],
    )
    random = {"scratch": 62, "imagenet": 8, "osm": 0}.get(arm, 0)
    names = [f"layer{1 + k // 16}.{k // 8 % 2}.conv{1 + k % 2}.weight" for k in range(62)]
    certificate = {
        "format": 1,
        "coverage": 1 - random / 62,
        "architecture": "resnet18",
        "source": None if arm == "scratch" else f"weights/{arm}.pth",
        "filled": [{"target": name, "source": name, "shape": [64]} for name in names[: 62 - random]],
        "random": names[62 - random :],
        "unused": ["fc.weight", "fc.bias"] if arm == "imagenet" else [],
        "backbone_sha256": {name: f"{seed}-{name}" for name in names},
    }
    write_json(folder / "certificate.json", certificate)
    (folder / "config.py").write_text(CONFIG.format(seed=seed, arm=arm))
    return CellResult(
        detector,
        arm,
        seed,
        average_precision(predictions.tile_results()).figures(),
        average_precision(predictions.scene_results()).figures(),
        seconds=90.0,
        coverage=None if arm == "scratch" else certificate["coverage"],
        folder=folder,
    )


def a_study(
    root, detectors=("faster-rcnn_r18", "yolov3_d53"), seeds=(0, 1, 2), arms=ARMS, size=(260, 220), counts=None
):
    root.mkdir(parents=True, exist_ok=True)
    counts = counts or (9, 2, 6, 0, 4)
    scenes = {str(k + 1): a_scene(root, str(k + 1), ships, size, seed=k) for k, ships in enumerate(counts)}
    skills = {"scratch": 0.3, "imagenet": 0.6, "osm": 0.75}
    cells = tuple(
        a_cell(root, detector, arm.name, seed, scenes, size, skills.get(arm.name, 0.5) + 0.05 * seed)
        for detector in detectors
        for arm in arms
        for seed in seeds
        if (detector, arm.name) != ("yolov3_d53", "imagenet")
    )
    skipped = (SkippedCell("yolov3_d53", "imagenet", "the weights are of resnet18, the backbone is darknet53"),)
    return Study(
        title="Simulated port scenes: does matching help?",
        data={"kind": "air-sarship-1.0", "root": "data/scenes", "scenes": {"train": 8, "test": len(counts)}},
        arms=arms,
        detectors=detectors,
        seeds=tuple(seeds),
        cells=cells,
        skipped=skipped if "yolov3_d53" in detectors else (),
        settings={"epochs": 12, "tile": {"size_px": 512, "overlap_px": 200}, "lr": 0.01, "milestones": [8, 11]},
        versions={"osm-ssd": "0.1.0", "torch": "2.15.0"},
        baseline="scratch",
        caveats=("simulated data: these figures say nothing about real SAR",),
    )


def bare_study(cells, arms=ARMS, seeds=(0, 1, 2), **changes):
    """Cells without files: {(arm, seed): ap50 per scene}."""
    made = []
    for (arm, seed), value in cells.items():
        figures = {"ap50": value, "ap50_voc07": value, "ap50_coco": value, "ap_coco": value / 2}
        figures |= {"truth_count": 10, "detection_count": 12}
        tile = {name: figure for name, figure in figures.items() if name != "ap50"} | {"ap50": value + 0.1}
        made.append(CellResult("faster-rcnn_r18", arm, seed, tile, figures, 60.0, None, folder=Path("nowhere")))
    study = Study("t", {}, arms, ("faster-rcnn_r18",), seeds, tuple(made), (), {}, {}, "scratch", ())
    return dataclasses.replace(study, **changes)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return a_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def report(study, tmp_path_factory):
    return write_report(study, tmp_path_factory.mktemp("out") / "report").parent


class Page(HTMLParser):
    """Elements, their attributes and the text between them."""

    VOID = ("meta", "link", "br", "img", "hr", "input")

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open[-1:]):
            self.text += data


def page_of(folder):
    return Page((folder / "index.html").read_text(encoding="utf-8"))


# ---------------------------------------------------------------- numbers


def test_the_numbers_of_a_small_study_by_hand(tmp_path):
    cells = {("scratch", 0): 0.50, ("scratch", 1): 0.60, ("osm", 0): 0.54, ("osm", 1): 0.62, ("imagenet", 0): 0.70}
    write_report(bare_study(cells), tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
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
    content = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
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
    content = json.loads((report / "report.json").read_text())
    assert content["format"] == 1
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


# ---------------------------------------------------------------- the page


def test_the_page_loads_nothing_from_anywhere(report):
    text = (report / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not [tag for tag, _ in page.elements if tag in ("script", "iframe", "object", "embed", "base")]
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
    assert all(picture.startswith("data:image/jpeg;base64,") for picture in pictures)
    described = [a for _, a in page.elements if a.get("role") == "img"]
    # seeds and curves: 2 detectors x 2 places; training: 2; panels: 4 scenes x (3 + 2 arms)
    assert len(described) == 4 + 4 + 2 + 20
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
    delta = next(
        d for d in deltas(study) if (d.detector, d.metric) == ("faster-rcnn_r18", "ap50_tile") and d.arm == "osm"
    )
    mean = f"{100 * delta.mean:+.1f}".replace("-", "−")
    found = f"With faster-rcnn_r18, starting from osm instead of scratch changed AP50 by {mean} points (sd"
    assert found in text
    assert text.index(found) < text.index("simulated data: these figures") < text.index("Average precision")
    assert "imagenet (partial)" in text
    assert "the weights are of resnet18, the backbone is darknet53" in text
    assert "87.2" in text
    assert "88.5" in text
    assert "bit for bit the same" in text
    assert "init = 'scratch'" in text
    assert "+init = 'osm'" in text
    assert "signific" not in text.replace("no test of significance", "").replace("No test of significance", "")


@pytest.mark.parametrize(
    ("seeds", "words"), [((0,), "With one seed this is not settled"), ((0, 1), "With 2 seeds this is not settled")]
)
def test_few_seeds_settle_nothing_and_the_page_says_so(tmp_path, seeds, words):
    cells = {(arm, seed): 0.5 + 0.01 * seed for arm in ("scratch", "osm") for seed in seeds}
    write_report(bare_study(cells, seeds=seeds), tmp_path)
    for name in ("index.html", "report.md"):
        assert words in (tmp_path / name).read_text(encoding="utf-8")


def test_hostile_labels_stay_text(tmp_path):
    evil = '<script>alert(1)</script>|`$x$ "onload="x'
    arms = (ARMS[0], ArmInfo("osm", evil, "osm", "</pre><img src=//x>", evil))
    study = a_study(tmp_path / "s", detectors=("faster-rcnn_r18",), seeds=(0,), arms=arms, counts=(2,))
    hostile = dataclasses.replace(
        study, title=evil, caveats=(evil,), settings={evil: evil}, skipped=(SkippedCell("d", "osm", evil),)
    )
    write_report(hostile, tmp_path / "out")
    page = page_of(tmp_path / "out")
    assert not [tag for tag, _ in page.elements if tag in ("script", "img")]
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert page.text.count("alert(1)") >= 6
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "<script" not in text.replace("\\<script", "")
    assert any(line.startswith("| faster-rcnn") and r"\|" in line for line in text.splitlines())


def test_a_study_that_has_only_begun_still_has_a_report(tmp_path):
    write_report(bare_study({}), tmp_path)
    assert "There is no finished pair of cells to compare yet." in page_of(tmp_path).text
    assert json.loads((tmp_path / "report.json").read_text())["cells"] == []
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
    assert len(tables) == 7
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
