from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.errors import ConfigError
from osm.files import read_json, write_json
from osm.matching.pretrain import pretrain
from osm.matching.selection import Candidate, SelectionHook, best
from osm.transfer.export import read_export, tensors_sha256


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0, 1))
def test_the_best_is_the_earliest_trained_epoch_of_the_highest_score(scores, start):
    candidates = [Candidate(0, start), *(Candidate(epoch, score) for epoch, score in enumerate(scores, start=1))]
    chosen = best(candidates)
    assert chosen.score == max(scores)
    assert chosen.epoch == 1 + scores.index(max(scores))


def judging(scores, seen):
    """A judge that gives the scores in turn and remembers what it was shown."""
    left = iter(scores)

    def judge(path):
        tensors, _ = read_export(path)
        seen.append(tensors_sha256(tensors))
        return next(left)

    return judge


def run(root, config, work, tiny, judge, **more):
    options = {**tiny, "train.select_every_epochs": 2}
    return pretrain(config, data_root=root, work_dir=work, options=options, judge=judge, **more)


def test_the_epoch_that_is_liked_best_is_exported(pairs_root, demo_config, tiny, tmp_path):
    seen: list[str] = []
    # the start is liked best of all, and is no candidate
    result = run(pairs_root, demo_config, tmp_path / "run", tiny, judging([0.9, 0.5, 0.4], seen))
    assert len(set(seen)) == 3
    tensors, _ = read_export(result.sar_backbone)
    assert tensors_sha256(tensors) == seen[1]
    selection = read_json(result.metrics)["selection"]
    assert (selection["epoch"], selection["score"], selection["score_of_start"]) == (2, 0.5, 0.9)
    assert [entry["epoch"] for entry in selection["candidates"]] == [0, 2, 4]


def test_an_interrupted_selection_goes_on_and_asks_about_nothing_twice(pairs_root, demo_config, tiny, tmp_path):
    straight: list[str] = []
    whole = run(pairs_root, demo_config, tmp_path / "whole", tiny, judging([0.1, 0.2, 0.3], straight))
    seen: list[str] = []
    with pytest.raises(StopIteration):  # the third question finds nobody, in the middle of the run
        run(pairs_root, demo_config, tmp_path / "cut", tiny, judging([0.1, 0.2], seen))
    result = run(pairs_root, demo_config, tmp_path / "cut", tiny, judging([0.3], seen), resume=True)
    tensors = [read_export(path.sar_backbone)[0] for path in (whole, result)]
    assert tensors_sha256(tensors[0]) == tensors_sha256(tensors[1])
    assert read_json(result.metrics)["selection"] == read_json(whole.metrics)["selection"]


@pytest.mark.parametrize("every", [0, 2])
def test_a_judge_and_a_number_of_epochs_belong_together(pairs_root, demo_config, tiny, tmp_path, every):
    judge = None if every else judging([], [])
    options = {**tiny, "train.select_every_epochs": every}
    with pytest.raises(ConfigError, match="--probe-root"):
        pretrain(demo_config, data_root=pairs_root, work_dir=tmp_path / "run", options=options, judge=judge)


def test_a_choice_that_is_made_anew_after_an_interruption_finds_its_file(pairs_root, demo_config, tiny, tmp_path):
    """The run is cut after its last candidate led and before the checkpoint of that epoch; asked again, it does not."""
    seen: list[str] = []
    options = {**tiny, "train.select_every_epochs": 1, "train.epochs": 3, "train.checkpoint_every_epochs": 1}
    work = tmp_path / "run"

    def cut(path):
        # what the last epoch's candidate did, done by hand: it led, and the run ended there
        raise KeyboardInterrupt

    scores = iter([0.1, 0.5, 0.2])

    def judge(path):
        try:
            return next(scores)
        except StopIteration:
            return cut(path)

    common = {"data_root": pairs_root, "work_dir": work, "options": options}
    with pytest.raises(KeyboardInterrupt):
        pretrain(demo_config, judge=judge, **common)
    # the record of a third candidate that led: all files that it made useless are gone
    record = work / "selection.json"
    entries = [*read_json(record)["candidates"], {"epoch": 3, "score": 0.9}]
    write_json(record, {"candidates": entries})
    hook = SelectionHook(work, judging([], seen), 1, None, None)
    hook.candidates = [Candidate(**entry) for entry in entries]
    hook._forget_the_rest()
    result = pretrain(demo_config, judge=judging([0.3], seen), resume=True, **common)
    assert read_json(result.metrics)["selection"]["epoch"] == 1
    # and in the end one file is left
    assert [path.name for path in (work / "candidates").iterdir()] == ["epoch_1.safetensors"]
