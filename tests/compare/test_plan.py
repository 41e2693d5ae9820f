"""The plan: arms as a user gives them, matched to detectors, and everything wrong found before a cell runs."""

import pytest
import torch

from osm.cli.compare import forecast
from osm.compare.arms import gather_arms, parse_arm
from osm.compare.dry_run import DryRun
from osm.compare.leaks import LeakReport
from osm.compare.plan import make_plan
from osm.detection import arms as detection_arms
from osm.errors import ConfigError, WeightsError
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_backbone
from osm.transfer.initialise import initialise


def test_arms_are_gathered_with_the_floor_first_and_files_of_one_name_together():
    arms = gather_arms(["osm=a.safetensors", "imagenet=b.pth", "osm=c.safetensors", "osm-shuffled=d.safetensors"])
    assert [arm.name for arm in arms] == ["scratch", "osm", "imagenet", "osm-shuffled"]
    assert [arm.kind for arm in arms] == ["scratch", "osm", "imagenet", "osm"]
    assert [path.name for path in arms[1].paths] == ["a.safetensors", "c.safetensors"]
    assert gather_arms(["scratch"]) == gather_arms([])


def test_names_that_begin_with_osd_are_of_that_kind():
    arms = gather_arms(["osd=a.safetensors", "osd-long=b.safetensors", "osm=c.safetensors"])
    assert [arm.kind for arm in arms] == ["scratch", "osd", "osd", "osm"]
    with pytest.raises(ConfigError, match="expected osd=PATH"):
        parse_arm("osd")


@pytest.fixture
def osd(tmp_path):
    """The backbone of a detector of optical ships, as its card says."""
    data = {"learned": "ship detection", "optical": True, "kind": "dota", "root": "dota", "train_scenes": 6}
    path = tmp_path / "osd.safetensors"
    contract = InputContract.of("darknet-narrow", bands=3)
    start = {"source": "in1k.pth", "coverage": 1.0}
    card = Card("darknet-narrow", contract, data={**data, "simulated": True}, start=start)
    export_backbone(path, build_backbone("darknet-narrow"), card)
    return path


def test_the_backbone_of_an_optical_detector_is_an_arm_of_its_own(config, osd, weights):
    plan = make_plan(config, gather_arms([f"osd={osd}", f"osm={weights['darknet-narrow']}"]))
    arm = plan.arms[1]
    assert (arm.name, arm.kind, arm.label, arm.members) == ("osd", "osd", "osd", ())
    assert "osd.safetensors was pretrained as a detector of optical ships (dota, 6 scenes), in colours" in arm.note
    assert "that detector's backbone started from in1k.pth (coverage 1.00)" in arm.note
    assert "pretrained on simulated scenes" in arm.note
    assert {cell.init.kind for cell in plan.cells if cell.arm == "osd"} == {"osd"}


def test_neither_is_taken_for_the_other(config, osd, weights):
    for name in ("osm", "osm-shuffled", "imagenet"):
        with pytest.raises(WeightsError, match=rf"of optical ships, for a start of the kind .*--arm osd={osd}"):
            make_plan(config, gather_arms([f"{name}={osd}"]))
    with pytest.raises(WeightsError, match="that no detector was trained with, for a start of the kind osd"):
        make_plan(config, gather_arms([f"osd={weights['darknet-narrow']}"]))


def test_fusions_are_planned_with_the_arms(config, osd, weights):
    pytest.importorskip("ensemble_boxes", reason="the extra fusion is not installed")
    arms = gather_arms([f"osd={osd}", f"osm={weights['darknet-narrow']}"])
    assert make_plan(config, arms).fusions == ()
    asked = make_plan(config, arms, fuse=["osd+osm"])
    assert [fusion.name for fusion in asked.fusions] == ["osd+osm"]
    assert asked.cells == make_plan(config, arms).cells
    said = forecast(DryRun((), (), 1, LeakReport((), ())), asked)
    assert "afterwards, from their predictions: fusion of osd and osm" in said
    config.write_text(config.read_text() + "fuse = [('osm', 'osd')]\nfusion = dict(iou=0.6)\n")
    (planned,) = make_plan(config, arms).fusions
    assert (planned.name, planned.settings.iou) == ("osm+osd", 0.6)
    with pytest.raises(ConfigError, match=r"no arm osd; .*give --arm osd=FILE"):
        make_plan(config, gather_arms([f"osm={weights['darknet-narrow']}"]))


@pytest.mark.parametrize("text", ["osm", "osm=", "=a.pth", "scratch=a.pth", "a/b=c.pth", "imagenet="])
def test_a_wrong_arm_is_named(text):
    with pytest.raises(ConfigError, match="--arm"):
        parse_arm(text)


