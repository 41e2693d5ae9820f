"""Where the difference is, what leaked and what was loaded: the tables of the report against what they are made of."""

from __future__ import annotations

import dataclasses
import statistics

import numpy as np
import pytest

from osm.compare.breakdown.error_kinds import error_kinds
from osm.compare.breakdown.subsets import by_group
from osm.compare.report import breakdowns, disagree, proofs, strip
from osm.compare.report.certainty import placebo_of
from osm.compare.report.contents import gather, where_it_is
from osm.compare.report.evidence import read_evidence
from osm.compare.report.paper import published
from osm.compare.study import ArmInfo
from osm.detection.predictions import ScenePrediction
from tests.compare.studies import a_study, bare_study

DETECTOR = "faster-rcnn_r18"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = a_study(tmp_path_factory.mktemp("s"), detectors=(DETECTOR,), seeds=(0, 1), counts=(6, 2, 5))
    groups = {"1": "inshore", "2": "offshore", "3": "inshore", "of another split": "inshore"}
    return dataclasses.replace(made, groups=groups, pixel_m={"1": 10.0, "2": 10.0, "3": 10.0})


@pytest.fixture(scope="module")
def contents(study, tmp_path_factory):
    return gather(study, tmp_path_factory.mktemp("cache"))


def of_seeds(contents, arm):
    return [contents.evidence[DETECTOR, arm, seed].predictions.scene_results() for seed in (0, 1)]


def test_every_part_is_the_mean_over_seeds_of_what_the_breakdown_finds(contents):
    tables = {section.title: section.table for section in where_it_is(contents)}
    assert list(tables) == ["By size of ship", "Inshore and offshore", "Kinds of errors", "False alarms"]
    groups = {"inshore": ("1", "3"), "offshore": ("2",)}
    for arm in ("scratch", "imagenet (partial)", "osm"):
        name = arm.split()[0]
        inshore = [100 * by_group(one, groups)[0].ap50 for one in of_seeds(contents, name)]
        row = next(row for row in tables["Inshore and offshore"].rows if row[1] == arm)
        assert row[3] == f"{statistics.fmean(inshore):.1f} ± {statistics.stdev(inshore):.1f}"
        missed = [error_kinds(one)[3].count for one in of_seeds(contents, name)]
        row = next(row for row in tables["Kinds of errors"].rows if row[1] == arm)
        assert row[-2] == f"{statistics.fmean(missed):.1f} ± {statistics.stdev(missed):.1f}"
    heads = [column.name for column in tables["Inshore and offshore"].columns]
    assert heads[3:] == ["inshore: 2 scenes, 11 ships", "offshore: 1 scene, 2 ships"]


def test_false_alarms_per_area_take_the_size_of_every_pixel(contents, study):
    alarms = next(section for section in where_it_is(contents) if section.title == "False alarms")
    assert [column.name for column in alarms.table.columns][3:] == ["False alarms", "per km²", "Ships found, %"]
    area = 3 * 260 * 220 * 10.0**2 / 1e6
    for one in contents.breakdown.values():
        assert one.per_km2 == pytest.approx(one.false_alarms / area)
    unknown = gather(dataclasses.replace(study, pixel_m={"1": 10.0}, groups={}))
    sections = {section.title: section for section in where_it_is(unknown)}
    assert "per km²" not in [column.name for column in sections["False alarms"].table.columns]
    assert "no number per km²" in sections["False alarms"].note
    assert sections["Inshore and offshore"].table is None
    assert sections["Inshore and offshore"].note == breakdowns.NO_GROUPS


