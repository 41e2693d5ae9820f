"""Fusions as rows of a comparison: made once of what two arms found, and known again by it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from osm.compare.fusion import Fusion, caveats, from_json, fuse_cells, gather_fusions, to_json, with_fusions
from osm.compare.report import write_report
from osm.compare.report.answers import answer
from osm.compare.report.certainty import measure, pairs
from osm.compare.report.evidence import read_evidence
from osm.compare.report.tables import deltas, figure
from osm.compare.report.words import ap_table, arm_table, arms_caption
from osm.compare.study import ArmInfo
from osm.detection.evaluate import average_precision
from osm.detection.fusion import FusionSettings, fuse_predictions
from osm.detection.predictions import read_predictions
from osm.errors import ConfigError, DataError
from tests.compare.studies import a_study, page_of, report_of

pytest.importorskip("ensemble_boxes", reason="the extra fusion is not installed")
DETECTOR = "faster-rcnn_r18"
ARMS = (
    ArmInfo("scratch", "scratch", "scratch", None, ""),
    ArmInfo("osd", "osd", "osd", "osd.safetensors", "pretrained as a detector of optical ships"),
    ArmInfo("osm", "osm", "osm", "osm.safetensors", ""),
)
BOTH = Fusion(("osd", "osm"))


@pytest.fixture
def study(tmp_path):
    """Two arms and the floor, two seeds, without training anything."""
    return a_study(tmp_path / "work", detectors=(DETECTOR,), seeds=(0, 1), arms=ARMS, counts=(6, 2, 4))


@pytest.fixture
def work(study, tmp_path):
    fuse_cells(study, [BOTH], tmp_path / "work")
    return tmp_path / "work"


def folder_of(work, arm="osd+osm", seed=0):
    return Path(work) / "cells" / DETECTOR / arm / f"seed{seed}"


def test_a_fused_cell_is_the_fusion_of_its_members_tile_by_tile_and_scene_by_scene(study, work):
    found = with_fusions(study, [BOTH], work)
    assert [arm.name for arm in found.arms] == ["scratch", "osd", "osm", "osd+osm"]
    fused = [cell for cell in found.cells if cell.arm == "osd+osm"]
    assert [cell.seed for cell in fused] == [0, 1]
    for cell in fused:
        members = [read_predictions(folder_of(work, arm, cell.seed) / "predictions.json") for arm in ("osd", "osm")]
        expected = fuse_predictions(members, FusionSettings(), "here")
        assert cell.scene == average_precision(expected.scene_results()).figures()
        assert cell.tile == average_precision(expected.tile_results()).figures()
        assert cell.scene["ap50"] != cell.tile["ap50"]
        assert cell.coverage is None
        assert sorted(path.name for path in cell.folder.iterdir()) == ["fused.json", "predictions.json"]


def test_it_is_named_labelled_and_noted_as_what_it_is(study, work):
    info = with_fusions(study, [BOTH], work).arms[-1]
    assert (info.kind, info.label, info.members) == ("fusion", "fusion of osd and osm", ("osd", "osm"))
    assert info.source == "no weights: predictions of osd and osm"
    assert info.note.startswith("no initialisation and no training of its own")
    (said,) = caveats([BOTH], study.arms)
    assert said.startswith("Fusion of osd and osm: no initialisation")
    partial = dataclasses.replace(study, arms=(*ARMS[:2], dataclasses.replace(ARMS[2], label="osm (partial)")))
    assert BOTH.info(partial.arms).label == "fusion of osd and osm (partial)"


def test_what_is_made_stays_and_what_its_members_changed_is_made_anew(study, work):
    stamps = {seed: (folder_of(work, seed=seed) / "fused.json").stat().st_mtime_ns for seed in (0, 1)}
    fuse_cells(study, [BOTH], work)
    assert {seed: (folder_of(work, seed=seed) / "fused.json").stat().st_mtime_ns for seed in (0, 1)} == stamps
    member = folder_of(work, "osm", 1) / "predictions.json"
    member.write_bytes((folder_of(work, "osm", 0) / "predictions.json").read_bytes())
    # of predictions that are no longer those of its member it is not told as a result
    assert [cell.seed for cell in with_fusions(study, [BOTH], work).cells if cell.arm == "osd+osm"] == [0]
    fuse_cells(study, [BOTH], work)
    assert [cell.seed for cell in with_fusions(study, [BOTH], work).cells if cell.arm == "osd+osm"] == [0, 1]
    assert (folder_of(work, seed=0) / "fused.json").stat().st_mtime_ns == stamps[0]
    assert (folder_of(work, seed=1) / "fused.json").stat().st_mtime_ns != stamps[1]


def test_other_settings_are_another_fusion(study, work):
    strict = Fusion(("osd", "osm"), FusionSettings(iou=0.9))
    assert len(with_fusions(study, [strict], work).cells) == len(study.cells)
    before = with_fusions(study, [BOTH], work).cells[-1].scene
    fuse_cells(study, [strict], work)
    after = with_fusions(study, [strict], work).cells[-1].scene
    assert after["detection_count"] > before["detection_count"]
    assert from_json(json.loads(json.dumps(to_json([strict, BOTH])))) == (strict, BOTH)


@pytest.mark.parametrize("name", ["predictions.json", "fused.json"])
def test_a_damaged_fusion_is_named_and_mended_by_fusing_again(study, work, name):
    path = folder_of(work) / name
    content = path.read_text()
    path.write_text(content.replace("0.", "1.", 1))
    with pytest.raises(DataError, match=rf"{name}: found a (file that was changed|content with SHA-256)"):
        with_fusions(study, [BOTH], work)
    fuse_cells(study, [BOTH], work)
    assert len(with_fusions(study, [BOTH], work).cells) == len(study.cells) + 2
    (folder_of(work) / "predictions.json").unlink()
    with pytest.raises(DataError, match="changed, damaged or lost"):
        with_fusions(study, [BOTH], work)


def test_seeds_that_one_arm_lacks_are_left_out(study, tmp_path):
    few = dataclasses.replace(study, cells=tuple(c for c in study.cells if (c.arm, c.seed) != ("osd", 1)))
    fuse_cells(few, [BOTH], tmp_path / "work")
    found = with_fusions(few, [BOTH], tmp_path / "work")
    assert [cell.seed for cell in found.cells if cell.arm == "osd+osm"] == [0]
    (folder_of(tmp_path / "work", "osd") / "predictions.json").unlink()
    with pytest.raises(DataError, match="expected predictions to fuse"):
        fuse_cells(few, [BOTH], tmp_path / "work")


def test_it_is_compared_with_the_floor_and_with_its_members_and_tested(study, work):
    found = with_fusions(study, [BOTH], work)
    wanted = [("osd", "scratch"), ("osm", "scratch"), ("osd+osm", "scratch"), ("osd+osm", "osd"), ("osd+osm", "osm")]
    assert pairs(found) == wanted
    certainty = measure(found, read_evidence(found))
    assert [(one.arm, one.baseline) for one in certainty.tested] == wanted
    scene = {(cell.arm, cell.seed): figure(cell, "ap50_scene") for cell in found.cells}
    tested = certainty.find(DETECTOR, "osd+osm", "osm")
    assert dict(tested.per_seed) == pytest.approx({s: scene["osd+osm", s] - scene["osm", s] for s in (0, 1)})
    assert {(one.arm, one.baseline) for one in deltas(found)} == set(wanted)
    sentences = answer(found, certainty)
    assert sentences[0].startswith("Of 5 comparisons of AP50 per scene")
    assert any(", the fusion of osd and osm " in sentence and "against osd" in sentence for sentence in sentences)


def test_it_stands_in_every_form_of_the_report(study, work, tmp_path):
    found = with_fusions(study, [BOTH], work)
    page = write_report(found, tmp_path / "report")
    content = report_of(page.parent)
    assert [arm["kind"] for arm in content["arms"]] == ["scratch", "osd", "osm", "fusion"]
    assert content["arms"][-1]["members"] == ["osd", "osm"]
    cells = [cell for cell in content["cells"] if cell["arm"] == "osd+osm"]
    assert [cell["coverage"] for cell in cells] == [None, None]
    assert all(cell["ap50_tile"] is not None and cell["ap50_scene"] is not None for cell in cells)
    text = (page.parent / "report.md").read_text()
    assert "| faster-rcnn\\_r18 | fusion of osd and osm | 2 |" in text
    assert "fusion of osd and osm − osm" in text
    words = page_of(page.parent).text
    assert "a fusion is none, it puts the boxes of two of them together" in words
    assert "no weights: predictions of osd and osm" in words
    assert [row[1] for row in ap_table(found).rows] == ["scratch", "osd", "osm", "fusion of osd and osm"]
    assert arm_table(found).rows[-1][1] == "fusion"
    assert arms_caption(study) == "One way each to initialise the same detector"


def test_pairs_of_the_config_and_of_the_command_line_are_taken_once():
    arms = ["scratch", "osd", "osm"]
    found = gather_fusions("c.py", arms, [("osd", "osm")], ["osm+osd", "scratch+osm"], {"iou": 0.6})
    assert [fusion.members for fusion in found] == [("osd", "osm"), ("scratch", "osm")]
    assert {fusion.settings for fusion in found} == {FusionSettings(iou=0.6)}
    assert gather_fusions("c.py", arms) == ()


@pytest.mark.parametrize(
    ("listed", "asked", "settings", "said"),
    [
        ([("osd", "osx")], [], None, r"c\.py: found a fusion of osd and osx, and no arm osx; .*--arm osx=FILE"),
        ([], ["osd+osx"], None, "--fuse: found a fusion of osd and osx"),
        ([], ["osd"], None, "--fuse: found 'osd'; expected two arms"),
        ([], ["osd+osm+osd"], None, "expected two arms"),
        ([], ["osd+"], None, "expected two arms"),
        ([], ["osm+osm"], None, "a fusion of osm with itself"),
        ([("osd",)], [], None, "fuse = "),
        ("osd+osm", [], None, "fuse = 'osd"),
        ([], [], {"iuo": 0.5}, "an unknown word 'iuo' in fusion"),
        ([], [], {"iou": 1}, r"fusion\.iou = 1"),
        ([], [], {"min_score": "low"}, r"fusion\.min_score = 'low'"),
        ([], [], [0.5], "fusion = "),
    ],
)
def test_a_slip_is_named_before_anything_runs(listed, asked, settings, said):
    with pytest.raises(ConfigError, match=said):
        gather_fusions("c.py", ["scratch", "osd", "osm"], listed, asked, settings)
