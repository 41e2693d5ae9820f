"""Loading: what arrives is certified, what does not fit stops, and nothing is changed by a refusal."""

import pickle

import pytest
import torch
from torchvision.models import resnet18 as torchvision_resnet18

from osm.errors import ConfigError, WeightsError
from osm.transfer.architectures import ARCHITECTURES, architecture, build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.certificate import backbone_digests
from osm.transfer.export import export_backbone
from osm.transfer.initialise import initialise
from osm.transfer.load import certify_random, fits, load_backbone


def backbone(name="darknet-narrow", seed=0):
    module = build_backbone(name)
    initialise(module, seed)
    return module


def export(path, name="darknet-narrow", seed=1, **card):
    export_backbone(path, backbone(name, seed), Card(name, InputContract.of(name), **card))
    return path


def test_an_export_fills_everything(tmp_path):
    path = export(tmp_path / "w.safetensors")
    target = backbone()
    certificate = load_backbone(target, path, architecture="darknet-narrow")
    assert certificate.coverage == 1.0
    assert certificate.complete
    assert backbone_digests(target) == backbone_digests(backbone(seed=1))
    assert certificate.source_architecture == "darknet-narrow"
    first = certificate.filled[0]
    assert first.sha256_before == backbone_digests(backbone())[first.target]
    assert first.sha256_after == certificate.backbone_sha256[first.target]


def test_torchvision_weights_give_torchvisions_features(tmp_path):
    torch.manual_seed(0)
    source = torchvision_resnet18(weights=None).eval()
    # statistics other than 0 and 1, so that a lost buffer shows
    for module in source.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    torch.save(source.state_dict(), tmp_path / "r18.pth")
    target = backbone("resnet18")
    certificate = load_backbone(target, tmp_path / "r18.pth", architecture="resnet18")
    assert certificate.unused == ("fc.weight", "fc.bias")
    target.eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        x = source.maxpool(source.relu(source.bn1(source.conv1(image))))
        expected = source.layer4(source.layer3(source.layer2(source.layer1(x))))
        assert torch.allclose(target(image)[0], expected, atol=1e-5)


def test_a_detectors_checkpoint_gives_its_backbone(tmp_path):
    source = backbone(seed=3)
    content = {"backbone." + key: value for key, value in source.state_dict().items()}
    content["neck.weight"] = torch.zeros(2)
    torch.save({"state_dict": content, "meta": {}}, tmp_path / "detector.pth")
    target = backbone()
    certificate = load_backbone(target, tmp_path / "detector.pth", architecture="darknet-narrow")
    assert backbone_digests(target) == backbone_digests(source)
    assert certificate.unused == ("neck.weight",)
    assert certificate.filled[0].source.startswith("backbone.")


def test_absence_is_tolerated_down_to_the_threshold_and_written_down(tmp_path):
    source = backbone(seed=3).state_dict()
    lost = [key for key in source if key.startswith("conv_res_block5")]
    torch.save({key: value for key, value in source.items() if key not in lost}, tmp_path / "part.pth")
    target = backbone()
    untouched = backbone_digests(target)
    with pytest.raises(WeightsError, match=r"part\.pth: found 85 of the 100 tensors.*coverage 0\.85.*at least 1\.00"):
        load_backbone(target, tmp_path / "part.pth", architecture="darknet-narrow")
    assert backbone_digests(target) == untouched
    certificate = load_backbone(target, tmp_path / "part.pth", architecture="darknet-narrow", min_coverage=0.85)
    assert certificate.coverage == pytest.approx(0.85)
    assert all(key.startswith("conv_res_block5") for key in certificate.random)
    assert {certificate.backbone_sha256[key] for key in certificate.random} <= set(untouched.values())


@pytest.mark.parametrize("min_coverage", [0.0, 1.0])
def test_weights_of_another_architecture_stop_at_any_threshold(tmp_path, min_coverage):
    torch.save(torchvision_resnet18(weights=None).state_dict(), tmp_path / "r18.pth")
    for name in ("resnet50", "darknet53"):
        with pytest.raises(WeightsError, match=rf"r18\.pth.*{name}"):
            load_backbone(build_backbone(name), tmp_path / "r18.pth", architecture=name, min_coverage=min_coverage)
    path = export(tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="a backbone of darknet-narrow"):
        load_backbone(backbone("resnet18"), path, architecture="resnet18", min_coverage=min_coverage)


def test_a_wrong_prefix_is_not_taken_for_absence(tmp_path):
    source = {"encoder." + key: value for key, value in backbone(seed=3).state_dict().items()}
    torch.save(source, tmp_path / "prefixed.pth")
    with pytest.raises(WeightsError, match=r"a tensor encoder\.conv1"):
        load_backbone(backbone(), tmp_path / "prefixed.pth", architecture="darknet-narrow", min_coverage=0.0)


