from __future__ import annotations

import pytest

from osm.errors import ConfigError
from osm.matching.config import load_settings
from osm.matching.settings import AugmentSettings


@pytest.fixture
def write(tmp_path, repo_root):
    def write_config(text: str, base: str = "_base_/bnn.py"):
        path = tmp_path / "my_config.py"
        inherit = f"_base_ = {str(repo_root / 'configs' / 'pretrain' / base)!r}\n" if base else ""
        path.write_text(inherit + text, encoding="utf-8")
        return path

    return write_config


def shipped(root):
    return sorted((root / "configs" / "pretrain").glob("*.py"))


def test_every_shipped_config_is_valid(repo_root):
    names = {path.stem for path in shipped(repo_root) if load_settings(path)}
    assert names >= {"bnn_resnet18", "bnn_resnet50", "bnn_darknet53", "demo_resnet18", "demo_darknet-narrow"}


@pytest.mark.parametrize("name", ["bnn_resnet50", "bnn_darknet53"])
def test_reference_configs_hold_the_constants_of_the_method(repo_root, name):
    settings = load_settings(repo_root / "configs" / "pretrain" / f"{name}.py")
    assert settings.model["architecture"] == name.removeprefix("bnn_")
    assert (settings.model["dimensions"], settings.model["threshold"]) == (20, 0.38)
    assert settings.model["loss"] == {"type": "BridgeLoss", "alpha": 1.0, "negatives": "one"}
    assert (settings.train.epochs, settings.train.batch_size) == (200, 32)
    assert settings.train.optimizer == {"type": "SGD", "lr": 0.005, "momentum": 0.0, "weight_decay": 0.0}
    assert (settings.data.size_px, settings.data.train_fraction) == (256, 0.7)
    assert settings.init_min_coverage == 1.0


def test_defaults_are_filled_in(write):
    settings = load_settings(
        write(
            "model = dict(type='BridgeNetwork', architecture='resnet18')\n"
            "train = dict(epochs=1, batch_size=2, optimizer=dict(type='SGD', lr=0.1))",
            base="",
        )
    )
    assert settings.model["negatives"] == "in-batch"
    assert settings.model["loss"] == {"type": "BridgeLoss", "alpha": 1.0, "negatives": "one"}
    assert settings.data.size_px == 256


def test_augmentation_is_a_section_of_its_own(write):
    assert load_settings(write("")).augment == AugmentSettings()
    path = write("data = dict(size_px=128)\naugment = dict(turn=True, crop_px=160, speckle_looks=4)")
    assert load_settings(path).augment == AugmentSettings(turn=True, crop_px=160, speckle_looks=4)
    assert load_settings(write(""), {"augment.turn": True}).augment == AugmentSettings(turn=True)


def test_a_crop_below_the_size_of_the_input_says_what_it_must_reach(write):
    with pytest.raises(ConfigError, match=r"augment\.crop_px = 128; expected 0, or at least data\.size_px = 256"):
        load_settings(write("augment = dict(crop_px=128)"))


def test_overrides_reach_every_depth(write):
    settings = load_settings(write(""), {"train.epochs": 3, "train.optimizer.lr": 0.1, "model.negatives": "reference"})
    assert settings.train.epochs == 3
    assert settings.train.optimizer["lr"] == 0.1
    assert settings.train.optimizer["type"] == "SGD"
    assert settings.model["negatives"] == "reference"


