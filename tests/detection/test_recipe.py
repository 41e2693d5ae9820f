"""Detection configs: every one in the repository is sound, and every slip is named."""

import pytest

from osm.detection.recipe import load_recipe
from osm.errors import ConfigError

CONFIGS = "configs/detect"


def write(repo_root, tmp_path, text, name="mine.py"):
    path = tmp_path / name
    path.write_text(f'_base_ = "{repo_root}/{CONFIGS}/demo_yolov3_narrow.py"\n{text}\n')
    return path


def test_every_config_loads_and_has_a_name_of_its_own(repo_root, needs_ultralytics):
    recipes = [load_recipe(path) for path in sorted((repo_root / CONFIGS).glob("*.py"))]
    real = [recipe for recipe in recipes if not recipe.path.name.startswith("demo")]
    assert real
    assert len({(recipe.detector, recipe.data.kind) for recipe in real}) == len(real)
    for recipe in real:
        # in tables yolov3u is yolov3u: there is one backbone of it
        backbone = "_d53" if recipe.detector == "yolov3u" else ""
        assert recipe.path.stem == f"{recipe.detector}{backbone}_{recipe.data.kind}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train = dict(epoch=3)", r"unknown word 'epoch' in train.*did you mean 'epochs'"),
        ("detecter = 'x'", r"unknown word 'detecter' in the config.*did you mean 'detector'"),
        ("architecture = 'resnet81'", r"resnet81.*one of resnet18"),
        ("train = dict(epochs='3')", r"train.epochs = '3'.*expected a int"),
        ("data = dict(tile_px=100)", r"data.tile_px = 100.*multiple of 32"),
        ("data = dict(overlap_px=256)", r"data.overlap_px = 256.*below data.tile_px"),
        ("train = dict(precision='half')", r"train.precision = 'half'.*one of auto, bfloat16, float32"),
        ("train = dict(schedule='cosin')", r"train.schedule = 'cosin'.*one of cosine, step, constant; write 'cosine'"),
        ("train = dict(batch_size=1)", r"train.batch_size = 1.*2 or more"),
        ("data = dict(train_fraction=0)", r"data.train_fraction = 0.*above 0"),
        (
            "train = dict(optimizer=dict(type='SGD', betas=(0.9, 0.99)))",
            r"'betas' in train.optimizer.*SGD takes.*'_delete_': True",
        ),
        ("train = dict(optimizer=dict(type='SDG'))", r"train.optimizer.type = 'SDG'.*write 'SGD'"),
        ("train = dict(optimizer=dict(weight_decay='high'))", r"a train.optimizer that torch refuses"),
        ("data = dict(", r"SyntaxError|ConfigParsingError|was never closed"),
    ],
)
def test_a_slip_in_a_config_is_named_on_one_line(repo_root, tmp_path, text, said):
    path = write(repo_root, tmp_path, text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_recipe(path)
    assert "\n" not in caught.value.line
    if "resnet81" not in text:
        assert "mine.py" in caught.value.line


def test_a_missing_config_and_a_missing_base_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.py: found no such file"):
        load_recipe(tmp_path / "absent.py")
    (tmp_path / "mine.py").write_text('_base_ = "./nowhere.py"\n')
    with pytest.raises(ConfigError, match=r"mine\.py.*nowhere\.py"):
        load_recipe(tmp_path / "mine.py")


def test_overrides_come_last_and_are_checked_too(repo_root):
    path = repo_root / CONFIGS / "demo_yolov3_narrow.py"
    assert load_recipe(path, {"train.epochs": 7}).train.epochs == 7
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        load_recipe(path, {"train.epcohs": 7})


def test_settings_change_with_what_decides_a_result(repo_root):
    path = repo_root / CONFIGS / "demo_yolov3_narrow.py"
    one = load_recipe(path).settings()
    assert one == load_recipe(path).settings()
    assert one != load_recipe(path, {"model.test_cfg.score_thr": 0.2}).settings()
