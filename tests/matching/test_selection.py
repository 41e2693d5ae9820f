from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.errors import ConfigError
from osm.files import read_json
from osm.matching.pretrain import pretrain
from osm.matching.selection import Candidate, best
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
