from __future__ import annotations

import math

import pytest
import torch

from osm.matching.objectives import Encoded, EncodedPairs, InfoNCE, MomentumQueue


def pairs(sar, optical, keys=None) -> EncodedPairs:
    order = torch.arange(len(sar)).roll(1)
    encoded = Encoded(sar, {}), Encoded(optical, {})
    held = None if keys is None else tuple(Encoded(rows, {}) for rows in keys)
    return EncodedPairs(*encoded, encoded[1].rows(order), order, keys=held)


def rows(count, seed, dimensions=6):
    return torch.randn(2, count, dimensions, generator=torch.Generator().manual_seed(seed))


def test_infonce_agrees_with_pytorch_metric_learning():
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    sar, optical = rows(8, 0)
    labels = torch.arange(8)
    upstream = losses.NTXentLoss(temperature=0.2)
    expected = (
        upstream(sar, labels, ref_emb=optical, ref_labels=labels.clone())  # the same object would mean: no partner
        + upstream(optical, labels, ref_emb=sar, ref_labels=labels.clone())
    ) / 2
    assert InfoNCE(0.2)(pairs(sar, optical)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_infonce_of_equal_embeddings_is_log_n():
    same = torch.ones(5, 4)
    assert InfoNCE()(pairs(same, same)).item() == pytest.approx(math.log(5), rel=1e-5)


def test_a_learned_temperature_moves_and_a_fixed_one_does_not():
    assert len(list(InfoNCE(learned=True).parameters())) == 1
    assert list(InfoNCE(learned=False).parameters()) == []
    assert "log_scale" in InfoNCE(learned=False).state_dict()


def test_the_temperature_has_a_floor():
    objective = InfoNCE(0.01)
    with torch.no_grad():
        objective.log_scale += 5
    assert float(objective.scale()) == pytest.approx(100.0)


@pytest.mark.parametrize("temperature", [0.0, 0.001, 11.0])
def test_a_temperature_out_of_range_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        InfoNCE(temperature)


def test_an_empty_queue_is_infonce_against_the_keys_of_the_batch():
    sar, optical = rows(5, 1)
    queue = MomentumQueue(8, dimensions=6, temperature=0.1)
    expected = InfoNCE(0.1)(pairs(sar, optical))
    assert float(queue(pairs(sar, optical, (sar, optical)))) == pytest.approx(float(expected), rel=1e-5)


def test_the_queue_holds_the_newest_keys_and_forgets_the_oldest():
    queue = MomentumQueue(4, dimensions=6)
    batches = [rows(3, seed) for seed in range(3)]
    for sar, optical in batches:
        queue(pairs(sar, optical, (sar, optical)))
    newest = torch.nn.functional.normalize(torch.cat([sar for sar, _ in batches])[-4:], dim=1)
    held = queue.queues[0]
    assert int(queue.written) == 9
    assert sorted(held.sum(dim=1).tolist()) == pytest.approx(sorted(newest.sum(dim=1).tolist()), rel=1e-5)


def test_keys_in_the_queue_are_negatives():
    sar, optical = rows(4, 2)
    queue = MomentumQueue(16, dimensions=6)
    before = float(queue(pairs(sar, optical, (sar, optical))))
    # the same batch again: its own keys are in the queue now, as like as the partners themselves
    again = float(queue(pairs(sar, optical, (sar, optical))))
    assert again > before


def test_evaluation_leaves_the_queue_alone():
    sar, optical = rows(4, 3)
    queue = MomentumQueue(16, dimensions=6).eval()
    queue(pairs(sar, optical, (sar, optical)))
    assert int(queue.written) == 0


def test_without_keys_it_says_what_is_missing():
    with pytest.raises(ValueError, match="keys"):
        MomentumQueue(4, dimensions=6)(pairs(*rows(3, 0)))


@pytest.mark.parametrize(("options", "named"), [({"size": 0}, "size"), ({"momentum": 1.0}, "momentum")])
def test_a_bad_option_is_refused(options, named):
    with pytest.raises(ValueError, match=named):
        MomentumQueue(**options)
