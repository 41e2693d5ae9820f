"""A recipe as an mmdet detector: the same in every arm but for what was loaded."""

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from osm.detection.engine import build_detector, model_config, schedulers
from osm.detection.recipe import TrainSettings, load_recipe
from osm.errors import ConfigError, WeightsError
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.certificate import backbone_digests
from osm.transfer.export import export_backbone
from osm.transfer.initialise import initialise


def export(path, name, seed=9):
    backbone = build_backbone(name)
    initialise(backbone, seed)
    export_backbone(path, backbone, Card(name, InputContract.of(name)))
    return path


def build(recipe, seed=0, weights=None, min_coverage=1.0):
    return build_detector(recipe, seed=seed, weights=weights, min_coverage=min_coverage)


@pytest.mark.parametrize("which", ["yolo", "faster_rcnn"])
def test_arms_differ_in_the_loaded_backbone_and_in_nothing_else(which, request, tmp_path):
    recipe = request.getfixturevalue(which)
    scratch, _ = build(recipe)
    osm, certificate = build(recipe, weights=export(tmp_path / "w.safetensors", recipe.architecture))
    assert certificate.complete
    differ = {key for key, value in scratch.state_dict().items() if not torch.equal(value, osm.state_dict()[key])}
    assert differ
    assert all(key.startswith("backbone.") for key in differ)


def test_what_stays_random_is_the_same_as_in_the_scratch_arm(yolo, tmp_path):
    source = build_backbone("darknet-narrow")
    part = {k: v for k, v in source.state_dict().items() if not k.startswith("conv_res_block5")}
    torch.save(part, tmp_path / "part.pth")
    scratch, _ = build(yolo, seed=4)
    partial, certificate = build(yolo, seed=4, weights=tmp_path / "part.pth", min_coverage=0.5)
    assert certificate.random
    for key in certificate.random:
        assert torch.equal(scratch.backbone.state_dict()[key], partial.backbone.state_dict()[key])


def test_scratch_is_the_shared_scheme_and_a_function_of_the_seed(yolo):
    one, certificate = build(yolo, seed=4)
    expected = build_backbone("darknet-narrow")
    initialise(expected, 4)
    assert certificate.backbone_sha256 == backbone_digests(expected)
    torch.manual_seed(99)
    again, _ = build(yolo, seed=4)
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in one.state_dict().items())


@pytest.mark.parametrize("which", ["yolo", "faster_rcnn"])
def test_nothing_of_the_backbone_is_frozen(which, request):
    model, _ = build(request.getfixturevalue(which))
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(layer.training for layer in model.backbone.modules() if isinstance(layer, _BatchNorm))


def test_mmengines_own_initialisation_cannot_run_a_second_time(yolo, tmp_path):
    model, certificate = build(yolo, weights=export(tmp_path / "w.safetensors", "darknet-narrow"))
    model.init_weights()  # what mmengine's Runner does before the first step
    certificate.check(model.backbone)


def test_every_config_builds_with_its_own_backbone(repo_root, needs_ultralytics):
    recipes = [load_recipe(path) for path in sorted((repo_root / "configs/detect").glob("*.py"))]
    for recipe in recipes:
        if recipe.engine != "mmdet":
            continue
        config = model_config(recipe)
        assert "init_cfg" not in config["backbone"]
        assert config["backbone"]["norm_eval"] is False
        assert config["backbone"]["frozen_stages"] == -1
        assert len(config["backbone"]["out_indices"]) == len(config["neck"]["in_channels"])


def test_a_word_that_mmdet_does_not_know_is_named(repo_root):
    path = repo_root / "configs/detect/demo_yolov3_narrow.py"
    recipe = load_recipe(path, {"model.bbox_head.num_clases": 1})
    with pytest.raises(ConfigError, match=r"demo_yolov3_narrow\.py.*num_clases"):
        build(recipe)


def test_weights_of_another_backbone_stop(yolo, tmp_path):
    with pytest.raises(WeightsError, match="found a backbone of resnet18; expected weights of darknet-narrow"):
        build(yolo, weights=export(tmp_path / "w.safetensors", "resnet18"))


@pytest.mark.parametrize("schedule", ["cosine", "step", "constant"])
def test_the_learning_rate_follows_its_schedule(schedule):
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import PARAM_SCHEDULERS

    settings = TrainSettings(epochs=9, schedule=schedule, warmup_steps=500, optimizer={"type": "SGD", "lr": 0.1})
    wrapper = build_optim_wrapper(
        torch.nn.Linear(1, 1), {"type": "OptimWrapper", "optimizer": dict(settings.optimizer)}
    )
    plan = [PARAM_SCHEDULERS.build({**entry, "optimizer": wrapper}) for entry in schedulers(settings, 20)]
    rates = []
    for _ in range(180):
        rates.append(wrapper.get_lr()["lr"][0])
        wrapper.step()
        for scheduler in plan:
            scheduler.step()
    assert rates[0] == pytest.approx(0.001)
    assert rates[20] == pytest.approx(0.1, rel=0.05)  # a tenth of the run, though 500 steps were asked for
    last = {"cosine": 0.001, "step": 0.001, "constant": 0.1}[schedule]
    assert rates[-1] == pytest.approx(last, rel=0.1)


def test_another_stages_scope_does_not_matter(yolo):
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmengine"):
        build(yolo)
        build_backbone("darknet-narrow")


def test_coordinates_stay_exact_under_bfloat16(repo_root):
    from mmdet.structures import DetDataSample

    recipe = load_recipe(repo_root / "configs/detect/demo_faster-rcnn_r18.py")
    model, _ = build(recipe)
    seen = {}
    model.roi_head.bbox_roi_extractor.register_forward_pre_hook(
        lambda _module, inputs: seen.update(maps=inputs[0], rois=inputs[1])
    )
    sample = DetDataSample(
        metainfo={"img_shape": (512, 512), "ori_shape": (512, 512), "scale_factor": (1.0, 1.0), "img_id": 0}
    )
    sample.batch_input_shape = (512, 512)
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        (found,) = model(torch.rand(1, 3, 512, 512), [sample], "predict")
    assert {map_.dtype for map_ in seen["maps"]} == {torch.float32}
    assert seen["rois"].dtype == torch.float32
    # coordinates that bfloat16 could hold are whole numbers up there: some must be none
    high = seen["rois"][:, 1:][seen["rois"][:, 1:] > 256]
    assert bool((high != high.bfloat16().float()).any())
    assert found.pred_instances.bboxes.dtype == torch.float32
