"""The leakage check of a comparison, and the arms whose weights are not what their names say."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from osm.compare.arms import gather_arms
from osm.compare.dry_run import Cost, DryRun, dry_run
from osm.compare.leaks import LeakReport, check_leaks
from osm.compare.plan import make_plan
from osm.compare.pretrained_on import optical_scenes_in, pairs_in, places, pretrained_on
from osm.data.pair_source import names_sha256
from osm.data.pairs import read_pairs
from osm.detection.finetune import read_split
from osm.detection.recipe import load_recipe
from osm.errors import ConfigError, DataError, WeightsError
from osm.matching.settings import TargetSettings
from osm.matching.target import TargetTiles
from osm.simulate import simulate_pairs, simulate_scenes
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_backbone


@pytest.fixture
def leaky(tmp_path):
    """Twelve images, of which the ninth (test) is a crop of the eighth (training)."""
    root = tmp_path / "ssdd"
    simulate_scenes(root, count=12, seed=1, width_px=256, height_px=256, layout="ssdd")
    images = root / "JPEGImages"
    shown = np.asarray(Image.open(images / "000008.jpg"))
    hidden = np.asarray(Image.open(images / "000009.jpg")).copy()
    hidden[:200, :200] = shown[30:230, 40:240]
    Image.fromarray(hidden).save(images / "000009.jpg", quality=95)
    return root


@pytest.fixture
def ssdd_config(repo_root, tmp_path):
    def write(*lines):
        path = tmp_path / "ssdd.py"
        path.write_text(
            f"title = 'Tiny'\ndetectors = ['{repo_root}/configs/detect/demo_yolov3_narrow.py']\nseeds = [0, 1]\n"
            "overrides = {'data.kind': 'ssdd', 'data.radiometry': 'none', 'data.tile_px': 128, 'data.overlap_px': 0,\n"
            "  'train.epochs': 2, 'train.precision': 'float32', 'test.precision': 'float32'}\n"
            + "\n".join(lines)
            + "\n"
        )
        return path

    return write


def _export(path, *, placebo=False, root="pairs", pairs=3, **more):
    backbone = build_backbone("darknet-narrow")
    data = {"root": root, "pairs": pairs, "simulated": True, **more}
    config = {"model": {"placebo": placebo}}
    export_backbone(
        path, backbone, Card("darknet-narrow", InputContract.of("darknet-narrow"), data=data, config=config)
    )
    return path


def test_a_leak_stops_before_anything_trains(leaky, ssdd_config, tmp_path):
    plan = make_plan(ssdd_config(), gather_arms([]))
    with pytest.raises(DataError) as caught:
        check_leaks(plan, leaky, tmp_path / "work")
    assert "1 test scenes that 1 training images show, first 000009 and 000008" in caught.value.found
    assert "set data.drop_leaked_train=True" in caught.value.mend
    assert "\n" not in caught.value.line
    written = json.loads((tmp_path / "work" / "leakage.json").read_text())
    assert written["parts"][0]["train_images"] == ["000008"]


def test_a_warning_stands_beside_the_figures(leaky, ssdd_config, tmp_path):
    plan = make_plan(ssdd_config("leakage = 'warn'"), gather_arms([]))
    report = check_leaks(plan, leaky, tmp_path / "work")
    (caveat,) = report.caveats
    assert caveat.startswith("Leakage: 1 of 3 test scenes are shown by 1 of 9 training scenes")
    assert "findings" not in report.summary()[0]
    with pytest.raises(ConfigError, match="warm"):
        make_plan(ssdd_config("leakage = 'warm'"), gather_arms([]))


def test_leaked_training_scenes_are_left_out_on_demand(leaky, ssdd_config, tmp_path):
    config = ssdd_config("overrides['data.drop_leaked_train'] = True")
    plan = make_plan(config, gather_arms([]))
    report = check_leaks(plan, leaky, tmp_path / "work")
    assert "which were left out" in report.caveats[0]
    assert report.summary()[0]["dropped"] is True
    train, test = read_split(plan.recipes[0], leaky, tmp_path / "cache")
    assert len(test) == 3
    assert len(train) == 8
    assert "000008" not in {scene.scene_id for scene in train}


def test_a_setting_that_is_off_leaves_the_fingerprint_of_finished_cells_alone(repo_root):
    path = repo_root / "configs/detect/demo_yolov3_narrow.py"
    assert "drop_leaked_train" not in load_recipe(path).settings()["data"]
    assert load_recipe(path, {"data.drop_leaked_train": True}).settings()["data"]["drop_leaked_train"] is True


def test_pretraining_pairs_are_compared_where_they_are_at_hand(ssdd_config, tmp_path):
    scenes = tmp_path / "scenes"
    simulate_scenes(scenes, count=4, seed=2, width_px=300, height_px=300, layout="ssdd")
    simulate_pairs(tmp_path / "pairs", count=3, seed=2)
    weights = _export(tmp_path / "osm.safetensors")
    plan = make_plan(ssdd_config(), gather_arms([f"osm={weights}"]))
    report = check_leaks(plan, scenes, tmp_path / "work")
    assert report.caveats == ()
    assert report.parts[1]["checked"] is True
    # a pretraining for every seed, on the same pairs: they are compared once
    for seed in (0, 1):
        shutil.copy(weights, tmp_path / f"osm{seed}.safetensors")
    several = make_plan(ssdd_config(), gather_arms([f"osm={tmp_path}/osm{{seed}}.safetensors"]), seeds=[0, 1])
    assert len({cell.init.path for cell in several.cells if cell.arm == "osm"}) == 2
    assert len(check_leaks(several, scenes, tmp_path / "several").parts) == 2
    seen = np.asarray(Image.open(scenes / "JPEGImages" / "000001.jpg").convert("L"))
    Image.fromarray(seen[10:266, 20:276]).save(next((tmp_path / "pairs").rglob("sar*/2.png")))
    with pytest.raises(DataError, match=r"000001 and 2\.png: they share .*then pretrain osm without those pairs"):
        check_leaks(plan, scenes, tmp_path / "work")
    next((tmp_path / "pairs").rglob("opt*/1.png")).unlink()
    report = check_leaks(plan, scenes, tmp_path / "work")
    assert "not at hand" in report.caveats[0]
    assert re.search(r"passed over: .*1\.png: found ", report.caveats[0])
    shutil.rmtree(tmp_path / "pairs")
    report = check_leaks(plan, scenes, tmp_path / "work")
    assert "passed over" not in report.caveats[0]
    assert "3 pairs that osm was pretrained on (folder 'pairs') are not at hand" in report.caveats[0]
    assert report.parts[1]["checked"] is False


def test_the_scenes_of_an_optical_detector_are_compared_where_they_are_at_hand(ssdd_config, tmp_path):
    scenes = tmp_path / "scenes"
    simulate_scenes(scenes, count=4, seed=2, width_px=300, height_px=300, layout="ssdd")
    optical = tmp_path / "dota"
    simulate_scenes(optical, count=4, seed=9, width_px=256, height_px=256, layout="dota")
    data = {"learned": "ship detection", "optical": True, "kind": "dota", "root": "dota", "train_split": "train"}
    data |= {"train_scenes": 3}
    card = Card("darknet-narrow", InputContract.of("darknet-narrow", bands=3), data=data)
    weights = tmp_path / "osd.safetensors"
    export_backbone(weights, build_backbone("darknet-narrow"), card)
    plan = make_plan(ssdd_config(), gather_arms([f"osd={weights}"]))
    report = check_leaks(plan, scenes, tmp_path / "work")
    assert report.caveats == ()
    assert report.parts[1]["against"] == "pretraining scenes"
    assert report.parts[1]["checked"] is True
    assert report.parts[1]["root"] == str(optical)
    # an optical data set that holds a test scene
    seen = np.asarray(Image.open(scenes / "JPEGImages" / "000001.jpg").convert("RGB"))
    Image.fromarray(seen[10:266, 20:276]).save(optical / "train" / "images" / "P0002.png")
    with pytest.raises(DataError, match=r"000001 and P0002: they share .*then pretrain osd without those scenes"):
        check_leaks(plan, scenes, tmp_path / "work")
    with pytest.raises(DataError, match="found 3 scenes in train; expected 4 or more"):
        optical_scenes_in({**data, "train_scenes": 4}, optical)
    shutil.rmtree(optical)
    report = check_leaks(plan, scenes, tmp_path / "work")
    assert "the 3 scenes that osd was pretrained on (folder 'dota') are not at hand" in report.caveats[0]


def test_pairs_are_known_by_folder_number_and_names(tmp_path):
    folder = tmp_path / "a" / "pairs"
    simulate_pairs(folder, count=3, size_px=64)
    beside = (tmp_path / "a" / "runs" / "x.safetensors",)
    assert list(places("pairs", (), beside)) == [folder]
    assert list(places("pears", (str(folder),), ())) == []
    assert list(places("pairs", (str(folder),), ())) == [folder]
    names = names_sha256(read_pairs(folder))
    for data in ({}, {"names_sha256": names}, {"pairs": 2, "dropped": {"duplicate": 1}}):
        assert pairs_in({"pairs": 3, **data}, folder).names == read_pairs(folder).names
    with pytest.raises(DataError, match="found 3 pairs; expected 4"):
        pairs_in({"pairs": 4}, folder)
    # as many, and others
    with pytest.raises(DataError, match="found 3 pairs of other names"):
        pairs_in({"pairs": 3, "names_sha256": "0" * 64}, folder)


def test_scenes_whose_tiles_a_pretraining_saw_are_compared_too(ssdd_config, tmp_path):
    scenes = tmp_path / "ssdd"
    simulate_scenes(scenes, count=4, seed=2, width_px=300, height_px=300, layout="ssdd")
    simulate_pairs(tmp_path / "pairs", count=3, seed=2)

    def check(split):
        tiles = TargetTiles(scenes, TargetSettings(kind="ssdd", split=split), 128, 0)
        weights = _export(tmp_path / f"{split}.safetensors", target=tiles.facts())
        plan = make_plan(ssdd_config("leakage = 'warn'"), gather_arms([f"osm={weights}"]))
        assert [source.kind for source in pretrained_on(plan)] == ["pairs", "tiles"]
        return check_leaks(plan, scenes, tmp_path / "work")

    clean = check("train")
    assert [part["against"] for part in clean.parts] == ["training scenes", "pretraining pairs", "pretraining tiles"]
    assert clean.caveats == ()
    leaking = check("test")
    assert leaking.parts[2]["test_scenes"]
    assert re.search(r"test scenes are among the \d unlabelled scenes that osm was pretrained on", leaking.caveats[0])


def test_weights_that_do_not_say_what_they_saw_are_not_passed_over(ssdd_config, tmp_path):
    scenes = tmp_path / "ssdd"
    simulate_scenes(scenes, count=4, seed=2, width_px=300, height_px=300, layout="ssdd")
    weights = tmp_path / "bare.safetensors"
    export_backbone(
        weights, build_backbone("darknet-narrow"), Card("darknet-narrow", InputContract.of("darknet-narrow"))
    )
    report = check_leaks(make_plan(ssdd_config(), gather_arms([f"osm={weights}"])), scenes, tmp_path / "work")
    assert report.parts[1]["checked"] is False
    assert "bare.safetensors does not say what osm was pretrained on" in report.caveats[0]


def test_a_swapped_file_is_an_error(ssdd_config, tmp_path):
    true = _export(tmp_path / "true.safetensors")
    placebo = _export(tmp_path / "placebo.safetensors", placebo=True)
    plan = make_plan(ssdd_config(), gather_arms([f"osm={true}", f"osm-shuffled={placebo}"]))
    assert [arm.name for arm in plan.arms] == ["scratch", "osm", "osm-shuffled"]
    with pytest.raises(WeightsError, match=r"pretrained on shuffled pairs, for the arm osm; .*--arm osm-shuffled="):
        make_plan(ssdd_config(), gather_arms([f"osm={placebo}"]))
    with pytest.raises(WeightsError, match="pretrained on true pairs, for the arm osm-shuffled"):
        make_plan(ssdd_config(), gather_arms([f"osm-shuffled={true}"]))


def test_a_dry_run_prices_every_cell_and_trains_none(leaky, ssdd_config, tmp_path):
    from osm.cli.compare import forecast

    plan = make_plan(ssdd_config("leakage = 'warn'"), gather_arms([]))
    found = dry_run(plan, data_root=leaky, work_dir=tmp_path / "work", jobs=2)
    assert [done for _, done in found.cells] == [False, False]
    (cost,) = found.costs
    assert cost.steps > 0
    assert cost.tiles == 3 * 4
    assert cost.step_s > 0
    assert cost.tile_s > 0
    assert found.left_s == pytest.approx(cost.cell_s)
    text = forecast(found, plan)
    assert "2 cells, 0 done; the other 2 take about" in text
    assert "! Leakage: 1 of 3 test scenes" in text
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["cache", "leakage.json"]


def test_a_dry_run_prices_the_looks_at_validation_scenes(leaky, ssdd_config, tmp_path):
    config = ssdd_config(
        "leakage = 'warn'",
        "overrides |= {'data.validation_fraction': 0.34, 'train.validate_every_epochs': 1, 'train.epochs': 3}",
    )
    found = dry_run(make_plan(config, gather_arms([])), data_root=leaky, work_dir=tmp_path / "work")
    (cost,) = found.costs
    # 3 of 9 training scenes of 2 x 2 tiles, after each of 3 epochs
    assert cost.looked_at == 3 * 3 * 4
    assert cost.cell_s == pytest.approx(cost.steps * cost.step_s + (12 + 36) * cost.tile_s)


def test_the_rest_takes_its_share_and_never_less_than_one_cell(ssdd_config):
    plan = make_plan(ssdd_config(), gather_arms([]))
    cost = Cost(plan.recipes[0].detector, 100, 0.5, 20, 0.5, "cpu")
    first, second = plan.cells
    nothing = LeakReport((), ())
    assert cost.cell_s == 60
    assert DryRun(((first, False), (second, False)), (cost,), 1, nothing).left_s == 120
    assert DryRun(((first, False), (second, False)), (cost,), 8, nothing).left_s == 60
    assert DryRun(((first, True), (second, False)), (cost,), 1, nothing).left_s == 60
    assert DryRun(((first, True), (second, True)), (cost,), 1, nothing).left_s == 0
