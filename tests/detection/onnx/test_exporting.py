"""A file finds what torch finds, without torch, and is refused when it is not what was written."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from osm.cli.export import _tiles
from osm.cli.main import main
from osm.detection.onnx.exporting import export_onnx
from osm.detection.onnx.proof import Rules, compare_tile
from osm.detection.onnx.sealed import CARD_KEY, read_sealed, seal
from osm.detection.onnx.wire import read_contents
from osm.detection.recipe import load_recipe
from osm.detection.search.runtime import open_runtime
from osm.errors import ConfigError, DataError, WeightsError
from osm.files import sha256_file
from tests.detection.onnx.conftest import write_detector

BOTH = pytest.mark.parametrize("name", ["faster_rcnn", "yolo"])
RULES = {"faster_rcnn": Rules(0.05, 0.5, 100), "yolo": Rules(0.05, 0.45, 100)}


@pytest.fixture(scope="module")
def tiles():
    """Of another seed than those of the proof, a bright object in each."""
    from osm.data.radiometry import Radiometry
    from osm.simulate.layouts import make_scene

    known = Radiometry.parse("percentile:0.5,99.5")
    return np.stack([known.apply(make_scene(99, number, 128, 128)[0]) for number in range(5)])


@BOTH
def test_the_proof_is_on_the_card_and_the_card_in_the_file(exported, name):
    source, done = exported[name]
    proof = read_sealed(done.path)[1].proof
    assert proof == done.card.proof
    assert proof.tiles == 12
    assert proof.detections >= 10
    assert proof.box_px < 0.1
    assert proof.score < 1e-4
    assert done.card.mean == (123.675, 116.28, 103.53) if name == "faster_rcnn" else len(done.card.mean) == 3
    assert done.card.source_sha256 == sha256_file(source)
    assert done.sha256 == sha256_file(done.path)
    assert done.path.with_name(f"{done.path.name}.sha256").read_text().split()[0] == done.sha256


@BOTH
@pytest.mark.parametrize("count", [1, 5])
def test_other_tiles_and_batches_give_what_torch_gives(exported, tiles, name, count):
    source, done = exported[name]
    in_torch = open_runtime(source, "cpu").predict(tiles[:count])
    in_onnx = open_runtime(done.path).predict(tiles[:count])
    differences = [compare_tile(*both, RULES[name]) for both in zip(in_torch, in_onnx, strict=True)]
    assert sum(one.pairs for one in differences) >= 5
    assert [one.strays for one in differences] == [()] * count
    assert sum(one.ties for one in differences) <= 1
    for boxes, scores in in_onnx:
        assert (boxes.dtype, scores.dtype) == (np.float32, np.float32)
        assert (np.diff(scores) <= 0).all()


@BOTH
def test_both_runtimes_search_by_the_same_settings(exported, name):
    source, done = exported[name]
    words = ("tile_px", "overlap_px", "radiometry", "batch_size", "merge_iou", "merge_smaller")
    both = [open_runtime(source, "cpu"), open_runtime(done.path)]
    assert len({tuple(getattr(one, word) for word in words) for one in both}) == 1


@pytest.mark.parametrize(
    "tiles",
    [
        np.zeros((1, 64, 64), np.uint8),
        np.zeros((1, 128, 128), np.float32),
        np.zeros((128, 128), np.uint8),
        np.zeros((0, 128, 128), np.uint8),
        np.zeros((1, 128, 128, 3), np.uint8),
    ],
    ids=["size", "type", "one tile", "no tile", "bands"],
)
def test_tiles_of_another_shape_or_type_are_refused(exported, tiles):
    with pytest.raises(DataError, match="128, 128"):
        open_runtime(exported["yolo"][1].path).predict(tiles)


@pytest.mark.parametrize("where", [0.0, 0.1, 0.5, 0.9, 0.9999, 1.0])
def test_one_flipped_byte_is_refused(exported, tmp_path, where):
    data = bytearray(exported["yolo"][1].path.read_bytes())
    data[int(where * (len(data) - 1))] ^= 1
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(WeightsError, match=r"changed or damaged|digest"):
        open_runtime(tmp_path / "x.onnx")


def test_a_file_that_is_cut_short_is_refused(exported, tmp_path):
    (tmp_path / "x.onnx").write_bytes(exported["yolo"][1].path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="digest"):
        open_runtime(tmp_path / "x.onnx")


def _another(how):
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    node = helper.make_node("Relu", ["x"], ["y"], domain="com.example" if how == "domain" else "")
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    if how == "external":
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "/etc/passwd"
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], initializer=[tensor])
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("how", "found"),
    [("external", "in other files"), ("domain", "not ONNX's own"), ("plain", r"inputs .* and outputs")],
)
def test_a_sealed_file_that_holds_something_else_is_refused(exported, tmp_path, how, found):
    (tmp_path / "x.onnx").write_bytes(seal(_another(how), exported["yolo"][1].card))
    with pytest.raises(WeightsError, match=found):
        open_runtime(tmp_path / "x.onnx")


def test_somebody_elses_onnx_is_refused(tmp_path):
    (tmp_path / "x.onnx").write_bytes(_another("plain"))
    with pytest.raises(WeightsError, match="no digest"):
        open_runtime(tmp_path / "x.onnx")


@pytest.mark.parametrize("change", [{"tile_px": 0}, {"overlap_px": 128}, {"batch_size": 0}, {"merge_iou": 2.0}])
def test_a_card_that_no_search_can_be_made_with_is_refused(exported, tmp_path, change):
    card = dataclasses.replace(exported["yolo"][1].card, **change)
    (tmp_path / "x.onnx").write_bytes(seal(_another("plain"), card))
    with pytest.raises(WeightsError, match="card that cannot be read"):
        open_runtime(tmp_path / "x.onnx")


def test_onnx_itself_reads_the_file_and_its_card(exported):
    import onnx

    done = exported["faster_rcnn"][1]
    model = onnx.load(done.path)
    assert {entry.key: entry.value for entry in model.metadata_props}[CARD_KEY] == done.card.to_json()
    assert not read_contents(done.path.read_bytes()).external


def test_the_command_exports_for_the_tiles_of_the_search(exported, yolo, tmp_path, capsys):
    larger = dataclasses.replace(yolo, test=dataclasses.replace(yolo.test, tile_px=192))
    write_detector(larger, tmp_path / "detector.safetensors")
    with pytest.raises(SystemExit) as stop:
        main(["export", str(tmp_path), "--to", "onnx"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    assert "detections in 12 tiles as in torch" in shown
    assert "tiles (N, 192, 192) of 8-bit SAR, radiometry percentile:0.5,99.5" in shown
    # neither words of mmengine nor of torch's exporter
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["proof", "SHA-256", "input", "output", "search"]
    assert open_runtime(tmp_path / "detector.onnx").tile_px == 192


def test_a_detector_of_optical_scenes_is_refused(faster_rcnn, tmp_path):
    optical = dataclasses.replace(faster_rcnn, data=dataclasses.replace(faster_rcnn.data, kind="dota"))
    source = write_detector(optical, tmp_path / "detector.safetensors")
    with pytest.raises(ConfigError, match="optical scenes"):
        export_onnx(tmp_path, None, lambda side_px, radiometry: np.zeros((1, side_px, side_px), np.uint8))
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.slow
def test_a_detector_that_finds_nothing_leaves_nothing(yolo, tmp_path):
    from osm.transfer.export import read_safetensors, write_safetensors

    source = write_detector(yolo, tmp_path / "detector.safetensors")
    tensors, metadata = read_safetensors(source)
    for name in list(tensors):
        if "convs_pred" in name:
            tensors[name] = tensors[name] * 0 - 10 * name.endswith("bias")
    write_safetensors(source, tensors, {"osm.recipe": metadata["osm.recipe"]})
    with pytest.raises(WeightsError, match="no detection"):
        export_onnx(source, None, lambda side_px, radiometry: np.zeros((1, side_px, side_px), np.uint8))
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.slow
def test_darknet_53_is_proven_like_a_small_backbone(repo_root, tmp_path):
    # a Faster R-CNN of this size has to be trained before rounding alone no longer chooses its proposals
    recipe = load_recipe(repo_root / "configs/detect/yolov3_d53_ssdd.py", {"data.tile_px": 256, "data.overlap_px": 64})
    done = export_onnx(write_detector(recipe, tmp_path / "detector.safetensors", settle=True), None, _tiles)
    proof = read_sealed(done.path)[1].proof
    assert proof.detections >= 10
    assert proof.box_px <= 0.5
    assert proof.score <= 1e-3


BLOCKED = """
import sys

