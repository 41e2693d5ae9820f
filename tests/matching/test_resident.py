"""Pairs that live on the device give the batches, the losses and the ends that read ones give."""

from __future__ import annotations

import pytest
import torch
from mmengine.runner import Runner

from osm.data.pack import pack_pairs
from osm.errors import ConfigError
from osm.matching import resident
from osm.matching.config import load_settings
from osm.matching.hooks import FiniteLossHook
from osm.matching.pretrain import pretrain
from osm.matching.resident import is_resident, needed_bytes, wants_resident
from osm.matching.runner import loader_config
from osm.transfer.export import read_export

#: Everything that a batch feeds or that draws at random.
VARIED = {
    "model.negatives": "reference",
    "augment.turn": True,
    "augment.speckle_looks": 2.0,
    "augment.brightness": 0.2,
}


@pytest.fixture(scope="module")
def packed(pairs_root, tmp_path_factory):
    store = tmp_path_factory.mktemp("resident") / "packed"
    pack_pairs(pairs_root, store)
    return store


@pytest.mark.parametrize("partners", [False, True])
def test_batches_are_those_of_the_loader_bit_for_bit(demo_config, packed, tiny, partners):
    negatives = "reference" if partners else "in-batch"
    settings = load_settings(demo_config, {**tiny, "model.negatives": negatives})
    loaders = []
    for choice in (False, True):
        config = loader_config(settings, packed, pin_memory=False, resident=choice)
        loaders.append(Runner.build_dataloader(config, seed=0))
    for epoch in range(2):
        for loader in loaders:
            loader.sampler.set_epoch(epoch)
        for first, second in zip(*loaders, strict=True):
            assert first.keys() == second.keys()
            assert ("nonmatch" in first) == partners
            for name, values in first.items():
                assert torch.equal(values, second[name]), name


def losses(monkeypatch) -> list[float]:
    seen = []
    check = FiniteLossHook.after_train_iter

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        seen.append(float(outputs["loss"].detach()))
        check(self, runner, batch_idx, data_batch, outputs)

    monkeypatch.setattr(FiniteLossHook, "after_train_iter", after_train_iter)
    return seen


def test_a_run_ends_the_same_and_so_does_one_that_was_interrupted(demo_config, packed, tiny, tmp_path, monkeypatch):
    seen = losses(monkeypatch)
    options = {**tiny, **VARIED, "train.epochs": 2}
    runs = [
        pretrain(
            demo_config, data_root=packed, work_dir=tmp_path / choice, options={**options, "data.resident": choice}
        )
        for choice in ("off", "on")
    ]
    assert len(seen) == 12
    assert seen[:6] == seen[6:]
    expected, given = (read_export(run.sar_backbone)[0] for run in runs)
    # the run that was resident, as if it had been killed in its second epoch
    (tmp_path / "on" / "epoch_2.pth").unlink()
    runs[1].sar_backbone.unlink()
    again = pretrain(
        demo_config,
        data_root=packed,
        work_dir=tmp_path / "on",
        options={**options, "data.resident": "on"},
        resume=True,
    )
    assert seen[12:] == seen[3:6]
    resumed = read_export(again.sar_backbone)[0]
    for name, value in expected.items():
        assert torch.equal(value, given[name]), name
        assert torch.equal(value, resumed[name]), name


def test_the_log_tells_what_part_of_an_epoch_waits_for_data(finished):
    lines = [line for line in (finished.work_dir / "pretrain.log").read_text().splitlines() if "data_share" in line]
    shares = [float(line.split("data_share: ")[1].split()[0]) for line in lines]
    assert shares
    assert all(0 <= share < 1 for share in shares)


@pytest.mark.parametrize(
    ("choice", "needed", "packed_store", "device", "expected"),
    [
        ("auto", 50, True, "cuda", True),
        ("auto", 51, True, "cuda", False),
        ("auto", 50, False, "cuda", False),
        ("auto", 1, True, "cpu", False),
        ("on", 100, False, "cpu", True),
        ("off", 1, True, "cuda", False),
    ],
)
def test_where_pairs_live(choice, needed, packed_store, device, expected):
    given = is_resident(choice, needed=needed, free=100, packed=packed_store, device_type=device)
    assert given is expected


def test_pairs_that_do_not_fit_are_refused_with_figures(demo_config, packed, tiny, tmp_path, monkeypatch):
    assert needed_bytes(14_000, (256, 256)) == 3_670_016_000
    monkeypatch.setattr(resident, "free_bytes", lambda _: 100_000)
    options = {**tiny, "data.resident": "on"}
    with pytest.raises(ConfigError, match=r"0\.2 MB of training pairs and 0\.1 MB of free .*resident='off'"):
        pretrain(demo_config, data_root=packed, work_dir=tmp_path / "run", options=options)
    assert not (tmp_path / "run").exists()


def test_memory_is_asked_for_only_where_that_matters(packed, monkeypatch):
    monkeypatch.setattr(resident, "free_bytes", lambda _: pytest.fail("asked"))
    assert not wants_resident("off", packed, 10)


def test_another_word_is_refused_with_the_nearest(demo_config):
    with pytest.raises(ConfigError, match=r"data\.resident = 'of'.*write 'off'"):
        load_settings(demo_config, {"data.resident": "of"})
