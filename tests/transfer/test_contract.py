"""Input contracts: what stops, what is only noted, and what is allowed is written down."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.errors import WeightsError
from osm.transfer.architectures import ARCHITECTURES, build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.contract import check_contract, compare_contracts
from osm.transfer.export import export_backbone
from osm.transfer.load import load_backbone

RADIOMETRIES = ("none", "max", "minmax", "percentile:0.5,99.5", "log:0.5,99.5", "linear:0,4000")
PLAIN = InputContract.of("resnet18")


def entries(source, target):
    return [mismatch.entry for mismatch in compare_contracts(source, target)[0]]


@pytest.mark.parametrize(
    ("source", "target", "mismatch", "noted"),
    [
        ("none", "none", [], 0),
        ("percentile:0.5,99.5", "percentile:0.5,99.5", [], 0),
        # the real chain: 8-bit Sentinel-1 pairs as delivered, AIR-SARShip-1.0 of 16 bits by percentiles, SSDD of 8
        ("none", "percentile:0.5,99.5", [], 1),
        ("percentile:0.5,99.5", "none", [], 1),
        ("none", "log:0.5,99.5", [], 1),
        # another gain is no other input; a logarithm is
        ("percentile:1,99", "percentile:0.5,99.5", [], 1),
        ("max", "linear:0,4000", [], 1),
        ("log:0.5,99.5", "log:1,99", [], 1),
        ("log:0.5,99.5", "percentile:0.5,99.5", ["radiometry"], 0),
        ("linear:0,4000", "log:0.5,99.5", ["radiometry"], 0),
    ],
)
def test_a_radiometry_that_ends_in_the_same_bits_stops_only_where_one_is_logarithmic(source, target, mismatch, noted):
    found, notes = compare_contracts(replace(PLAIN, radiometry=source), replace(PLAIN, radiometry=target))
    assert [entry.entry for entry in found] == mismatch
    assert len(notes) == noted


@pytest.mark.parametrize(
    "change",
    [{"bands": 3}, {"bit_depth": 16}, {"replicate_to": 1}, {"mean": (0.0, 0.0, 0.0)}, {"std": (1.0, 1.0, 1.0)}],
)
def test_what_is_fed_numerically_has_to_be_equal(change):
    assert entries(replace(PLAIN, **change), PLAIN) == list(change)


contracts = st.builds(
    InputContract,
    mean=st.tuples(*[st.sampled_from([0.0, 100.0])] * 3),
    std=st.tuples(*[st.sampled_from([1.0, 50.0])] * 3),
    bands=st.sampled_from([1, 3]),
    bit_depth=st.sampled_from([8, 16]),
    radiometry=st.sampled_from(RADIOMETRIES),
)


@given(contracts, contracts)
def test_disagreement_is_mutual_and_nobody_disagrees_with_himself(one, other):
    assert set(entries(one, other)) == set(entries(other, one))
    assert compare_contracts(one, one) == ((), ())
    found, notes = compare_contracts(one, other)
    assert bool(found or notes) == (one != other)


def test_weights_without_a_card_of_their_training_are_called_unknown_and_do_not_stop(tmp_path):
    check = check_contract("w.pth", None, PLAIN, allowed=False)
    assert check.agree is None
    assert "ImageNet photographs" in check.source_said
    imported = Card("resnet18", PLAIN, start={"imported_from": "timm"})
    assert "imported from timm" in check_contract("w", imported, replace(PLAIN, bands=3), allowed=False).source_said


def test_a_mismatch_stops_in_one_line_and_leaves_the_backbone_alone(tmp_path):
    source = build_backbone("darknet-narrow")
    path = tmp_path / "w.safetensors"
    contract = replace(InputContract.of("darknet-narrow"), radiometry="log:0.5,99.5")
    export_backbone(path, source, Card("darknet-narrow", contract))
    target = build_backbone("darknet-narrow")
    before = {key: value.clone() for key, value in target.state_dict().items()}
    feeds = InputContract.of("darknet-narrow", radiometry="percentile:0.5,99.5")
    with pytest.raises(WeightsError, match=r"w\.safetensors.*SAR mapped by log.*--allow-contract-mismatch") as caught:
        load_backbone(target, path, architecture="darknet-narrow", feeds=feeds)
    assert "\n" not in caught.value.line
    assert "data.radiometry=log:0.5,99.5" in caught.value.line
    assert all(value.equal(before[key]) for key, value in target.state_dict().items())
    certificate = load_backbone(target, path, architecture="darknet-narrow", feeds=feeds, allow_mismatch=True)
    assert certificate.contract.allowed
    assert certificate.contract.agree is False
    agreeing = load_backbone(target, path, architecture="darknet-narrow", feeds=contract, allow_mismatch=True)
    assert not agreeing.contract.allowed


def test_every_architecture_agrees_with_itself():
    for name in ARCHITECTURES:
        assert compare_contracts(InputContract.of(name), InputContract.of(name)) == ((), ())