@pytest.mark.parametrize(
    ("text", "found", "mend"),
    [
        ("trian = dict(epochs=3)", "'trian' in the config", "write 'train'"),
        ("train = dict(epoch=3)", "'epoch' in train", "write 'epochs'"),
        ("data = dict(size=3)", "'size' in data", "write 'size_px'"),
        ("model = dict(architecure='resnet18')", "'architecure' in model", "write 'architecture'"),
        ("model = dict(loss=dict(alhpa=2))", "'alhpa' in model.loss", "write 'alpha'"),
        ("model = dict(loss=dict(type='BrigdeLoss'))", "model.loss.type = 'BrigdeLoss'", "write 'BridgeLoss'"),
        ("model = dict(type='BridgeNet')", "model.type = 'BridgeNet'", "write 'BridgeNetwork'"),
        ("train = dict(optimizer=dict(tpye='SGD'))", "'tpye' in train.optimizer", ""),
        ("train = dict(optimizer=dict(type='sgd'))", "train.optimizer.type = 'sgd'", "write 'SGD'"),
        ("train = dict(optimizer=dict(momentun=0.9))", "'momentun' in train.optimizer", "write 'momentum'"),
        ("train = dict(precision='bfloat61')", "train.precision = 'bfloat61'", "write 'bfloat16'"),
        ("train = dict(schedule='cosin')", "train.schedule = 'cosin'", "write 'cosine'"),
        ("augment = dict(turns=True)", "'turns' in augment", "write 'turn'"),
        ("augment = dict(speckle=4)", "'speckle' in augment", "write 'speckle_looks'"),
        ("data = dict(split='scenes')", "data.split = 'scenes'", "write 'scene'"),
        ("zzz = 1", "'zzz' in the config", "remove it"),
        ("finish = dict(interplate=0.5)", "'interplate' in finish", "write 'interpolate'"),
        ("start = dict(reestimate=True)", "'reestimate' in start", "write 'reestimate_bn'"),
        (
            "model = dict(loss=dict(_delete_=True, type='Dense', loss=dict(type='InfoNCEE')))",
            "model.loss.loss.type",
            "write 'InfoNCE'",
        ),
        (
            "model = dict(loss=dict(_delete_=True, type='Sum', losses=[dict(type='VICReg', varance=1)]))",
            "'varance' in model.loss.losses[0]",
            "write 'variance'",
        ),
    ],
)
def test_a_typo_is_one_line_that_offers_the_nearest_name(write, text, found, mend):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert caught.value.where == str(path)
    assert found in caught.value.line
    assert mend in caught.value.mend
    assert "\n" not in caught.value.line


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("train = dict(epochs='many')", "train.epochs = 'many'"),
        ("train = dict(epochs=True)", "train.epochs = True"),
        ("train = dict(epochs=0)", "train.epochs = 0"),
        ("train = dict(batch_size=1)", "train.batch_size = 1"),
        ("train = dict(epochs=3, warmup_epochs=3)", "train.warmup_epochs = 3"),
        ("train = dict(optimizer=dict(lr=-1))", "train.optimizer.lr = -1"),
        ("train = dict(optimizer=dict(momentum=-1))", "momentum"),
        ("train = 3", "train = 3"),
        ("data = dict(train_fraction=1.0)", "data.train_fraction = 1.0"),
        ("data = dict(size_px=16)", "data.size_px = 16"),
        ("data = dict(overlap_edge=0)", "data.overlap_edge = 0"),
        ("data = dict(overlap_corner=1.1)", "data.overlap_corner = 1.1"),
        ("data = dict(overlap_whole=float('nan'))", "data.overlap_whole = nan"),
        ("augment = True", "augment = True"),
        ("augment = dict(turn=1)", "augment.turn = 1"),
        ("augment = dict(turn='yes')", "augment.turn = 'yes'"),
        ("augment = dict(crop_px=128)", "augment.crop_px = 128"),
        ("augment = dict(crop_px=-1)", "augment.crop_px = -1"),
        ("augment = dict(crop_px=256.0)", "augment.crop_px = 256.0"),
        ("augment = dict(speckle_looks=0.5)", "augment.speckle_looks = 0.5"),
        ("augment = dict(speckle_looks=float('inf'))", "augment.speckle_looks = inf"),
        ("augment = dict(sar_gain_db=-1)", "augment.sar_gain_db = -1"),
        ("augment = dict(sar_gamma=2)", "augment.sar_gamma = 2"),
        ("augment = dict(sar_floor=100)", "augment.sar_floor = 100"),
        ("augment = dict(brightness=1.0)", "augment.brightness = 1.0"),
        ("augment = dict(contrast=float('nan'))", "augment.contrast = nan"),
        ("augment = dict(saturation='much')", "augment.saturation = 'much'"),
        ("augment = dict(grey=1.5)", "augment.grey = 1.5"),
        ("init_min_coverage = 2", "init_min_coverage = 2"),
        ("model = dict(architecture='resnet19')", "model.architecture = 'resnet19'"),
        ("train = dict(anchor=-1)", "train.anchor = -1"),
        ("train = dict(lr_mult={'sar.backbone': -1})", "train.lr_mult['sar.backbone'] = -1"),
        ("finish = dict(interpolate=0)", "finish.interpolate = 0"),
        ("start = dict(reestimate_bn=1)", "start.reestimate_bn = 1"),
        ("model = dict(frozen=['optical.backbnoe'])", "frozen names 'optical.backbnoe'"),
        ("model = dict(loss=dict(_delete_=True, type='Dense'))", "no loss in model.loss"),
        ("model = dict(loss=dict(_delete_=True, type='Sum', losses=[]))", "at least one part"),
        ("model = dict(loss=dict(_delete_=True, type='MomentumQueue', dimensions=3))", "'dimensions' in model.loss"),
        ("model = dict(negatives='hard')", "negatives is 'hard'"),
        ("model = dict(loss=dict(alpha=-1))", "alpha is -1"),
        ("model = dict(threshold=3)", "threshold is 3"),
        ("model = dict(loss='BridgeLoss')", "model.loss = 'BridgeLoss'"),
        ("train = dict(", "SyntaxError"),
        ("train = dict(epochs=number)", "number"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(write, text, named):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert caught.value.where == str(path)
    assert named in caught.value.found
    assert "\n" not in caught.value.line


def test_a_missing_file_or_base_is_named(tmp_path, write):
    with pytest.raises(ConfigError, match=r"nothing\.py: found no such file"):
        load_settings(tmp_path / "nothing.py")
    with pytest.raises(ConfigError, match=r"my_config\.py: found a config that cannot be read"):
        load_settings(write("", base="no_base.py"))


def test_what_is_needed_is_asked_for(write):
    with pytest.raises(ConfigError, match="epochs"):
        load_settings(write("model = dict(type='BridgeNetwork', architecture='resnet18')", base=""))
