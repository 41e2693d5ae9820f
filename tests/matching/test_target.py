from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from osm.errors import ConfigError, DataError
from osm.files import read_json
from osm.matching.network import BridgeNetwork
from osm.matching.pretrain import pretrain
from osm.matching.settings import TargetSettings
from osm.matching.target import TargetTiles
from osm.simulate import simulate_scenes

SETTINGS = TargetSettings(kind="air-sarship-1.0", radiometry="percentile:0.5,99.5", tiles=5)


@pytest.fixture(scope="module")
def scenes_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    simulate_scenes(root, count=6, seed=3, width_px=300, height_px=256)
    return root


def test_tiles_depend_on_seed_and_step_alone(scenes_root):
    first, second = (TargetTiles(scenes_root, SETTINGS, 64, seed=1) for _ in range(2))
    drawn = first.draw(7)
    assert drawn.shape == (5, 64, 64)
    assert drawn.dtype == torch.uint8
    second.draw(3)
    assert torch.equal(second.draw(7), drawn)
    assert not torch.equal(first.draw(8), drawn)
    assert not torch.equal(TargetTiles(scenes_root, SETTINGS, 64, seed=2).draw(7), drawn)


def test_tiles_are_windows_of_training_scenes(scenes_root):
    tiles = TargetTiles(scenes_root, SETTINGS, 64, seed=1)
    whole = [tiles._read(number) for number in range(len(tiles.scenes))]
    for tile in tiles.draw(0).numpy():
        found = [sliding_window_view(pixels, (64, 64)) for pixels in whole]
        corners = [np.argwhere((windows[:, :, 0, :8] == tile[0, :8]).all(axis=2)) for windows in found]
        assert any(
            (windows[top, left] == tile).all()
            for windows, places in zip(found, corners, strict=True)
            for top, left in places
        )


def test_test_scenes_are_never_seen(scenes_root):
    from osm.data.scenes import read_scenes

    seen = {scene.scene_id for scene in TargetTiles(scenes_root, SETTINGS, 64, seed=1).scenes}
    assert seen.isdisjoint({scene.scene_id for scene in read_scenes("air-sarship-1.0", scenes_root, "test")})


def test_scenes_smaller_than_a_tile_are_said_to_be(scenes_root):
    with pytest.raises(DataError, match="none of at least 512x512"):
        TargetTiles(scenes_root, SETTINGS, 512, seed=1)


def test_two_views_of_a_tile_teach_the_sar_branch_alone():
    network = BridgeNetwork("darknet-narrow", target_loss={"type": "InfoNCE"}, target_weight=0.5)
    network.start()
    draw = torch.Generator().manual_seed(0)
    sar, optical = torch.randn(2, 3, 3, 64, 64, generator=draw)
    tiles = torch.randn(8, 3, 64, 64, generator=draw)
    losses = network(sar, optical, target=tiles, mode="loss")
    losses["loss_target"].backward()
    assert network.sar.backbone.conv1.conv.weight.grad.abs().sum() > 0
    assert network.optical.backbone.conv1.conv.weight.grad is None
    # two views that are the same are told from others with ease, strangers are not
    same = network(sar, optical, target=torch.cat([tiles[:4], tiles[:4]]), mode="loss")["loss_target"]
    assert same < losses["loss_target"]


def test_the_total_is_the_weighted_sum_and_the_card_says_where_tiles_came_from(
    pairs_root, scenes_root, demo_config, tiny, tmp_path
):
    options = {**tiny, "train.epochs": 1, "target.kind": "air-sarship-1.0", "target.tiles": 4}
    options |= {"target.radiometry": "max", "target.weight": 0.5}
    common = {"data_root": pairs_root, "work_dir": tmp_path / "run"}
    with pytest.raises(ConfigError, match="no folder"):
        pretrain(demo_config, **common, options=options)
    result = pretrain(demo_config, **common, options=options, target_root=scenes_root)
    target = read_json(result.metrics)["data"]["target"]
    assert (target["kind"], target["split"]) == ("air-sarship-1.0", "train")
    log = (tmp_path / "run" / "pretrain.log").read_text()
    line = next(line for line in log.splitlines() if "Epoch(train)" in line)
    figures = dict(zip(line.split()[:-1], line.split()[1:], strict=True))
    total, pairs, tiles = (float(figures[name]) for name in ("loss:", "loss_pairs:", "loss_target:"))
    assert total == pytest.approx(pairs + tiles, abs=2e-3)


def test_a_folder_without_a_kind_is_refused(pairs_root, scenes_root, demo_config, tiny, tmp_path):
    with pytest.raises(ConfigError, match="--target-root"):
        pretrain(demo_config, data_root=pairs_root, work_dir=tmp_path, options=tiny, target_root=scenes_root)
