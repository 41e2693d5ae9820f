"""Simulated stand-ins for what a reader of the docs has at hand, under the very names that the docs use."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def make_standins(root: Path) -> None:
    """Fill ``root`` with them: ``here`` is where commands are typed, ``shared`` lies beside it."""
    here = root / "here"
    here.mkdir(parents=True)
    _scene_pairs(here / "scenes", count=12)  # enough for one full batch of the shipped configs
    _scene_pairs(root / "shared/data/sentinel-pairs", count=4)
    _data_sets(here / "data", root / "shared/data/ssdd-train")
    _weights(here, root / "shared/data/weights")


def make_large_standins(root: Path) -> None:
    """Add the large ones, which only blocks of the slow tier name."""
    here = root / "here"
    _exports(here, ("bnn_r50", "resnet50"), ("bnn_darknet53", "darknet53"))
    header = np.array([0, 2, 0, 32013312, 0], dtype="<i4")  # version 0.2, images seen as int64
    values = np.random.default_rng(0).uniform(0.5, 1.0, size=40_620_640).astype("<f4")
    with (here / "darknet53.conv.74").open("wb") as stream:
        stream.write(header.tobytes() + values.tobytes())


def _scene_pairs(folder: Path, count: int) -> None:
    import tifffile

    from osm.simulate.layouts import make_pair

    folder.mkdir(parents=True)
    for number in range(count):
        sar, optical = make_pair(seed=7, number=number, size_px=512)
        tifffile.imwrite(folder / f"{number}_sar.tif", sar)
        tifffile.imwrite(folder / f"{number}_opt.tif", optical, photometric="rgb")


def _data_sets(folder: Path, ssdd_train: Path) -> None:
    from osm.simulate import simulate_pairs, simulate_scenes

    size = {"width_px": 256, "height_px": 256}
    simulate_pairs(folder / "QXS", count=24, seed=1)
    simulate_scenes(folder / "AIR-SARShip-1.0", count=14, seed=3, **size)
    simulate_scenes(folder / "SSDD", count=60, seed=4, layout="ssdd", **size)
    (folder / "ssdd").symlink_to("SSDD")
    simulate_scenes(ssdd_train, count=24, seed=5, layout="ssdd", **size)
    for root in (folder / "SSDD", ssdd_train):
        images = next(path for path in (root / "JPEGImages", *root.glob("**/JPEGImages")) if path.is_dir())
        lists = images.parent / "ImageSets/Main"
        # the docs score on val, which is a part of the official training images
        train = (lists / "train.txt").read_text().split()
        (lists / "train.txt").write_text("\n".join(train[:-4]) + "\n")
        (lists / "val.txt").write_text("\n".join(train[-4:]) + "\n")


def _weights(here: Path, shared: Path) -> None:
    import torch
    import torchvision

    torch.manual_seed(0)
    shared.mkdir(parents=True)
    published = torchvision.models.resnet18(weights=None).state_dict()
    torch.save(published, here / "resnet18-f37072fd.pth")
    # as the file that it stands for: without the 3×3 convolutions of the last stage
    partial = {name: value for name, value in published.items() if not name.startswith("layer4.") or "down" in name}
    torch.save(partial, shared / "resnet18_imagenet1k-v1_partial.pth")
    _exports(here, ("bnn_r18", "resnet18"))


def _exports(here: Path, *wanted: tuple[str, str]) -> None:
    from osm.transfer.architectures import build_backbone
    from osm.transfer.card import Card, InputContract
    from osm.transfer.export import export_backbone

    for folder, name in wanted:
        path = here / "work_dirs" / folder / "sar_backbone.safetensors"
        path.parent.mkdir(parents=True)
        export_backbone(path, build_backbone(name), Card(name, InputContract.of(name)))
