from __future__ import annotations

import numpy as np
import pytest
import torch

from osm.matching.inspection.stages import stage_maps
from osm.transfer.architectures import architecture, build_backbone
from osm.transfer.initialise import initialise


@pytest.fixture(scope="module", params=["resnet18", "darknet-narrow"])
def built(request):
    backbone = build_backbone(request.param)
    initialise(backbone, 0)
    return request.param, backbone


def test_the_last_stage_is_what_the_backbone_returns_and_all_others_are_larger(built):
    name, backbone = built
    stages = architecture(name).stages
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    maps = stage_maps(backbone, stages, images)
    assert list(maps) == list(stages)
    backbone.eval()
    with torch.inference_mode():
        np.testing.assert_array_equal(maps[stages[-1]], backbone(images)[-1][0].numpy())
    heights = [maps[stage].shape[1] for stage in stages]
    assert heights == sorted(heights, reverse=True)
    assert maps[stages[-1]].shape[1:] == (2, 3)


def test_the_mode_and_the_hooks_are_as_before(built):
    name, backbone = built
    backbone.train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    stage_maps(backbone, architecture(name).stages, torch.zeros(1, 3, 64, 64))
    assert backbone.training
    assert all(torch.equal(before[key], value) for key, value in backbone.state_dict().items())
    assert not any(module._forward_hooks for module in backbone.modules())


def test_batch_norm_is_kept_as_it_came_though_a_relu_works_in_place():
    backbone = build_backbone("resnet18")
    initialise(backbone, 0)
    assert stage_maps(backbone, ("bn1",), torch.randn(1, 3, 64, 64))["bn1"].min() < 0


def test_other_stages_and_batches_are_refused(built):
    _, backbone = built
    with pytest.raises(ValueError, match="no stage layer9"):
        stage_maps(backbone, ("layer9",), torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match="one at a time"):
        stage_maps(backbone, ("conv1",), torch.zeros(2, 3, 64, 64))
