from __future__ import annotations

import pytest

from osm.compat.device import pick_device, precision_on
from osm.matching.config import load_settings
from osm.matching.reference import departures


def departed(root, name, split="paper", overrides=None) -> dict[str, object]:
    settings = load_settings(root / "configs" / "pretrain" / f"{name}.py", overrides)
    return {entry["setting"]: entry["here"] for entry in departures(settings, split)}


def test_the_faithful_config_departs_where_its_comment_says_and_nowhere_else(repo_root):
    # bfloat16 where this machine has instructions for it
    here = {"train.precision": "bfloat16"} if precision_on("auto", pick_device("auto")) == "bfloat16" else {}
    assert departed(repo_root, "bnn_resnet50") == {"model.negatives": "in-batch", **here}
    low = departed(repo_root, "bnn_resnet50", overrides={"train.precision": "bfloat16"})
    assert low == {"model.negatives": "in-batch", "train.precision": "bfloat16"}


def test_nothing_departs_once_those_two_are_said(repo_root):
    exact = {"model.negatives": "reference", "train.precision": "float32"}
    assert departed(repo_root, "bnn_resnet50", overrides=exact) == {}


def test_darknet_is_fed_as_its_weights_want(repo_root):
    assert set(departed(repo_root, "bnn_darknet53")) >= {"input.mean", "input.std"}


@pytest.mark.parametrize(
    ("overrides", "setting"),
    [
        ({"train.optimizer.momentum": 0.9}, "train.optimizer"),
        ({"model.loss.alpha": 2.0}, "model.loss"),
        ({"data.size_px": 128}, "data.size_px"),
        ({"augment.turn": True}, "augment.turn"),
        ({"augment.speckle_looks": 4.0}, "augment.speckle_looks"),
    ],
)
def test_a_changed_setting_departs(repo_root, overrides, setting):
    assert setting in departed(repo_root, "bnn_resnet50", overrides=overrides)


def test_the_split_that_was_made_counts(repo_root):
    assert departed(repo_root, "bnn_resnet50", split="scene")["data.split"] == "scene"


def test_the_recipes_of_table_ii_depart_in_nothing_but_what_darknet_is_fed(repo_root):
    assert departed(repo_root, "bnn_resnet50_qxs-saropt") == {}
    assert set(departed(repo_root, "bnn_darknet53_qxs-saropt")) == {"input.mean", "input.std"}


@pytest.mark.parametrize("name", ["bnn_resnet50_qxs-saropt", "bnn_darknet53_qxs-saropt"])
def test_the_recipes_of_table_ii_name_the_split_of_the_paper(repo_root, name):
    settings = load_settings(repo_root / "configs" / "pretrain" / f"{name}.py")
    assert settings.data.split == "paper"
    assert settings.init_min_coverage == 1.0


def test_a_random_start_departs(repo_root):
    settings = load_settings(repo_root / "configs" / "pretrain" / "bnn_resnet50_qxs-saropt.py")
    assert departures(settings, "paper", coverage=0.0) == [{"setting": "init coverage", "reference": 1.0, "here": 0.0}]
