"""A network that has seen a few pairs often enough finds their partners, and still does when read from its file."""

from __future__ import annotations

from osm.matching.match_images import match_folders
from osm.matching.matcher import Matcher
from osm.matching.patch import PatchRule
from osm.matching.pretrain import pretrain
from osm.simulate import simulate_pairs


def test_pairs_that_were_learned_by_heart_are_found(repo_root, tmp_path):
    simulate_pairs(tmp_path / "pairs", count=14, seed=3, size_px=64)
    # a rate small enough for the running statistics of batch norm to keep up with the weights
    (tmp_path / "config.py").write_text(
        f'_base_ = "{repo_root}/configs/pretrain/demo_darknet-narrow.py"\n'
        'model = dict(loss=dict(_delete_=True, type="InfoNCE"))\n'
        'data = dict(split="paper", train_fraction=0.85, size_px=64, workers=0)\n'
        'train = dict(epochs=80, batch_size=12, warmup_epochs=0.0, precision="float32", optimizer=dict(lr=1e-4),'
        " checkpoint_every_epochs=80)\n"
    )
    pretrain(tmp_path / "config.py", data_root=tmp_path / "pairs", work_dir=tmp_path / "run")
    matcher = Matcher.load(tmp_path / "run" / "bridge_network.safetensors")
    folder = tmp_path / "pairs" / "QXSLAB_SAROPT"
    matches = match_folders(matcher, str(folder / "sar_256_oc_0.2"), str(folder / "opt_256_oc_0.2"), PatchRule(64))
    for found in (matches.to_optical, matches.to_sar):
        assert found is not None
        # 12 of the 14 were trained on; chance is 1, and a median rank of 7.5
        assert found.recall_at_1 >= 8 / 14
        assert found.median_rank == 1
