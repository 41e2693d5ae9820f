"""Certificates: by their schema, with the hashes at load and at step 0, and damage is found."""

import json
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from jsonschema import Draft202012Validator
from torch import nn

from osm.errors import DataError, WeightsError
from osm.transfer.architectures import ARCHITECTURES, build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.certificate import read_certificate, schema
from osm.transfer.export import export_backbone
from osm.transfer.initialise import initialise
from osm.transfer.load import certify_random, load_backbone
from osm.transfer.step0 import CertificateHook

NAME = "darknet-narrow"


def valid(content):
    Draft202012Validator(schema()).validate(content)
    return content


def written(certificate, path):
    certificate.write(path)
    return valid(json.loads(path.read_text()))


@pytest.fixture
def loaded(tmp_path):
    """A backbone of which one stage stayed random, and its certificate."""
    state = build_backbone(NAME).state_dict()
    torch.save({key: value for key, value in state.items() if "block5" not in key}, tmp_path / "part.pth")
    backbone = build_backbone(NAME)
    certificate = load_backbone(
        backbone, tmp_path / "part.pth", architecture=NAME, min_coverage=0.5, target="yolov3_darknet-narrow"
    )
    return backbone, certificate


def test_the_schema_is_one_of_draft_2020_12():
    Draft202012Validator.check_schema(schema())


def test_what_is_written_follows_the_schema_and_is_read_back(loaded, tmp_path):
    backbone, certificate = loaded
    for number, one in enumerate(
        (
            certificate,
            certificate.at_step0(backbone),
            certify_random(backbone, architecture=NAME),
            replace(certificate, contract=None, stages=()),
        )
    ):
        path = tmp_path / f"{number}.json"
        content = written(one, path)
        assert read_certificate(path) == content
        assert content["coverage"] == one.coverage


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c.pop("step0"),
        lambda c: c.update(coverage=1.5),
        lambda c: c.update(surprise=1),
        lambda c: c["contract"].update(allowed=True),
        lambda c: c["filled"][0].update(sha256_after="short"),
        lambda c: c.update(schema="osm-certificate-2"),
    ],
)
def test_the_schema_refuses_what_is_no_certificate(loaded, tmp_path, damage):
    content = written(loaded[1], tmp_path / "c.json")
    damage(content)
    assert list(Draft202012Validator(schema()).iter_errors(content))


def test_coverage_is_counted_stage_by_stage(loaded):
    backbone, certificate = loaded
    stages = {stage.name: stage for stage in certificate.stages}
    assert tuple(stages) == ARCHITECTURES[NAME].stages
    assert stages["conv_res_block5"].tensors_filled == stages["conv_res_block5"].parameters_filled == 0
    for name, stage in stages.items():
        if name != "conv_res_block5":
            assert (stage.tensors_filled, stage.parameters_filled) == (stage.tensors, stage.parameters)
        module = getattr(backbone, name)
        assert stage.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert sum(stage.tensors for stage in stages.values()) == len(certificate.filled) + len(certificate.random)
    assert sum(stage.tensors_filled for stage in stages.values()) == len(certificate.filled)


def test_what_is_frozen_is_that_of_the_model_that_is_trained():
    backbone = build_backbone("resnet18")
    certificate = certify_random(backbone, architecture="resnet18")
    assert {stage.parameters_frozen for stage in certificate.stages} == {0}
    backbone.layer1.requires_grad_(False)
    backbone.train()
    backbone.layer1.eval()
    stages = {stage.name: stage for stage in certificate.at_step0(backbone).stages}
    assert stages["layer1"].parameters_frozen == stages["layer1"].parameters
    assert (stages["layer1"].norms_eval, stages["layer1"].norms) == (4, 4)
    assert (stages["layer2"].parameters_frozen, stages["layer2"].norms_eval) == (0, 0)


