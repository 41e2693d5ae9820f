"""The backbone of a finished detector: what its card says, and the proof that it is the detector's."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from safetensors.torch import load_file, save_file

from osm.detection.arms import Init, check_kind
from osm.detection.backbone import card_of_detector, find_detector, take_backbone
from osm.detection.engine import fed
from osm.detection.finetune import finetune
from osm.detection.recipe import load_recipe
from osm.detection.starts import check_start
from osm.errors import ConfigError, DataError, WeightsError
from osm.files import read_json, write_sealed
from osm.simulate import simulate_scenes
from osm.transfer.architectures import build_backbone
from osm.transfer.card import OSD, SAR_DETECTOR, Card, InputContract
from osm.transfer.export import export_backbone, read_card, read_export, tensors_sha256, write_safetensors
from osm.transfer.load import load_backbone


@pytest.fixture(scope="module")
def optical(repo_root, tiny_optical):
    return load_recipe(repo_root / "configs/detect/demo_yolov3_narrow.py", tiny_optical)


@pytest.fixture(scope="session")
def tiny_optical(tiny):
    return {**tiny, "data.kind": "dota", "data.test_split": "val", "data.radiometry": "none"}


@pytest.fixture(scope="module")
def run(optical, tmp_path_factory):
    """A detector of optical ships, trained for one epoch."""
    folder = tmp_path_factory.mktemp("optical")
    simulate_scenes(folder / "dota", count=8, seed=1, width_px=256, height_px=256, layout="dota")
    finetune(optical, init=Init("scratch"), data_root=folder / "dota", work_dir=folder / "run", seed=4)
    return folder / "run"


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def test_the_backbone_is_the_detectors_bit_for_bit(run, tmp_path):
    done = take_backbone(run, out=tmp_path / "osd.safetensors")
    detector = load_file(run / "detector.safetensors")
    own = {key.removeprefix("backbone."): value for key, value in detector.items() if key.startswith("backbone.")}
    assert done.tensors_sha256 == tensors_sha256(own) == tensors_sha256(load_file(done.path))
    assert done.tensors == len(own) > 100
    digest, name = done.beside[0].read_text().split()
    assert (digest, name) == (done.sha256, "osd.safetensors")
    backbone = build_backbone("darknet-narrow")
    assert load_backbone(backbone, done.path, architecture="darknet-narrow").coverage == 1


def test_the_card_says_where_it_comes_from_and_what_it_was_fed(run, tmp_path, optical):
    _, card = read_export(take_backbone(run, out=tmp_path / "osd.safetensors").path)
    assert card == read_card(tmp_path / "osd.safetensors")
    assert card.pretrained == OSD
    assert card.input == fed(optical) == InputContract.of("darknet-narrow", bands=3)
    facts = {"kind": "dota", "root": "dota", "simulated": True, "optical": True, "train_scenes": 6, "test_scenes": 2}
    assert facts.items() <= card.data.items()
    assert card.data["train_ships"] > 0
    assert card.config["detector"] == "yolov3_darknet-narrow"
    assert card.config["seed"] == 4
    assert card.start["source"] is None
    assert card.start["detector"]["init"] == "scratch"
    metrics = read_json(run / "metrics.json")
    assert card.start["detector"]["sha256"] == metrics["files"]["detector.safetensors"]
    assert card.start["certificate_sha256"] == metrics["files"]["certificate.json"]
    assert card.metrics["detection"]["scene"] == metrics["scene"]


def test_colours_that_are_given_up_are_noted_and_other_statistics_stop(run, tmp_path, yolo):
    path = take_backbone(run, out=tmp_path / "osd.safetensors").path
    contract = load_backbone(
        build_backbone("darknet-narrow"), path, architecture="darknet-narrow", feeds=fed(yolo)
    ).contract
    assert contract.agree
    assert any("3 bands of images in colours, fed 1 band" in note for note in contract.notes)
    other = replace(fed(yolo), std=(1.0, 1.0, 1.0))
    with pytest.raises(WeightsError, match="inputs normalised by std 255/255/255 where 1/1/1 is fed"):
        load_backbone(build_backbone("darknet-narrow"), path, architecture="darknet-narrow", feeds=other)


def test_an_optical_detector_does_not_start_from_sar_unnoticed(optical, tmp_path):
    path = tmp_path / "sar.safetensors"
    export_backbone(path, build_backbone("darknet-narrow"), Card("darknet-narrow", InputContract.of("darknet-narrow")))
    with pytest.raises(WeightsError, match="images of so many bands: 1 where 3 is fed"):
        check_start(Init("osm", path), optical)


def test_a_start_is_called_what_its_card_says(run, tmp_path, yolo):
    path = take_backbone(run, out=tmp_path / "osd.safetensors").path
    assert check_start(Init("osd", path), yolo).coverage == 1
    for kind in ("osm", "imagenet"):
        with pytest.raises(WeightsError, match=rf"for a start of the kind {kind}; .*--arm osd={path}"):
            check_start(Init(kind, path), yolo)
    matched = Card("darknet-narrow", InputContract.of("darknet-narrow"))
    for card, said in ((matched, "that no detector was trained with"), (None, "without a card")):
        with pytest.raises(WeightsError, match=rf"weights {said}, for a start of the kind osd"):
            check_kind("osd", path, card)
        check_kind("osm", path, card)
    sar = replace(matched, data={"learned": "ship detection", "optical": False})
    assert sar.pretrained == SAR_DETECTOR
    for kind in ("osm", "osd", "imagenet"):
        with pytest.raises(WeightsError, match="a detector of SAR ships"):
            check_kind(kind, path, sar)


def test_finetuning_refuses_a_start_by_another_name(run, tmp_path, yolo, scenes_root):
    path = take_backbone(run, out=tmp_path / "osd.safetensors").path
    with pytest.raises(WeightsError, match="of optical ships, for a start of the kind osm"):
        finetune(yolo, init=Init("osm", path), data_root=scenes_root, work_dir=tmp_path / "run")
    result = finetune(yolo, init=Init("osd", path), data_root=scenes_root, work_dir=tmp_path / "run")
    assert result.certificate.coverage == 1
    assert read_json(tmp_path / "run/metrics.json")["data"]["optical"] is False


def test_what_is_no_finished_detector_is_named(run, copy, tmp_path):
    assert find_detector(run) == find_detector(run / "detector.safetensors") == run / "detector.safetensors"
    assert find_detector(tmp_path) is None
    assert find_detector(tmp_path / "absent.safetensors") is None
    plain = tmp_path / "plain.safetensors"
    save_file(load_file(run / "detector.safetensors"), plain)
    assert find_detector(plain) is None
    with pytest.raises(WeightsError, match="found no detector"):
        take_backbone(plain)
    (copy / "detector.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"a run without detector\.safetensors; .*the cells of a comparison keep no"):
        find_detector(copy)


@pytest.mark.parametrize("name", ["metrics.json", "certificate.json"])
def test_a_run_that_lacks_a_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(DataError, match=name):
        take_backbone(copy / "detector.safetensors")
    assert not list(copy.glob("*backbone*"))


def test_another_runs_detector_is_found_out(copy):
    tensors, path = load_file(copy / "detector.safetensors"), copy / "detector.safetensors"
    recipe = read_json(copy / "metrics.json")  # any text: the file is refused by its hash
    tensors["backbone.conv1.conv.weight"] += 1
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stream:
        text = stream.metadata()["osm.recipe"]
    write_safetensors(path, tensors, {"osm.recipe": text})
    with pytest.raises(DataError, match=rf"detector\.safetensors: .*{recipe['files']['detector.safetensors'][:12]}"):
        take_backbone(copy)
    elsewhere = path.rename(copy / "renamed.safetensors")
    with pytest.raises(DataError, match="no file that the run left"):
        take_backbone(elsewhere)


def test_what_is_there_is_kept(copy):
    first = take_backbone(copy).path
    assert first.name == "detector_backbone.safetensors"
    before = read_export(first)[1]
    with pytest.raises(ConfigError, match="give --overwrite"):
        take_backbone(copy)
    assert read_export(take_backbone(copy, overwrite=True).path)[1] == before


def test_an_earlier_run_says_less_and_another_engine_is_refused(copy, tmp_path):
    run = read_json(copy / "metrics.json")
    del run["data"], run["sha256"]
    write_sealed(copy / "metrics.json", run)
    card = card_of_detector(copy / "detector.safetensors")
    assert card.pretrained == OSD
    assert "simulated" not in card.data
    write_safetensors(copy / "detector.safetensors", {}, {"osm.recipe": '{"engine": "ultralytics"}'})
    with pytest.raises(ConfigError, match="a detector of the engine ultralytics"):
        card_of_detector(copy / "detector.safetensors")
