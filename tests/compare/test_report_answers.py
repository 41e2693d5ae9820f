"""The answer at the top: what is said of a difference, and that no more is said than was tested."""

from __future__ import annotations

import dataclasses
import json

import pytest

from osm.compare.report import write_report
from osm.compare.report.answers import answer, difference_table, ends, p_value, shortened
from osm.compare.report.certainty import Certainty, measure, pairs, placebo_of
from osm.compare.report.evidence import read_evidence
from osm.compare.statistics.difference import Difference
from osm.compare.statistics.spread import Spread
from osm.compare.study import ArmInfo
from osm.errors import DataError
from tests.compare.studies import ARMS, a_study, bare_study, page_of

PLACEBO = ArmInfo("osm-shuffled", "osm-shuffled", "osm", "p.safetensors", "")


def certain(estimate, half, p, *, seeds=3, scenes=116, p_holm=None, arm="osm", baseline="scratch"):
    """A difference as the statistics hand it over."""
    spread = Spread((half / 20) ** 2, (half / 2) ** 2, 0.0, seeds, scenes)
    each = tuple((seed, estimate) for seed in range(seeds))
    ends = estimate - half, estimate + half
    return Difference(
        "faster-rcnn_r18",
        arm,
        baseline,
        "ap50",
        "scene",
        each,
        estimate,
        *ends,
        p,
        p if p_holm is None else p_holm,
        spread,
    )


def study_of(seeds=(0, 1, 2), arms=(ARMS[0], ARMS[2]), kind="ssdd"):
    cells = {(arm.name, seed): 0.5 for arm in arms for seed in seeds}
    return bare_study(cells, arms=arms, seeds=seeds, data={"kind": kind})


def test_one_comparison_is_one_sentence_with_interval_p_and_what_is_missing():
    (said,) = answer(study_of(), Certainty((certain(0.011, 0.013, 0.09),)))
    assert said.startswith(
        "On SSDD, osm raises faster-rcnn_r18's AP50 per scene by 1.1 points against scratch [−0.2, 2.4], "
        "p = 0.090: not settled;"
    )
    assert said.endswith("would settle it, if it stays as large.")
    assert "more scenes" in said


def test_among_several_comparisons_more_data_is_not_promised_to_settle_one():
    made = certain(0.011, 0.013, 0.09), certain(0.02, 0.01, 0.001, baseline="imagenet")
    both = Certainty((made[0], dataclasses.replace(made[0], metric="ap_coco"), made[1]))
    (said,) = (one for one in answer(study_of(), both) if "against scratch" in one)
    assert "(corrected for 2 comparisons)" in said
    assert said.endswith("would take zero out of its interval, if it stays as large.")


@pytest.mark.parametrize(
    ("estimate", "verb"),
    [(0.02, "raises"), (-0.02, "lowers"), (0.0001, "changes"), (-0.0001, "changes")],
)
def test_the_verb_has_the_sign_that_is_printed(estimate, verb):
    (said,) = answer(study_of(), Certainty((certain(estimate, 0.001, 0.001),)))
    assert f"osm {verb} faster" in said
    assert "-0.0" not in said
    assert "−0.0 " not in said


def test_settled_is_said_where_it_is_settled_after_correction_only():
    (said,) = answer(study_of(), Certainty((certain(0.02, 0.01, 0.001),)))
    assert said.endswith(": settled.")
    (said,) = answer(study_of(), Certainty((certain(0.02, 0.01, 0.03, p_holm=0.06),)))
    assert said.endswith("not settled after correction for the number of comparisons.")


def test_one_seed_or_one_scene_says_nothing_however_small_its_p():
    for few in ({"seeds": 1}, {"scenes": 1}):
        made = certain(0.2, 0.01, 0.0001, **few)
        (said,) = answer(study_of(seeds=(0,)), Certainty((made,)))
        assert "nothing can be said" in said
        assert "settled" not in said
        assert "p <" not in said
        (row,) = difference_table(study_of(), Certainty((made,))).rows
        assert row[6:9] == ("–", "–", "not tested")


def test_two_seeds_and_missing_ones_are_said():
    (said,) = answer(study_of(), Certainty((certain(0.02, 0.05, 0.2, seeds=2),)))
    assert "With two seeds, little is known" in said
    assert "So far 2 of 3 seeds are finished." in said


def test_of_several_comparisons_the_first_sentence_counts_the_settled():
    study = study_of(arms=(ARMS[0], ARMS[2], PLACEBO))
    made = certain(0.02, 0.01, 0.001), certain(0.001, 0.01, 0.8, baseline="osm-shuffled")
    said = answer(study, Certainty(made))
    assert said[0] == "Of 2 comparisons of AP50 per scene, 1 is settled: 1 higher, 0 lower."
    assert "against scratch" in said[1]
    assert "against osm-shuffled" in said[2]
    # a placebo is no answer of its own, but it is in the table
    assert not any(sentence.startswith("On SSDD, osm-shuffled") for sentence in said)


def test_many_sentences_are_folded_and_none_is_lost(tmp_path):
    arms = (ARMS[0], *(ArmInfo(f"osm{k}", f"osm{k}", "osm", "x", "") for k in range(9)))
    study = study_of(arms=arms)
    said = answer(study, Certainty())
    assert len(said) == 9
    assert shortened(said) == [*said[:7], "… and 2 more in the report."]
    assert shortened(said[:7]) == said[:7]
    write_report(study, tmp_path)
    text = page_of(tmp_path).text
    assert all(sentence in text for sentence in said)
    assert "2 more comparisons" in text


