"""The exported network of the finished run: it matches as the trained one did, or is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from osm.data.pairs import SplitRule
from osm.errors import WeightsError
from osm.files import read_json
from osm.matching.dataset import PairDataset
from osm.matching.draws import derangement, generator
from osm.matching.evaluate import Embeddings
from osm.matching.matcher import Matcher
from osm.matching.metrics import auc
from osm.transfer.architectures import build_backbone
from osm.transfer.export import export_tensors, read_export
from osm.transfer.load import load_backbone


@pytest.fixture(scope="module")
def file(finished):
    return finished.work_dir / "bridge_network.safetensors"


@pytest.fixture(scope="module")
def matcher(file):
    return Matcher.load(file)


@pytest.fixture(scope="module")
def patches(finished):
    test = PairDataset(str(finished.data_root), "test", SplitRule())
    samples = [test[number] for number in range(len(test))]
    return [sample["sar"] for sample in samples], [sample["optical"] for sample in samples]


def test_it_repeats_the_figures_of_the_run(matcher, patches, finished):
    metrics = read_json(finished.work_dir / "metrics.json")
    sar, optical = matcher.embed_sar(patches[0]), matcher.embed_optical(patches[1])
    assert sar.shape == optical.shape == (7, 20)
    match = matcher.distances(sar, optical)
    order = derangement(7, generator(0)).numpy()
    assert match.mean() == pytest.approx(metrics["mean_distance"]["match"], abs=1e-5)
    assert auc(match, Embeddings(sar, optical, matcher.contract.space).distances(order)) == metrics["auc"]
    assert matcher.contract.threshold == metrics["threshold"] == 0.38
    assert matcher.contract.chosen_threshold == metrics["at_chosen_threshold"]["threshold"]
    assert (matcher.contract.patch_px, matcher.contract.size_px, matcher.contract.threshold_pairs) == (64, 64, 15)


def test_one_pair_is_judged_as_in_a_batch(matcher, patches):
    sar, optical = patches
    rows = matcher.distances(matcher.embed_sar(sar), matcher.embed_optical(optical))
    verdict = matcher.compare(sar[3], optical[3])
    assert verdict.distance == pytest.approx(rows[3], abs=1e-5)
    assert verdict.match == (verdict.distance <= matcher.contract.chosen_threshold)
    assert matcher.compare(sar[3], optical[3], threshold=1.0).match
    assert not matcher.compare(sar[3], optical[3], threshold=0.0).match


def test_embeddings_that_are_not_as_many_are_refused(matcher, patches):
    rows = matcher.embed_sar(patches[0])
    with pytest.raises(ValueError, match="both must be"):
        matcher.distances(rows[:1], rows)


def test_no_patches_have_no_embeddings(matcher):
    assert matcher.embed_sar(np.empty((0, 64, 64), np.uint8)).shape == (0, 20)


def test_the_sar_branch_is_the_exported_backbone(file, finished):
    both, _ = read_export(file)
    alone, _ = read_export(finished.work_dir / "sar_backbone.safetensors")
    assert all(torch.equal(both[f"sar.backbone.{name}"], value) for name, value in alone.items())


def test_a_single_backbone_is_no_network_and_a_network_no_backbone(file, finished):
    with pytest.raises(WeightsError, match=r"single darknet-narrow backbone.*give bridge_network\.safetensors"):
        Matcher.load(finished.work_dir / "sar_backbone.safetensors")
    with pytest.raises(WeightsError, match=r"both branches.*give sar_backbone\.safetensors"):
        load_backbone(build_backbone("darknet-narrow"), file, architecture="darknet-narrow")


def test_a_changed_value_is_found(file, tmp_path):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    (tmp_path / "changed.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="as exported"):
        Matcher.load(tmp_path / "changed.safetensors")
    (tmp_path / "half.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="no whole safetensors file"):
        Matcher.load(tmp_path / "half.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": "torus"}, "space 'torus'"),
        ({"dimensions": 21}, "do not fit its card"),
        ({"depth": 3}, "does not know"),
    ],
)
def test_a_card_that_does_not_fit_is_named(file, tmp_path, change, message):
    tensors, card = read_export(file)
    export_tensors(tmp_path / "n.safetensors", tensors, replace(card, matching={**card.matching, **change}))
    with pytest.raises(WeightsError, match=message):
        Matcher.load(tmp_path / "n.safetensors")


def test_a_network_trained_on_windows_is_shown_the_middle_of_a_patch(file, patches, tmp_path):
    tensors, card = read_export(file)
    contract = {**card.matching, "size_px": 48}
    for name, crop_px in (("windows", 48), ("whole", 0)):
        settings = {**card.config, "augment": {**card.config["augment"], "crop_px": crop_px}}
        export_tensors(tmp_path / f"{name}.safetensors", tensors, replace(card, config=settings, matching=contract))
    windows, whole = (Matcher.load(tmp_path / f"{name}.safetensors") for name in ("windows", "whole"))
    for modality, stored in zip(("sar", "optical"), patches, strict=True):
        middles = [patch[8:56, 8:56] for patch in stored]
        assert np.array_equal(windows.embed(stored, modality), whole.embed(middles, modality))
        assert not np.allclose(windows.embed(stored, modality), whole.embed(stored, modality))