def test_parts_are_kept_by_what_they_were_made_of(study, tmp_path):
    evidence = read_evidence(study)
    first = breakdowns.break_down(study, evidence, tmp_path)
    kept = {path.name for path in tmp_path.iterdir()}
    again = breakdowns.break_down(study, evidence, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert [one.errors for one in again.values()] == [
        {kind: list(entry) for kind, entry in one.errors.items()} for one in first.values()
    ]
    breakdowns.break_down(dataclasses.replace(study, groups={}), evidence, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2 * len(kept)


def test_a_study_without_predictions_has_no_parts():
    study = bare_study({("scratch", 0): 0.5, ("osm", 0): 0.6})
    assert where_it_is(gather(study)) == []


def test_disputed_scenes_are_of_the_matched_arm_and_the_first_are_shown(contents, study):
    (found,) = contents.disputed
    assert (found.arm, found.baseline) == ("osm", "scratch")
    balances = [abs(one.balance) for one in found.scenes]
    assert balances == sorted(balances, reverse=True)
    scenes = contents.evidence[DETECTOR, "osm", 0].predictions.scenes
    shown = disagree.shown(contents.disputed, DETECTOR, scenes)
    assert [scene.scene_id for scene in shown] == [one.scene_id for one in found.scenes[: disagree.MOST_SHOWN]]
    assert len(disagree.disputed_table(study, contents.disputed).rows) == len(found.scenes)


def test_optical_scenes_are_shown_in_their_colours(tmp_path):
    from PIL import Image

    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[..., 2] = 200
    Image.fromarray(image).save(tmp_path / "blue.png")
    none = np.zeros((0, 4))
    scene = ScenePrediction("blue", str(tmp_path / "blue.png"), 60, 40, "none", none, [], none, [])
    _, picture, problem = strip.Pictures().of(scene, (0, 0, 60, 40))
    assert problem == ""
    assert picture.startswith("data:image/webp;base64,")
    missing = dataclasses.replace(scene, image_path=str(tmp_path / "gone.png"))
    _, picture, problem = strip.Pictures().of(missing, (0, 0, 60, 40))
    assert picture is None
    assert "gone.png" in problem


def test_leaks_are_named_and_what_was_left_out_is_no_leak():
    part = {"against": "training scenes", "detectors": ["d"], "test_scenes": ["3", "7"], "train_images": ["1"]}
    parts = [
        part | {"dropped": False, "notes": ["no georeference"]},
        part | {"dropped": True},
        part | {"dropped": False, "test_scenes": [], "train_images": []},
        {"against": "pretraining pairs", "arm": "osm", "pairs": "qxs", "weights": "x", "checked": False},
        {"against": "pretraining pairs", "arm": "osm", "pairs": "qxs", "checked": True, "test_scenes": ["3"]},
        {"against": "pretraining scenes", "arm": "osm", "pairs": "dota", "checked": False},
    ]
    arms = (ArmInfo("osm", "osm (ours)", "osm", "x", ""),)
    study = bare_study({}, arms=arms, leakage={"setting": "warn", "parts": parts})
    first, last = proofs.leaks(study)
    assert first.startswith("2 test scenes are among the training scenes of d: 3, 7.")
    assert last.startswith("1 test scene is among the pairs of osm (ours) (qxs): 3.")
    assert [row[-1] for row in proofs.leak_table(study).rows] == [
        "LEAKS; no georeference", "these training scenes were left out", "nothing leaks",
        "could not be checked: these pairs are not at hand", "LEAKS",
        "could not be checked: these optical scenes are not at hand",
    ]  # fmt: skip
    assert proofs.leak_table(study).rows[-1][0] == "optical scenes of osm (ours) (dota)"
    assert proofs.leaks(bare_study({})) == []


@pytest.mark.parametrize(
    ("step0", "words"),
    [
        (None, "not looked at"),
        ({"equal": True, "changed": [], "reestimated": False}, "equal"),
        ({"equal": False, "changed": ["a", "b"], "reestimated": False}, "2 tensors changed"),
        (
            {"equal": False, "changed": ["a.running_mean"], "reestimated": True},
            "1 tensor changed (statistics re-estimated, as asked)",
        ),
    ],
)
def test_the_first_step_in_words(step0, words):
    assert proofs.step0_words({"step0": step0}) == words


def test_the_contract_in_words():
    known = {"agree": True, "notes": ["radiometry max"], "mismatches": [], "allowed": False, "source_said": "card"}
    assert proofs.contract_words({"contract": known}) == "agrees; radiometry max"
    differs = known | {"agree": False, "notes": [], "mismatches": [{"entry": "bands"}], "allowed": True}
    assert proofs.contract_words({"contract": differs}) == "differs in bands, which was allowed"
    assert proofs.contract_words({"contract": known | {"agree": None, "source_said": "unknown"}}) == "unknown"
    assert proofs.contract_words({}) == "–"


def test_detectors_that_were_scored_on_different_scenes_share_a_table(study, tmp_path):
    """The heads hold only what is true of all rows, and no part is lost, whichever detector is first."""
    more = a_study(
        tmp_path,
        detectors=("yolov3_d53",),
        seeds=(0, 1),
        counts=(4, 6, 1, 1),
        arms=(ArmInfo("scratch", "scratch", "scratch", "", ""),),
    )
    groups = {"1": "inshore", "2": "inshore", "3": "inshore", "4": "offshore"}
    few = dataclasses.replace(study, groups=groups)
    for names, cells in (
        ((DETECTOR, "yolov3_d53"), few.cells + more.cells),
        (("yolov3_d53", DETECTOR), more.cells + few.cells),
    ):
        both = dataclasses.replace(few, detectors=names, cells=cells)
        found = breakdowns.break_down(both, read_evidence(both))
        table = breakdowns.group_table(both, found)
        heads = [column.name for column in table.columns][3:]
        assert sorted(heads) == ["inshore", "offshore"]
        for row in table.rows:
            told = dict(zip(heads, row[3:], strict=True))
            assert (told["offshore"] == "–") == (row[0] == DETECTOR)
            assert told["inshore"] != "–"
        sizes = [column.name for column in breakdowns.size_table(both, found).columns][3:]
        assert not any("ships" in name for name in sizes if name.startswith("small"))
    alone = breakdowns.size_table(few, breakdowns.break_down(few, read_evidence(few)))
    assert all("ship" in column.name for column in alone.columns[3:])


def test_the_paper_has_no_figure_for_a_placebo_or_another_detector():
    arms = [
        ArmInfo("osm", "osm", "osm", "x", ""),
        ArmInfo("osm-shuffled", "osm-shuffled", "osm", "x", ""),
        ArmInfo("imagenet", "imagenet (partial)", "imagenet", "x", ""),
        ArmInfo("scratch", "scratch", "scratch", "", ""),
    ]
    assert [published("yolov3_d53", arm) for arm in arms] == [0.8836, None, 0.8712, None]
    assert [published("faster-rcnn_r50", arm) for arm in arms] == [0.8852, None, 0.8720, None]
    assert [published("yolov3u_d53", arm) for arm in arms] == [None] * 4


def test_a_placebo_is_that_of_the_arm_whose_name_it_has():
    def of(*names):
        arms = tuple(ArmInfo(name, name, "osm", "x", "") for name in names)
        return [placebo_of(bare_study({}, arms=arms), arm) for arm in arms]

    assert of("osm", "osm-long", "osm-long-shuffled", "osm-shuffled") == [
        "osm-shuffled", "osm-long-shuffled", None, None,
    ]  # fmt: skip
    assert of("osm", "vicreg", "osm-shuffled") == ["osm-shuffled", "osm-shuffled", None]
    assert of("osm", "osm-long", "osm-long-shuffled", "x-shuffled") == [None, "osm-long-shuffled", None, None]
