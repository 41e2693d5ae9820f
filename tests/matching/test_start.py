from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from osm.files import read_json
from osm.matching.network import BridgeNetwork
from osm.matching.pretrain import pretrain
from osm.matching.start import AnchorHook, interpolate, reestimate_batch_norm, weights_of
from osm.transfer.architectures import build_backbone
from osm.transfer.certificate import read_certificate
from osm.transfer.export import read_export
from osm.transfer.initialise import initialise


def images(count, seed=0):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 3 + 5


def test_statistics_are_the_mean_over_batches():
    net = nn.Sequential(nn.BatchNorm2d(3))
    batches = [images(4, seed) for seed in range(3)]
    assert reestimate_batch_norm(net, batches) == 12
    expected = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    spread = torch.stack([batch.var(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    torch.testing.assert_close(net[0].running_mean, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net[0].running_var, spread, rtol=1e-4, atol=1e-5)


def test_statistics_alone_change_and_modes_and_momenta_come_back():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.3), nn.Dropout())
    net.train()
    net[1].eval()
    weights = weights_of(net)
    reestimate_batch_norm(net, [images(4)])
    assert all(torch.equal(weights[name], value) for name, value in net.named_parameters())
    assert net[1].momentum == 0.3
    assert [layer.training for layer in net] == [True, False, True]


def test_statistics_come_back_even_when_a_patch_cannot_be_read():
    net = nn.Sequential(nn.BatchNorm2d(3, momentum=0.3))

    def broken():
        yield images(2)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        reestimate_batch_norm(net, broken())
    assert net[0].momentum == 0.3
    assert net.training


def test_without_patches_nothing_changes():
    net = nn.Sequential(nn.BatchNorm2d(3))
    net[0].running_mean += 2
    assert reestimate_batch_norm(net, []) == 0
    assert net[0].running_mean.tolist() == [2, 2, 2]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_interpolation_is_linear_and_leaves_statistics_alone(share):
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    start = {name: torch.zeros_like(value) for name, value in net.named_parameters()}
    end = weights_of(net)
    net[1].running_mean += 7
    interpolate(net, start, share)
    for name, value in net.named_parameters():
        torch.testing.assert_close(value.detach(), share * end[name])
    assert net[1].running_mean.item() == 7


def test_an_anchor_moves_weights_back_by_the_rate_times_its_strength():
    network = BridgeNetwork("darknet-narrow", frozen=["optical.backbone"])
    network.start()
    hook = AnchorHook(network, strength=2.0)
    slow = {"params": list(network.sar.backbone.conv1.parameters()), "lr": 0.05}
    others = {"params": [p for p in network.parameters() if all(p is not q for q in slow["params"])], "lr": 0.1}
    optimizer = torch.optim.SGD([slow, others])
    runner = SimpleNamespace(optim_wrapper=SimpleNamespace(optimizer=optimizer))
    begun = weights_of(network.sar.backbone)
    hook.before_train(runner)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 1
    hook.before_train_iter(runner, 0)
    hook.after_train_iter(runner, 0)
    for name, value in network.sar.backbone.named_parameters():
        torch.testing.assert_close(value.detach(), begun[name] + (0.9 if name.startswith("conv1.") else 0.8))
    # heads have no start worth keeping, and what is frozen is not moved
    assert len(hook.pairs) == len(begun)


def export(root, config, work, tiny, **options):
    result = pretrain(config, data_root=root, work_dir=work, options={**tiny, "train.epochs": 1, **options})
    return read_export(result.sar_backbone)


def test_an_interpolated_export_lies_between_start_and_end(pairs_root, demo_config, tiny, tmp_path):
    whole, _ = export(pairs_root, demo_config, tmp_path / "whole", tiny)
    half, card = export(pairs_root, demo_config, tmp_path / "half", tiny, **{"finish.interpolate": 0.5})
    begun = build_backbone("darknet-narrow")
    initialise(begun, 0)
    for name, value in begun.named_parameters():
        torch.testing.assert_close(half[name], (value.detach() + whole[name]) / 2, rtol=1e-4, atol=1e-6)
    statistics = [name for name in whole if name.endswith("running_mean")]
    assert any(not torch.equal(half[name], whole[name]) for name in statistics)
    assert card.config["finish"]["interpolate"] == 0.5


def test_a_strong_anchor_keeps_the_start_and_slow_parts_hardly_move(pairs_root, demo_config, tiny, tmp_path):
    free, _ = export(pairs_root, demo_config, tmp_path / "free", tiny)
    tied, _ = export(pairs_root, demo_config, tmp_path / "tied", tiny, **{"train.anchor": 500.0})
    slow, _ = export(pairs_root, demo_config, tmp_path / "slow", tiny, **{"train.lr_mult": {"sar.backbone": 0.01}})
    begun = build_backbone("darknet-narrow")
    initialise(begun, 0)

    def moved(tensors):
        return sum((tensors[name] - value).square().sum().item() for name, value in begun.named_parameters()) ** 0.5

    assert moved(tied) < 0.8 * moved(free)
    assert moved(slow) < 0.05 * moved(free)


def test_statistics_of_the_start_are_those_of_each_modality(pairs_root, demo_config, tiny, tmp_path):
    options = {"start.reestimate_bn": True, "model.frozen": ["optical.backbone", "sar.backbone"]}
    tensors, _ = export(pairs_root, demo_config, tmp_path / "run", tiny, **options)
    name = "conv1.bn.running_mean"
    assert not torch.equal(tensors[name], torch.zeros_like(tensors[name]))
    assert read_json(tmp_path / "run" / "metrics.json")["departures"]
    certificate = read_certificate(tmp_path / "run" / "certificate_sar.json")
    step0 = certificate["step0"]
    assert (step0["equal"], step0["reestimated"]) == (False, True)
    assert len(step0["changed"]) == 40
    assert all(key.endswith(("running_mean", "running_var")) for key in step0["changed"])
    assert all(stage["parameters_frozen"] == stage["parameters"] for stage in certificate["stages"])
    assert all(stage["norms_eval"] == stage["norms"] > 0 for stage in certificate["stages"])