def test_every_matched_arm_meets_its_placebo():
    long = ArmInfo("osm-long", "osm-long", "osm", "l", "")
    other = ArmInfo("osm-long-shuffled", "osm-long-shuffled", "osm", "q", "")
    study = study_of(arms=(*ARMS, PLACEBO, long, other))
    assert placebo_of(study, ARMS[2]) == "osm-shuffled"
    assert placebo_of(study, long) == "osm-long-shuffled"
    assert placebo_of(study, PLACEBO) is None
    assert placebo_of(study_of(arms=(*ARMS, long, PLACEBO)), long) == "osm-shuffled"
    found = pairs(study)
    assert ("osm", "osm-shuffled") in found
    assert ("osm", "scratch") in found
    assert ("osm", "imagenet") in found
    assert len(found) == len(set(found))


def test_intervals_and_p_values_in_print():
    assert ends(certain(0.011, 0.013, 0.5)) == "[−0.2, 2.4]"
    assert [p_value(p) for p in (0.0002, 0.0042, 0.0421, 0.42, 1.0)] == ["< 0.001", "0.0042", "0.042", "0.42", "1.00"]


# ---------------------------------------------------------------- on predictions


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return a_study(tmp_path_factory.mktemp("s"), detectors=("faster-rcnn_r18",), seeds=(0, 1), counts=(3, 2, 5))


def test_what_was_tested_is_the_difference_of_the_cells_own_figures(small):
    made = measure(small, read_evidence(small))
    ap = {(cell.arm, cell.seed): cell.scene["ap50"] for cell in small.cells}
    found = made.find("faster-rcnn_r18", "osm", "scratch")
    assert found.estimate == pytest.approx(sum(ap["osm", s] - ap["scratch", s] for s in (0, 1)) / 2)
    assert {(one.arm, one.baseline) for one in made.tested} == set(pairs(small))
    assert made.family(found) == 1
    both = measure(small, read_evidence(small), metrics=("ap50", "ap_coco"))
    again = both.find("faster-rcnn_r18", "osm", "scratch")
    assert (again.p, both.family(again)) == (found.p, 2)  # one detector, two figures
    assert again.p_holm > found.p_holm == found.p
    coco = both.find("faster-rcnn_r18", "osm", "scratch", "ap_coco")
    ap = {(cell.arm, cell.seed): cell.scene["ap_coco"] for cell in small.cells}
    assert coco.estimate == pytest.approx(sum(ap["osm", s] - ap["scratch", s] for s in (0, 1)) / 2)


def test_statistics_are_kept_by_the_content_of_the_predictions(small, tmp_path, monkeypatch):
    from osm.compare.report import certainty

    evidence = read_evidence(small)
    first = measure(small, evidence, tmp_path)
    (path,) = tmp_path.iterdir()
    monkeypatch.setattr(certainty, "_test", lambda *_: pytest.fail("made again"))
    again = measure(small, evidence, tmp_path)
    assert [one.p_holm for one in again.tested] == [one.p_holm for one in first.tested]
    assert [one.per_seed for one in again.tested] == [one.per_seed for one in first.tested]
    monkeypatch.undo()
    # what was damaged is made again
    path.write_text(path.read_text().replace('"p": ', '"p": 1'))
    healed = measure(small, evidence, tmp_path)
    assert [one.p for one in healed.tested] == [one.p for one in first.tested]
    assert json.loads(path.read_text())["value"][0]["p"] == first.tested[0].p
    changed = dict(evidence)
    key = next(iter(changed))
    changed[key] = type(changed[key])(**{**vars(changed[key]), "predictions_sha256": "other"})
    measure(small, changed, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_arms_that_were_scored_on_different_scenes_are_refused(small, tmp_path):
    other = a_study(tmp_path, detectors=("faster-rcnn_r18",), seeds=(0,), counts=(1, 2, 5))
    evidence = read_evidence(small) | {("faster-rcnn_r18", "osm", 0): read_evidence(other)["faster-rcnn_r18", "osm", 0]}
    with pytest.raises(DataError, match="other scenes or other ships"):
        measure(small, evidence)


def test_a_small_difference_is_not_called_none():
    (said,) = answer(study_of(), Certainty((certain(0.0004, 0.0002, 0.001),)))
    assert "changes faster-rcnn_r18's AP50 per scene by less than 0.05 points against scratch" in said
    assert said.endswith("p = 0.0010: settled.")
    (none,) = answer(study_of(), Certainty((certain(0.0, 0.01, 1.0),)))
    assert "osm does not change faster-rcnn_r18's AP50 per scene against scratch" in none


def test_where_nothing_could_be_tested_the_reason_is_the_answer():
    reason = "faster-rcnn_r18: the test scenes hold no ship, so there is nothing to test."
    nothing = bare_study({}, arms=(ARMS[0], ARMS[2]))
    assert answer(nothing, Certainty((), (reason,))) == [reason]
    assert answer(nothing, Certainty()) == ["There is no finished pair of cells to compare yet."]