class Blocked:
    names = ("torch", "torchvision", "mmdet", "mmengine", "mmcv", "onnx", "onnxscript", "ultralytics")
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from osm.cli.main import main
sys.exit(main())
"""


def detect(weights, scene, out, script):
    words = ["detect", weights, scene, "--no-position", "--score", "0.1", "--device", "cpu", "--out", out]
    command = [sys.executable, "-c", script, *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    ships = json.loads(out.read_text())["annotations"]
    return np.asarray([ship["bbox"] for ship in ships]).reshape(-1, 4), np.asarray([ship["score"] for ship in ships])


def test_osm_detect_needs_neither_torch_nor_mmdet_and_finds_the_same(exported, tmp_path):
    import tifffile

    from osm.simulate.layouts import make_scene

    source, done = exported["faster_rcnn"]
    scene = tmp_path / "scene.tif"
    tifffile.imwrite(scene, make_scene(5, 0, 220, 180)[0])
    boxes, scores = detect(done.path, scene, tmp_path / "onnx.coco.json", BLOCKED)
    plain = "import sys; from osm.cli.main import main; sys.exit(main())"
    in_torch, and_scores = detect(source, scene, tmp_path / "torch.coco.json", plain)
    assert len(scores) == len(and_scores) >= 5
    order, and_order = (
        np.lexsort((b[:, 0].round(1), -s.round(4))) for b, s in ((boxes, scores), (in_torch, and_scores))
    )
    np.testing.assert_allclose(boxes[order], in_torch[and_order], atol=0.5)
    np.testing.assert_allclose(scores[order], and_scores[and_order], atol=1e-3)