def test_other_input_statistics_stop(tmp_path):
    path = tmp_path / "w.safetensors"
    export_backbone(path, backbone(), Card("darknet-narrow", InputContract(mean=(1.0, 2.0, 3.0), std=(1.0, 1.0, 1.0))))
    with pytest.raises(WeightsError, match="normalised by mean"):
        load_backbone(backbone(), path, architecture="darknet-narrow")


def test_weights_that_diverged_stop(tmp_path):
    source = backbone()
    source.conv1.conv.weight.data[0] = float("nan")
    torch.save(source.state_dict(), tmp_path / "nan.pth")
    with pytest.raises(WeightsError, match="NaN or infinity in conv1"):
        load_backbone(backbone(), tmp_path / "nan.pth", architecture="darknet-narrow")


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path):
    with (tmp_path / "evil.pth").open("wb") as stream:
        pickle.dump({"conv1.weight": Malicious(tmp_path / "marker")}, stream, protocol=2)
    with pytest.raises(WeightsError, match=r"evil\.pth.*can run code"):
        load_backbone(backbone(), tmp_path / "evil.pth", architecture="darknet-narrow")
    torch.save({"conv1.weight": Malicious(tmp_path / "marker")}, tmp_path / "evil2.pth")
    with pytest.raises(WeightsError, match=r"evil2\.pth.*can run code"):
        load_backbone(backbone(), tmp_path / "evil2.pth", architecture="darknet-narrow")
    assert not (tmp_path / "marker").exists()


def test_broken_and_missing_files_are_named(tmp_path):
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 cut short")
    (tmp_path / "empty.pth").write_bytes(b"")
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    for name in ("cut.pth", "empty.pth", "none.pth", "absent.pth"):
        with pytest.raises(WeightsError, match=name.replace(".", r"\.")):
            load_backbone(backbone(), tmp_path / name, architecture="darknet-narrow")


def test_fits_tells_architectures_apart(tmp_path):
    path = export(tmp_path / "w.safetensors")
    assert fits(path, backbone(), architecture="darknet-narrow")
    assert not fits(path, backbone("resnet18"), architecture="resnet18")


def test_the_certificate_notices_a_change_after_loading(tmp_path):
    target = backbone()
    certificate = load_backbone(target, export(tmp_path / "w.safetensors"), architecture="darknet-narrow")
    certificate.check(target)
    target.conv_res_block3.conv.conv.weight.data[0, 0, 0, 0] += 1e-6
    with pytest.raises(WeightsError, match="1 of 100 backbone tensors changed"):
        certificate.check(target)
    random = certify_random(target, architecture="darknet-narrow")
    random.check(target)
    target.conv1.bn.running_mean += 1
    with pytest.raises(WeightsError, match=r"conv1\.bn\.running_mean"):
        random.check(target)


def test_the_draw_depends_on_the_seed_alone():
    torch.manual_seed(1)
    one = backbone_digests(backbone(seed=5))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert backbone_digests(backbone(seed=5)) == one
    assert backbone_digests(backbone(seed=6)) != one
    module = build_backbone("darknet-narrow")
    torch.set_rng_state(state)
    initialise(module, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_scheme_is_pytorchs_default_without_zeroed_residuals():
    module = backbone("resnet18")
    weight = module.layer1[0].conv1.weight.detach()
    bound = 1 / (64 * 9) ** 0.5  # kaiming_uniform with a = sqrt(5): 1 / sqrt(fan in)
    assert weight.abs().max() <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.02)
    assert all(bool((m.weight == 1).all()) for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d))
    with pytest.raises(ConfigError, match="kaiming"):
        initialise(module, 0, "kaiming")


@pytest.mark.parametrize(("name", "million"), [("resnet18", 11.18), ("resnet50", 23.51), ("darknet53", 40.58)])
def test_backbones_are_the_published_ones_and_nothing_in_them_is_frozen(name, million):
    module = build_backbone(name)
    assert sum(p.numel() for p in module.parameters()) / 1e6 == pytest.approx(million, abs=0.01)
    module.train()
    assert all(p.requires_grad for p in module.parameters())
    assert all(m.training for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert module(torch.zeros(1, 3, 64, 64))[0].shape == (1, ARCHITECTURES[name].channels[-1], 2, 2)


def test_an_unknown_backbone_is_named():
    with pytest.raises(ConfigError, match=r"resnet19.*one of resnet18"):
        architecture("resnet19")


def test_the_partial_weights_at_hand_cover_eighty_of_a_hundred(shared_data):
    path = shared_data / "weights" / "resnet18_imagenet1k-v1_partial.pth"
    with pytest.raises(WeightsError, match="80 of the 100 tensors"):
        load_backbone(backbone("resnet18"), path, architecture="resnet18")
    certificate = load_backbone(backbone("resnet18"), path, architecture="resnet18", min_coverage=0.8)
    assert certificate.coverage == pytest.approx(0.8)
    assert all(key.startswith("layer4") for key in certificate.random)
