"""The fairness lock: what may differ passes, and anything else is named, and nothing but that."""

import copy
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.cli.main import main
from osm.compare import fairness
from osm.compare.cells import ran_with
from osm.compare.fairness import ABSENT, FairnessError, Ran, check, check_software, differences, without
from osm.compare.report import write_report
from osm.compare.report.fairness import tuning_table
from osm.compare.study import ArmInfo
from osm.errors import DataError
from osm.files import write_json, write_sealed
from tests.compare.studies import a_study, bare_study, page_of, report_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab.", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", max_size=2), inner, max_size=3),
    max_leaves=12,
)


def equal(one, other):
    """Equality of JSON values, written down another way: a truth value is no number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


@given(JSON, JSON)
def test_differences_are_symmetric_and_none_if_and_only_if_nothing_differs(one, other):
    there, back = differences(one, other), differences(other, one)
    assert sorted(map(repr, there)) == sorted(repr(dataclasses.replace(e, one=e.other, other=e.one)) for e in back)
    assert (there == []) == equal(one, other)
    assert differences(one, copy.deepcopy(one)) == []


@given(JSON, st.data())
def test_a_single_change_is_found_where_it_was_made(value, data):
    """And nowhere else, however deep it lies."""
    changed, path = copy.deepcopy(value), []
    inside = changed = {"root": changed}
    key = "root"
    while True:
        path.append(str(key))
        below = inside[key]
        if not isinstance(below, dict | list) or not below or data.draw(st.booleans()):
            break
        inside, key = below, data.draw(st.sampled_from(sorted(below) if isinstance(below, dict) else range(len(below))))
    before = inside[key]
    inside[key] = "changed"
    (entry,) = differences({"root": value}, changed)
    assert entry.path == tuple(path)
    assert (entry.one, entry.other) == (before, "changed")


def test_a_word_that_one_side_does_not_have_is_no_null():
    (entry,) = differences({"a": None}, {})
    assert (entry.path, entry.one, entry.other) == (("a",), None, ABSENT)
    assert entry.line == "a: null | –"


def test_parts_are_left_aside_by_path():
    values = {"a": {"b": 1, "c": 2}, "d": 3, "e": None}
    assert without(values, [("a", "b"), ("d",), ("e", "f"), ("x", "y")]) == {"a": {"c": 2}, "e": None}
    assert values["a"] == {"b": 1, "c": 2}


# ---------------------------------------------------------------- the lock


def conditions(arm="scratch", seed=0, lr=0.01, tuning=None):
    return {
        "format": 1,
        "seed": seed,
        "recipe": {
            "detector": "faster-rcnn_r18",
            "train": {"epochs": 12, "precision": "bfloat16", "optimizer": {"type": "SGD", "lr": lr}},
        },
        "tuning": tuning,
        "start": {"init": f"{arm}:/somewhere", "kind": arm, "weights_sha256": arm * 3},
        "data": {"train_scenes": {"count": 8, "sha256": "t"}, "train_tiles": {"count": 90, "sha256": "u"}},
        "software": {"torch": "2.15.0", "code_sha256": "c" * 64},
        "device": "cpu",
        "precision": {"train": "bfloat16", "test": "float32"},
        "machine": {"threads": 1 + seed, "git_revision": "abc"},
        "drawn_backbone": {"tensors": 62, "sha256": f"backbone {seed}"},
        "step0": {"beside_the_backbone": {"sha256": f"head {seed}", "parameters": 9, "norms": 4, "norms_eval": 0}},
        "order": {"draws": 2000, "sha256": f"order {seed}"},
        "frozen": {"layer1": {"parameters_frozen": 0, "norms_eval": 0}},
        "training": {"steps": 120, "lr": {"first": lr / 100, "highest": lr, "last": lr / 100}},
    }


def cells(seeds=(0, 1), arms=("scratch", "imagenet", "osm"), **of):
    return [
        Ran("faster-rcnn_r18", arm, seed, f"faster-rcnn_r18/{arm}/seed{seed}", conditions(arm, seed, **of))
        for seed in seeds
        for arm in arms
    ]


def changed(ran, path, value):
    values = copy.deepcopy(dict(ran.conditions))
    inside = values
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return dataclasses.replace(ran, conditions=values)


def test_cells_that_differ_in_their_start_and_seed_pass_and_are_counted():
    verdict = check(cells(), "study")
    assert verdict.line == "Fairness lock: 6 cells compared, identical but for initialisation."
    assert verdict.to_json() == {"compared": 6, "unknown": [], "identical": True, "tuned": False}
    shared = verdict.shared["faster-rcnn_r18"]
    assert shared["recipe"]["train"]["epochs"] == 12
    assert not {"start", "seed", "machine"} & set(shared)
    assert "sha256" not in shared["order"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("recipe", "train", "epochs"), 13),
        (("recipe", "train", "precision"), "float32"),
        (("recipe", "train", "optimizer", "lr"), 0.02),
        (("data", "train_scenes", "count"), 9),
        (("data", "train_tiles", "sha256"), "other tiles"),
        (("software", "torch"), "2.16.0"),
        (("software", "code_sha256"), "d" * 64),
        (("device",), "cuda"),
        (("precision", "train"), "float32"),
        (("drawn_backbone", "sha256"), "another draw"),
        (("step0", "beside_the_backbone", "sha256"), "another head"),
        (("step0", "beside_the_backbone", "norms_eval"), 4),
        (("order", "sha256"), "another order"),
        (("frozen", "layer1", "parameters_frozen"), 37_000),
        (("frozen", "layer1", "norms_eval"), 5),
        (("training", "steps"), 119),
    ],
)
@pytest.mark.parametrize("which", [0, 4])
def test_whatever_else_differs_is_named_and_nothing_but_that(path, value, which):
    one = cells()
    one[which] = changed(one[which], path, value)
    with pytest.raises(FairnessError) as caught:
        check(one, "study")
    name = ".".join(path)
    assert f"study: found 1 cell unlike the others in more than the initialisation ({name})" in caught.value.line
    head, *lines = caught.value.details.splitlines()
    assert head.endswith(f" | {one[which].name}")
    assert [line.strip().partition(":")[0] for line in lines] == [name]


def test_an_arm_whose_seeds_started_from_different_weights_is_named():
    one = cells()
    one[5] = changed(one[5], ("start", "weights_sha256"), "other bytes")
    with pytest.raises(FairnessError, match=r"start\.weights_sha256") as caught:
        check(one, "study")
    assert caught.value.details.splitlines() == [
        "faster-rcnn_r18/osm/seed0 | faster-rcnn_r18/osm/seed1",
        "  start.weights_sha256: osmosmosm | other bytes",
    ]


def test_an_arm_may_have_a_pretraining_for_every_seed():
    one = [changed(ran, ("start", "init"), f"{ran.arm}:/pretrained/{ran.seed}") for ran in cells()]
    one = [changed(ran, ("start", "weights_sha256"), f"{ran.arm} {ran.seed}") for ran in one]
    assert check(one, "study").compared == 6


def test_seeds_at_a_fraction_train_on_scenes_of_their_own_and_arms_of_a_seed_do_not():
    at = "faster-rcnn_r18 (5 % of scenes)"
    one = [dataclasses.replace(ran, detector=at) for ran in cells()]
    one = [changed(ran, ("data", "train_scenes", "sha256"), f"scenes of {ran.seed}") for ran in one]
    one = [changed(ran, ("training", "steps"), 120 + ran.seed) for ran in one]
    one = [changed(ran, ("order", "draws"), 480 + 4 * ran.seed) for ran in one]
    one = [changed(ran, ("recipe", "data"), {"subset_seed": ran.seed}) for ran in one]
    assert check(one, "study").compared == 6
    one[4] = changed(one[4], ("data", "train_scenes", "sha256"), "other scenes")
    with pytest.raises(FairnessError, match=r"data\.train_scenes\.sha256"):
        check(one, "study")
    one[4] = changed(cells()[4], ("order", "draws"), 400)
    with pytest.raises(FairnessError, match=r"order\.draws"):
        check([changed(ran, ("order", "draws"), 480) for ran in cells()[:4]] + one[4:], "study")


def test_of_many_cells_each_that_is_not_as_most_are_is_shown():
    one = cells(seeds=range(6))
    one = [changed(ran, ("recipe", "train", "epochs"), 3) if ran.arm == "osm" else ran for ran in one]
    with pytest.raises(FairnessError, match="found 6 cells unlike the others") as caught:
        check(one, "study")
    assert caught.value.details.count("recipe.train.epochs: 12 | 3") == 6


def test_hashes_and_long_values_are_shortened():
    one = cells(arms=("scratch", "osm"), seeds=(0,))
    one[1] = changed(one[1], ("software", "code_sha256"), "d" * 64)
    one[1] = changed(one[1], ("recipe", "train", "precision"), "x" * 200)
    with pytest.raises(FairnessError) as caught:
        check(one, "study")
    assert f"code_sha256: {'c' * 12}… | {'d' * 12}…" in caught.value.details
    assert max(map(len, caught.value.details.splitlines())) < 160


def test_a_learning_rate_may_differ_only_where_it_was_tuned_on_the_same_grid_and_scenes():
    grid = {"lrs": [0.01, 0.02], "seeds": [0], "scenes_sha256": "same"}
    tuned = [
        Ran("d", arm, 0, arm, conditions(arm, lr=lr, tuning=grid)) for arm, lr in (("scratch", 0.01), ("osm", 0.02))
    ]
    verdict = check(tuned, "study")
    assert "identical but for initialisation and for a learning rate that was tuned alike in every arm" in verdict.line
    assert verdict.to_json()["tuned"] is True
    assert "lr" not in verdict.shared["d"]["recipe"]["train"]["optimizer"]
    other = changed(tuned[1], ("tuning", "scenes_sha256"), "other scenes")
    with pytest.raises(FairnessError, match=r"\(tuning\.scenes_sha256\)"):
        check([tuned[0], other], "study")
    # not chosen at all in one arm: then the rates have to be the same
    alone = dataclasses.replace(tuned[0], conditions=conditions("scratch", lr=0.01))
    with pytest.raises(FairnessError, match=r"recipe\.train\.optimizer\.lr") as caught:
        check([alone, tuned[1]], "study")
    assert "tuning: null | " in caught.value.details
    # and an arm has one rate, not one a seed
    seeds = [tuned[1], Ran("d", "osm", 1, "osm 1", conditions("osm", 1, lr=0.01, tuning=grid))]
    with pytest.raises(FairnessError, match=r"recipe\.train\.optimizer\.lr"):
        check(seeds, "study")


def test_cells_that_say_nothing_are_counted_and_not_compared():
    one = cells()
    one[3] = dataclasses.replace(one[3], conditions=None)
    verdict = check(one, "study")
    assert "5 cells compared" in verdict.line
    assert "1 cell left no record of what they ran with and could not be compared" in verdict.line
    assert verdict.to_json()["unknown"] == ["faster-rcnn_r18/scratch/seed1"]
    nothing = check([dataclasses.replace(ran, conditions=None) for ran in one], "study")
    assert nothing.to_json()["identical"] is None
    assert nothing.line.startswith("Fairness lock: nothing could be compared. 6 cells left no record")
    assert "one cell, and no other" in check(one[:1], "study").line


def test_other_detectors_are_another_matter():
    one = cells(arms=("scratch",), seeds=(0,))
    two = dataclasses.replace(changed(one[0], ("recipe", "train", "epochs"), 99), detector="yolov3")
    assert set(check([*one, two], "study").shared) == {"faster-rcnn_r18", "yolov3"}


def test_finished_cells_of_another_version_stop_the_rest_and_name_the_package():
    now = {"software": {"torch": "2.16.0", "code_sha256": "c" * 64}, "device": "cpu"}
    with pytest.raises(FairnessError, match=r"\(software\.torch, git_revision\)") as caught:
        check_software(cells(seeds=(0,), arms=("scratch",)), now, "study")
    assert caught.value.details.splitlines() == [
        "faster-rcnn_r18/scratch/seed0 | this run",
        "  software.torch: 2.15.0 | 2.16.0",
        "  git_revision: abc | unknown",
    ]
    assert "1 cell made by other code, packages or devices than are here (software.torch, git_revision)" in str(
        caught.value
    )
    check_software(cells(), {**now, "software": {**now["software"], "torch": "2.15.0"}}, "study")


# ---------------------------------------------------------------- in the report


def with_conditions(study, change=lambda key, values: values):
    for cell in study.cells:
        values = change((cell.detector, cell.arm, cell.seed), conditions(cell.arm, cell.seed))
        write_sealed(cell.folder / "conditions.json", values)
    return study


@pytest.fixture
def study(tmp_path):
    return a_study(tmp_path / "s", detectors=("faster-rcnn_r18",), seeds=(0, 1), counts=(3, 2))


def test_the_report_shows_the_verdict_and_what_all_cells_ran_with(study, tmp_path):
    write_report(with_conditions(study), tmp_path / "r")
    line = "Fairness lock: 6 cells compared, identical but for initialisation."
    assert line in page_of(tmp_path / "r").text
    assert line in (tmp_path / "r" / "report.md").read_text()
    assert "What every cell of faster-rcnn_r18 ran with" in page_of(tmp_path / "r").text
    assert report_of(tmp_path / "r")["fairness"] == {"compared": 6, "unknown": [], "identical": True, "tuned": False}
    assert report_of(tmp_path / "r")["tuning"] == {}


def test_rows_that_were_made_of_other_cells_take_no_part(study):
    with_conditions(study)
    made = dataclasses.replace(study.cells[-1], arm="imagenet+osm", folder=study.cells[-1].folder / "nowhere")
    arms = (*study.arms, ArmInfo("imagenet+osm", "fusion", "fusion", None, ""))
    verdict = check(ran_with(dataclasses.replace(study, arms=arms, cells=(*study.cells, made))), "study")
    assert (verdict.compared, verdict.unknown) == (6, ())


def test_no_report_is_written_of_cells_that_may_not_be_compared(study, tmp_path):
    def meddle(key, values):
        if key == ("faster-rcnn_r18", "osm", 1):
            values["frozen"]["layer1"]["parameters_frozen"] = 100
        return values

    with pytest.raises(FairnessError, match=r"\(frozen\.layer1\.parameters_frozen\)"):
        write_report(with_conditions(study, meddle), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_record_that_was_changed_or_is_of_another_version_is_no_record(study, tmp_path):
    with_conditions(study)
    path = study.cells[0].folder / "conditions.json"
    path.write_text(path.read_text().replace("bfloat16", "float32"))
    with pytest.raises(DataError, match=r"conditions\.json: found a content with SHA-256"):
        write_report(study, tmp_path / "r")
    write_sealed(path, {**conditions(), "format": 2})
    with pytest.raises(DataError, match="found format 2; expected format 1"):
        write_report(study, tmp_path / "r")


def test_the_command_prints_one_line_and_the_difference_below_it(study, tmp_path, capsys):
    def meddle(key, values):
        if key[1:] == ("imagenet", 0):
            values["order"]["sha256"] = "another order"
        return values

    with_conditions(study, meddle)
    plan = {name: getattr(study, name) for name in ("title", "data", "settings", "versions", "baseline")}
    plan |= {name: list(getattr(study, name)) for name in ("detectors", "seeds", "caveats")}
    plan |= {"arms": [dataclasses.asdict(arm) for arm in study.arms], "skipped": []}
    write_json(tmp_path / "s" / "plan.json", plan)
    for cell in study.cells:
        facts = {name: getattr(cell, name) for name in ("detector", "arm", "seed", "tile", "scene", "seconds")}
        write_json(cell.folder / "cell.json", {**facts, "coverage": cell.coverage})
    with pytest.raises(SystemExit) as caught:
        main(["report", str(tmp_path / "s")])
    assert caught.value.code == 2
    error, *rest = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert "in more than the initialisation (order.sha256); expected the same in every arm" in error
    assert rest == [
        "faster-rcnn_r18/scratch/seed0 | faster-rcnn_r18/imagenet/seed0",
        "  order.sha256: order 0 | another order",
    ]


def test_trials_stand_in_a_table_with_what_was_chosen(tmp_path):
    def trial(arm, lr, ap50, chosen=False, edge=False, diverged=False):
        each = [{"seed": 0, "ap50": ap50, "diverged": diverged}]
        return {
            "detector": "faster-rcnn_r18", "arm": arm, "lr": lr, "ap50": ap50, "per_seed": each, "chosen": chosen,
            "edge": edge,
        }  # fmt: skip

    facts = {"lrs": [0.01, 0.02, 0.04], "seeds": [0], "scenes": 2, "scenes_sha256": "s", "held_out": ["3", "7"]}
    trials = [trial("osm", 0.01, 0.612), trial("osm", 0.02, 0.634, True), trial("osm", 0.04, 0.0, diverged=True)]
    tuning = {
        "rule": "the best", "fraction": 0.2, "split_seed": 0, "detectors": {"faster-rcnn_r18": facts},
        "trials": [*trials, trial("scratch", 0.04, 0.5, True, True)],
    }  # fmt: skip
    study = bare_study({("scratch", 0): 0.5, ("osm", 0): 0.6}, tuning=tuning)
    assert tuning_table(study).rows == (
        ("faster-rcnn_r18", "osm", "0.01", "61.2", "61.2", "–"),
        ("faster-rcnn_r18", "osm", "0.02", "63.4", "63.4", "chosen"),
        ("faster-rcnn_r18", "osm", "0.04", "0.0", "diverged", "–"),
        ("faster-rcnn_r18", "scratch", "0.04", "50.0", "50.0", "chosen, at the edge of the grid"),
    )
    write_report(study, tmp_path)
    assert report_of(tmp_path)["tuning"] == tuning
    assert "on 2 training scenes, with seed 0. What a trial is scored on was held out" in page_of(tmp_path).text
    assert fairness.check([], "nothing").shared == {}


def test_cells_that_share_neither_arm_nor_seed_are_held_against_each_other():
    one, *_, other = cells()
    check([one, other], "study")
    with pytest.raises(FairnessError) as caught:
        check([one, changed(other, ("recipe", "train", "epochs"), 9)], "study")
    assert "recipe.train.epochs: 12 | 9" in caught.value.details


def test_at_a_fraction_the_seed_draws_what_trains_and_not_what_judges():
    def at(seed, part, value):
        found = Ran("d (5 % of scenes)", "scratch", seed, f"d/{seed}", conditions("scratch", seed))
        return changed(found, ("data", part), value)

    check([at(seed, "train_scenes", {"count": 8, "sha256": f"own {seed}"}) for seed in (0, 1)], "study")
    with pytest.raises(FairnessError, match=r"data\.test_scenes\.sha256"):
        check([at(seed, "test_scenes", {"count": 8, "sha256": f"own {seed}"}) for seed in (0, 1)], "study")
