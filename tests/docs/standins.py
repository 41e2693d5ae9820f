"""Simulated stand-ins for what a reader of the docs has at hand, under the very names that the docs use."""

from __future__ import annotations

from pathlib import Path


def make_standins(root: Path) -> None:
    """Fill ``root`` with them: ``here`` is where commands are typed, ``shared`` lies beside it."""
    here = root / "here"
    here.mkdir(parents=True)
    _scene_pairs(here / "scenes", count=12)  # enough for one full batch of the shipped configs
    _scene_pairs(root / "shared/data/sentinel-pairs", count=4)
    _data_sets(here / "data", root / "shared/data/ssdd-train")
    _weights(here, root / "shared/data/weights")
    _runs_to_view(here)


def make_large_standins(root: Path) -> None:
    """Add the large ones, which only blocks of the slow tier name."""
    from osm.transfer.adapters.verify import every_map
    from tests.transfer.adapters.darknet_files import darknet_file

    here = root / "here"
    _exports(here, ("bnn_r50", "resnet50"), ("bnn_darknet53", "darknet53"))
    _detector(here / "work_dirs/f_rcnn")
    _placed_scenes(here)
    darknet_file(here / "darknet53.conv.74", every_map("darknet53"))


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


def _detector(folder: Path) -> None:
    """A Faster R-CNN that has learned nothing and finds much."""
    from osm.configs import config_path
    from osm.detection.recipe import load_recipe
    from tests.detection.onnx.conftest import write_detector

    folder.mkdir(parents=True)
    settings = {"data.tile_px": 128, "data.overlap_px": 32, "test.precision": "float32"}
    recipe = load_recipe(config_path("detect/demo_faster-rcnn_r18.py"), settings)
    write_detector(recipe, folder / "detector.safetensors")


def _placed_scenes(here: Path) -> None:
    """Scenes with a coordinate system, one of them in the folder of a Sentinel-1 product, and a coast."""
    import rasterio

    from osm.files import write_json
    from osm.simulate.layouts import make_scene

    facts = {"driver": "GTiff", "width": 256, "height": 256, "count": 1, "dtype": "uint16", "crs": "EPSG:32633"}
    for number, path in enumerate(("sea/port.tif", "sea/bay.tif", "S1A_IW_GRDH_….SAFE/measurement/vv.tiff")):
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(here / path, "w", **facts, transform=rasterio.Affine(10, 0, 5e5, 0, -10, 58e5)) as file:
            file.write(make_scene(8, number, 256, 256)[0], 1)
    corners = [[14.0, 52.3], [15.02, 52.3], [15.02, 52.4], [14.0, 52.4], [14.0, 52.3]]
    land = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [corners]}}
    write_json(here / "land.geojson", {"type": "FeatureCollection", "features": [land]})


def _runs_to_view(here: Path) -> None:
    """What a comparison and two searches leave, of one scene."""
    from osm.files import write_json
    from tests.view.made import FOUND_B, SCORES_B, SHIPS, a_comparison, a_search, coco, picture, write_picture

    scenes = {"one": write_picture(here / "pictures/one.png", picture())}
    a_comparison(here / "compared", scenes)
    a_search(here / "found", scenes)
    a_search(here / "found_scratch", scenes, FOUND_B, SCORES_B)
    write_json(here / "labels.json", coco(scenes["one"], SHIPS))
