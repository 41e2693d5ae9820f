"""What is read from files that others wrote, one function a format, and small files that each understands.

A target takes a file, and either finds values of which everything holds that is promised of them, or refuses the file
by an ``OSMError`` of one line. Anything else that comes out of it is a defect.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osm.compat.config_files import as_data, read_config_file
from osm.data.airsarship2 import parse_points
from osm.data.coco import read_coco
from osm.data.dota import parse_label_txt
from osm.data.groups import read_groups
from osm.data.mbrect import parse_mbrect
from osm.data.register.tie_points import read_tie_points
from osm.data.scene import Label
from osm.data.scenes import read_scenes
from osm.data.screening.verdicts import read_verdicts
from osm.data.voc import parse_voc
from osm.detection.predictions import read_predictions
from osm.transfer.export import read_card, read_safetensors
from osm.view.coco import read_coco as read_coco_boxes

COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 5], "iscrowd": 0, "score": 0.5}],
    "categories": [{"id": 1, "name": "ship"}],
}
VOC = """<annotation><size><width>100</width><height>80</height></size>
<object><name>ship</name><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20.5</ymax></bndbox></object></annotation>"""
POINTS = """<annotation><objects><object><possibleresult><name>ship</name></possibleresult>
<points><point>1,2</point><point>30,2</point><point>30,20</point><point>1,20</point><point>1,2</point></points>
</object></objects></annotation>"""
SCENE = {
    "scene_id": "a", "image_path": "a.png", "width_px": 10, "height_px": 10, "radiometry": "none",
    "truth": [[1, 1, 5, 5]], "ignore": [False], "boxes": [[1, 1, 5, 5]], "scores": [0.5],
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A format.

    Attributes:
        name: In tables and on the command line.
        suffix: Of its files.
        read: Reads a file, and asserts what is promised of what it finds.
        seeds: Files that it understands, or nearly.
    """

    name: str
    suffix: str
    read: Callable[[Path], None]
    seeds: tuple[bytes, ...]


def _refuse(problem: Exception) -> None:
    raise problem


def _label(parse: Callable[[Path], Label]) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        label = parse(path)
        assert label.boxes.shape == (len(label.ignore), 4)
        assert label.boxes.dtype == np.float32
        assert np.isfinite(label.boxes).all()  # corners in the wrong order are found when scene and label come together

    return read


def _coco(path: Path) -> None:
    for image in read_coco(path, _refuse):
        assert image.width_px > 0
        assert image.height_px > 0
        assert np.isfinite(image.boxes).all()
        assert len(image.boxes) == len(image.crowd)


def _coco_boxes(path: Path) -> None:
    for scene in read_coco_boxes(path):
        assert np.isfinite(scene.boxes).all()
        assert len(scene.boxes) == len(scene.scores)


def _split_list(path: Path) -> None:
    """A list of SSDD, in a data set that has the one image that the list may name."""
    from PIL import Image

    root = path.parent / "ssdd"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    if not (root / "JPEGImages/000001.jpg").exists():
        Image.new("L", (100, 80)).save(root / "JPEGImages/000001.jpg")
        (root / "Annotations/000001.xml").write_text(VOC)
    (root / "ImageSets/Main/train.txt").write_bytes(path.read_bytes())
    assert [scene.scene_id for scene in read_scenes("ssdd", root, split="train")] in ([], ["000001"])


def _tie_points(path: Path) -> None:
    points = read_tie_points(path, (1000, 800), (900, 900))
    assert points.sar.shape == points.optical.shape == (len(points.regions), 2)
    for places, size in ((points.sar, (1000, 800)), (points.optical, (900, 900))):
        assert ((places >= 0) & (places <= size)).all()


def _groups(path: Path) -> None:
    found = read_groups(path, None)
    assert all(scene and group for scene, group in found.items())


def _verdicts(path: Path) -> None:
    assert all(isinstance(kept, bool) for kept in read_verdicts(path).values())


def _weights(path: Path) -> None:
    tensors, metadata = read_safetensors(path)
    # nothing may be claimed that is not in the file
    assert sum(tensor.nbytes for tensor in tensors.values()) <= path.stat().st_size
    assert all(isinstance(value, str) for value in metadata.values())
    read_card(path)


def _data_config(path: Path) -> None:
    values = read_config_file(path)
    assert json.loads(json.dumps(as_data(path, values))) == as_data(path, values)


def _predictions(path: Path) -> None:
    for scene in read_predictions(path).scenes:
        assert np.isfinite(scene.boxes).all()
        assert len(scene.boxes) == len(scene.scores)


def _safetensors(header: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


_TENSOR = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
_CARD = {"format": 1, "architecture": "resnet18", "input": {}, "data": {}, "figures": {}}

TARGETS = {
    target.name: target
    for target in (
        Target("voc", ".xml", _label(parse_voc), (VOC.encode(),)),
        Target("air-sarship-2", ".xml", _label(parse_points), (POINTS.encode(),)),
        Target("mbrect", ".mbrect", _label(parse_mbrect), (b"ship 1 2 30 2 30 20 1 20\n", b"1,2,3,4,5,6,7,8")),
        Target(
            "dota",
            ".txt",
            _label(parse_label_txt),
            (b"imagesource:GoogleEarth\ngsd:0.5\n1 2 30 2 30 20 1 20 ship 0\n", b"1 2 3 4 5 6 7 8 harbor 1\n"),
        ),
        Target("coco", ".json", _coco, (json.dumps(COCO).encode(),)),
        Target("coco-boxes", ".json", _coco_boxes, (json.dumps(COCO).encode(),)),
        Target("split-list", ".txt", _split_list, (b"000001\n", b"\xef\xbb\xbf000001\r\n\r\n")),
        Target(
            "tie-points",
            ".csv",
            _tie_points,
            (
                b"sar_col,sar_row,opt_col,opt_row\n1,2,3,4\n500,600,510,590\n",
                b"sar_col;sar_row;opt_col;opt_row;region\n1;2;3;4;0-0\n",
            ),
        ),
        Target("groups", ".csv", _groups, (b"scene,group\na,inshore\nb,offshore\n",)),
        Target(
            "verdicts",
            ".csv",
            _verdicts,
            (b"name,scene,row,column,verdict,reason,by_hand\na_r0_c0,a,0,0,keep,,\na_r0_c1,a,0,1,drop,seam line,\n",),
        ),
        Target(
            "predictions",
            ".json",
            _predictions,
            (json.dumps({"format": 1, "scenes": [SCENE], "tiles": []}).encode(),),
        ),
        Target(
            "safetensors",
            ".safetensors",
            _weights,
            (
                _safetensors({"a": _TENSOR}, bytes(16)),
                _safetensors({"a": _TENSOR, "__metadata__": {"osm.card": json.dumps(_CARD)}}, bytes(16)),
                _safetensors({"a": {**_TENSOR, "shape": [2**40]}}, bytes(16)),
            ),
        ),
        Target("config-json", ".json", _data_config, (b'{"detector": "x", "train": {"epochs": 3}, "seeds": [0, 1]}',)),
        Target("config-yaml", ".yaml", _data_config, (b"detector: x\ntrain:\n  epochs: 3\nseeds: [0, 1]\n",)),
    )
}  # fmt: skip