def test_every_seed_may_start_from_a_pretraining_of_its_own(config, weights, tmp_path):
    for seed in (0, 1):
        backbone = build_backbone("darknet-narrow")
        initialise(backbone, seed)
        card = Card("darknet-narrow", InputContract.of("darknet-narrow"))
        export_backbone(tmp_path / f"seed{seed}" / "sar_backbone.safetensors", backbone, card)
    arms = gather_arms([f"osm={tmp_path}/seed{{seed}}/sar_backbone.safetensors"])
    plan = make_plan(config, arms)
    started = {(cell.arm, cell.seed): cell.init.path for cell in plan.cells}
    assert started["osm", 1] == tmp_path / "seed1" / "sar_backbone.safetensors"
    assert "each seed starts from a pretraining of its own" in plan.arms[1].note
    with pytest.raises(WeightsError, match="seed2"):
        make_plan(config, arms, seeds=[0, 2])


def test_cells_are_every_arm_with_every_seed_seed_by_seed(config, weights):
    plan = make_plan(config, gather_arms([f"osm={weights['darknet-narrow']}"]))
    assert [(cell.seed, cell.arm) for cell in plan.cells] == [
        (0, "scratch"),
        (0, "osm"),
        (1, "scratch"),
        (1, "osm"),
    ]
    assert len({cell.fingerprint for cell in plan.cells}) == 4
    again = make_plan(config, gather_arms([f"osm={weights['darknet-narrow']}"]))
    assert [cell.fingerprint for cell in again.cells] == [cell.fingerprint for cell in plan.cells]


def test_the_arms_of_a_detector_and_seed_share_every_setting(config, weights):
    plan = make_plan(config, gather_arms([f"osm={weights['darknet-narrow']}"]))
    assert len({id(cell.recipe) for cell in plan.cells}) == 1


def test_each_detector_gets_the_weights_of_its_architecture(repo_root, weights):
    both = [f"osm={path}" for path in weights.values()]
    plan = make_plan(repo_root / "configs/compare/demo.py", gather_arms(both))
    starts = {cell.recipe.detector: cell.init.path.name for cell in plan.cells if cell.arm == "osm"}
    assert starts == {
        "faster-rcnn_r18": "resnet18.safetensors",
        "yolov3_darknet-narrow": "darknet-narrow.safetensors",
    }
    one = make_plan(repo_root / "configs/compare/demo.py", gather_arms([f"osm={weights['resnet18']}"]))
    assert [(entry.detector, entry.arm) for entry in one.skipped] == [("yolov3_darknet-narrow", "osm")]
    assert "darknet-narrow" in one.skipped[0].reason


def test_what_a_card_says_of_the_start_stands_beside_the_arm(config, weights):
    plan = make_plan(config, gather_arms([f"osm={weights['darknet-narrow']}"]))
    assert "started from some.pth (partial, coverage 0.80)" in plan.arms[1].note
    assert "simulated pairs" in plan.arms[1].note


def test_partial_weights_are_called_partial(config, tmp_path):
    source = build_backbone("darknet-narrow").state_dict()
    part = {key: value for key, value in source.items() if not key.startswith("conv_res_block5")}
    torch.save(part, tmp_path / "part.pth")
    plan = make_plan(config, gather_arms([f"imagenet={tmp_path / 'part.pth'}"]))
    assert plan.arms[1].label == "imagenet (partial)"
    assert "fills 85 of 100" in plan.arms[1].note
    with pytest.raises(WeightsError, match=r"part\.pth: found 85 of the 100 tensors"):
        make_plan(config, gather_arms([f"osm={tmp_path / 'part.pth'}"]))


def test_weights_that_fit_no_detector_stop_before_anything_runs(config, weights):
    with pytest.raises(WeightsError, match="found a backbone of resnet18; expected weights of darknet-narrow"):
        make_plan(config, gather_arms([f"osm={weights['resnet18']}"]))
    with pytest.raises(WeightsError, match=r"absent\.safetensors: found no such file"):
        make_plan(config, gather_arms(["osm=absent.safetensors"]))


def test_two_files_for_one_detector_are_ambiguous(config, weights, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights["darknet-narrow"].read_bytes())
    with pytest.raises(ConfigError, match="2 files of darknet-narrow"):
        make_plan(config, gather_arms([f"osm={weights['darknet-narrow']}", f"osm={copy}"]))


def test_a_download_that_nobody_offers_stops(config, monkeypatch, tmp_path):
    assert detection_arms.imagenet_url("darknet-narrow") is None
    with pytest.raises(WeightsError, match="none published"):
        make_plan(config, gather_arms(["imagenet"]))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sedes = [1]", "did you mean 'seeds'"),
        ("min_coverage = dict(imagnet=0.5)", "did you mean 'imagenet'"),
        ("seeds = []", "no seeds"),
        ("detectors = ['absent.py']", r"absent\.py: found no such file"),
    ],
)
def test_a_slip_in_the_config_is_named(config, line, said):
    config.write_text(config.read_text() + line + "\n")
    with pytest.raises(ConfigError, match=said):
        make_plan(config, gather_arms([]))
