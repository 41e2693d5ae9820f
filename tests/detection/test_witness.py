"""What a witness of a training sees: the draws, and the detector at its first step."""

import json

import pytest
import torch
from torch import nn

from osm.detection.witness import Draws, Witness, count_rest, digest_rest


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
        self.neck = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
        self.head = nn.Linear(3, 1)

    @property
    def keys(self):
        return {f"backbone.{key}" for key in self.backbone.state_dict()}


@pytest.fixture
def toy():
    torch.manual_seed(0)
    return Toy()


def order(*codes, most=4):
    draws = Draws(most)
    for code in codes:
        draws.note(code)
    return draws.to_json()


def test_the_order_is_that_of_the_first_draws_turns_included():
    assert order(1, 2, 3) == order(1, 2, 3)
    assert order(1, 2, 3)["sha256"] not in (order(2, 1, 3)["sha256"], order(1, 2)["sha256"], order(12, 3)["sha256"])
    assert order(1, 2, 3, 4, 5) == order(1, 2, 3, 4, 6) == {"draws": 4, "sha256": order(1, 2, 3, 4)["sha256"]}


def test_what_is_beside_the_backbone_is_hashed_and_the_backbone_is_not(toy):
    before = digest_rest(toy, toy.keys)
    nn.init.zeros_(toy.backbone[0].weight)
    toy.neck[1].num_batches_tracked += 1
    assert digest_rest(toy, toy.keys) == before
    for part in (toy.neck[0].weight, toy.neck[1].running_mean, toy.head.bias):
        with torch.no_grad():
            part += 1
        assert digest_rest(toy, toy.keys) != before
        with torch.no_grad():
            part -= 1


def test_what_is_frozen_beside_the_backbone_is_counted(toy):
    toy.train()
    everything = 2 * 3 + 3 + 6 + 3 + 1
    assert count_rest(toy, toy.keys) == {
        "parameters": everything, "parameters_frozen": 0, "norms": 1, "norms_eval": 0,
    }  # fmt: skip
    toy.backbone.eval().requires_grad_(False)  # the certificate's matter
    assert count_rest(toy, toy.keys)["parameters_frozen"] == 0
    toy.neck.eval()
    toy.head.requires_grad_(False)
    assert count_rest(toy, toy.keys) == {
        "parameters": everything, "parameters_frozen": 4, "norms": 1, "norms_eval": 1,
    }  # fmt: skip


def test_it_writes_at_each_stage_and_a_resumed_one_keeps_what_was_seen_at_the_first_step(toy, tmp_path):
    path = tmp_path / "conditions.json"

    def written():
        return json.loads(path.read_text())

    witness = Witness(path, {"seed": 3})
    assert (written()["seed"], written()["step0"]) == (3, None)
    witness.at_step0(toy, toy.keys)
    seen = written()["step0"]
    assert seen["beside_the_backbone"]["parameters"] == 19
    witness.draws.note(5)
    witness.finish({"training": {"steps": 1}})
    assert written()["order"]["draws"] == 1
    resumed = Witness(path, {"seed": 3}, resume=True)
    assert written()["step0"] == seen
    resumed.draws.note(6)
    resumed.finish({})
    assert (written()["step0"], written()["order"]) == (seen, None)
    Witness(path, {"seed": 3})
    assert written()["step0"] is None