class Part(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone


def first_step(hook, backbone, step=0):
    hook.before_train_iter(SimpleNamespace(iter=step, model=Part(backbone)), 0)


def test_the_first_step_is_written_equal_or_not(loaded, tmp_path):
    backbone, certificate = loaded
    path = tmp_path / "certificate.json"
    first_step(CertificateHook(certificate, path), backbone, step=1)
    assert not path.exists()
    first_step(CertificateHook(certificate, path), backbone)
    content = valid(read_certificate(path))
    assert content["step0"] == {
        "sha256": content["sha256_at_load"], "equal": True, "changed": [], "reestimated": False,
    }  # fmt: skip
    backbone.conv1.conv.weight.data += 1
    with pytest.raises(WeightsError, match=r"changed before the first step \(conv1\.conv\.weight first\)"):
        first_step(CertificateHook(certificate, path), backbone)
    # the proof of the failure stays
    content = valid(read_certificate(path))
    assert content["step0"]["equal"] is False
    assert content["step0"]["changed"] == ["conv1.conv.weight"]
    assert content["step0"]["sha256"] != content["sha256_at_load"]


def test_statistics_that_were_estimated_anew_are_said_and_do_not_stop(loaded, tmp_path):
    backbone, certificate = loaded
    backbone.conv1.bn.running_mean += 1
    with pytest.raises(WeightsError, match="running_mean"):
        first_step(CertificateHook(certificate, tmp_path / "c.json"), backbone)
    first_step(CertificateHook(certificate, tmp_path / "c.json", reestimated=True), backbone)
    step0 = read_certificate(tmp_path / "c.json")["step0"]
    assert (step0["equal"], step0["changed"], step0["reestimated"]) == (False, ["conv1.bn.running_mean"], True)
    backbone.conv1.bn.weight.data += 1
    with pytest.raises(WeightsError, match=r"1 of 100 .*conv1\.bn\.weight"):
        first_step(CertificateHook(certificate, tmp_path / "c.json", reestimated=True), backbone)


def test_a_resumed_run_keeps_what_its_first_session_found(loaded, tmp_path):
    backbone, certificate = loaded
    path = tmp_path / "certificate.json"
    assert certificate.resumed(path) is certificate
    first_step(CertificateHook(certificate, path), backbone)
    assert certificate.resumed(path).step0.equal
    other = build_backbone(NAME)
    initialise(other, 5)
    assert certify_random(other, architecture=NAME).resumed(path).step0 is None


def test_a_flipped_bit_of_a_certificate_changes_nothing_or_is_found(loaded, tmp_path):
    backbone, certificate = loaded
    path = tmp_path / "certificate.json"
    content = written(certificate.at_step0(backbone), path)
    whole = path.read_bytes()
    draw = random.Random(0)
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            found = read_certificate(path)
        except DataError:
            continue
        assert found == content  # white space alone


def test_certificates_of_before_the_schema_are_read_and_others_refused(tmp_path):
    path = tmp_path / "certificate.json"
    earlier = {"format": 1, "coverage": 1.0, "backbone_sha256": {}, "filled": [], "random": []}
    path.write_text(json.dumps(earlier))
    assert read_certificate(path) == earlier
    for other in ({"format": 2, "backbone_sha256": {}}, {"schema": "osm-certificate-2"}, [1], {"format": 1}):
        path.write_text(json.dumps(other))
        with pytest.raises(DataError, match=r"certificate\.json.*expected a certificate \(osm-certificate-1\)"):
            read_certificate(path)


def test_the_contract_that_was_let_pass_is_in_the_file(tmp_path):
    path = tmp_path / "w.safetensors"
    contract = replace(InputContract.of(NAME), bit_depth=16)
    export_backbone(path, build_backbone(NAME), Card(NAME, contract))
    certificate = load_backbone(build_backbone(NAME), path, architecture=NAME, allow_mismatch=True)
    content = written(certificate, tmp_path / "c.json")["contract"]
    assert (content["allowed"], content["agree"]) == (True, False)
    assert content["mismatches"] == [{"entry": "bit_depth", "source": 16, "target": 8}]
