"""The long commands on small simulated data: how they are begun, begun again, and what they are to leave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("pretrain", "finetune", "compare", "build-pairs", "pack", "detect")

#: Entries of JSON outputs that tell when, how long or where, and nothing that was found.
VARYING = {"seconds", "train_seconds", "date", "began", "sha256", "files", "data_root", "work_dir", "root", "path"}


Digest = Callable[[Path], str]
Digests = Callable[[Path, Digest], dict[str, str]]


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        name: As in the table.
        inputs: What it reads; a test may damage its copy.
        out: What it writes to.
        arguments: Of the first run.
        again: Of a run after it was stopped.
        digests: Of what it left, by name, as far as two undisturbed runs leave the same; given a folder and the
            digest of a file.
        finished: Files that are kept when it is run again, once they are there: by them nothing is done twice.
    """

    name: str
    inputs: Path
    out: Path
    arguments: tuple[str, ...]
    again: tuple[str, ...]
    digests: Digests
    finished: str

    def outcome(self) -> dict[str, str]:
        """What it left: a digest by name."""
        return self.digests(self.out, self._content)

    def _content(self, path: Path) -> str:
        """SHA-256 of a file, wherever it read its inputs; of JSON without what varies."""
        content = path.read_bytes().replace(str(self.inputs).encode(), b"INPUTS")
        if path.suffix in (".json", ".geojson"):
            content = json.dumps(_settled(json.loads(content)), sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()

    def with_more(self, *arguments: str) -> Case:
        """The same with more options."""
        return replace(self, arguments=(*self.arguments, *arguments), again=(*self.again, *arguments))


def make_inputs(folder: Path) -> None:
    """Simulate what the commands read, into a folder for each."""
    import tifffile
    import torch

    from osm.configs import config_path
    from osm.detection.recipe import load_recipe
    from osm.simulate import simulate_pairs, simulate_scenes
    from osm.simulate.layouts import make_pair
    from osm.transfer.architectures import build_backbone
    from osm.transfer.card import Card, InputContract
    from osm.transfer.export import export_backbone
    from tests.detection.onnx.conftest import write_detector

    torch.manual_seed(0)
    simulate_pairs(folder / "pretrain/pairs", count=22, seed=1, size_px=64)
    simulate_pairs(folder / "pack/pairs", count=300, seed=2, size_px=64)
    for name in ("finetune", "compare"):
        simulate_scenes(folder / name / "scenes", count=6, seed=3, width_px=256, height_px=256)
        export_backbone(
            folder / name / "sar.safetensors",
            build_backbone("darknet-narrow"),
            Card("darknet-narrow", InputContract.of("darknet-narrow"), data={"simulated": True}),
        )
    (folder / "compare/study.py").write_text(
        f"title = 'Faults'\ndetectors = ['{ROOT}/configs/detect/demo_yolov3_narrow.py']\nseeds = [0]\n"
        f"overrides = {SMALL | {'train.epochs': 1}!r}\n"
    )
    (folder / "build-pairs/scenes").mkdir(parents=True)
    for number in range(3):
        sar, optical = make_pair(seed=7, number=number, size_px=640)
        tifffile.imwrite(folder / f"build-pairs/scenes/{number}_sar.tif", sar)
        tifffile.imwrite(folder / f"build-pairs/scenes/{number}_opt.tif", optical, photometric="rgb")
    recipe = load_recipe(
        config_path("detect/demo_yolov3_narrow.py"),
        {"data.tile_px": 128, "data.overlap_px": 32, "test.precision": "float32"},
    )
    (folder / "detect").mkdir()
    write_detector(recipe, folder / "detect/detector.safetensors")
    _placed_scenes(folder / "detect/scenes")


def _placed_scenes(folder: Path) -> None:
    import rasterio

    from osm.simulate.layouts import make_scene

    folder.mkdir()
    facts = {"driver": "GTiff", "width": 512, "height": 384, "count": 1, "dtype": "float32", "crs": "EPSG:32633"}
    for number in range(SCENES):
        place = rasterio.Affine(10, 0, 5e5, 0, -10, 58e5)
        with rasterio.open(folder / f"{number}.tif", "w", **facts, tiled=True, transform=place) as file:
            file.write(make_scene(8, number, 512, 384)[0].astype(np.float32), 1)


SCENES = 4
SMALL = {"data.tile_px": 128, "data.overlap_px": 32, "train.precision": "float32", "test.precision": "float32"}
_PRETRAIN = {
    "data.size_px": 64,
    "data.workers": 1,
    "train.epochs": 4,
    "train.batch_size": 5,
    "train.warmup_epochs": 0.0,
    "train.checkpoint_every_epochs": 1,
}
_FINETUNE = SMALL | {"train.epochs": 3, "train.batch_size": 4, "train.checkpoint_epochs": 1}


def make_case(name: str, inputs: Path, out: Path) -> Case:
    """A command over a copy of its inputs.

    Args:
        name: One of ``COMMANDS``.
        inputs: Folder that ``make_inputs`` made for it, or a copy.
        out: A path in a folder of its own; things may be put beside it.
    """
    text = {key: str(value) for key, value in {"inputs": inputs, "out": out}.items()}

    def case(arguments: str, again: str, digests: Digests, finished: str) -> Case:
        first = tuple(word.format(**text) for word in arguments.split())
        return Case(name, inputs, out, first, (*first, *again.split()), digests, finished)

    if name == "pretrain":
        first = "pretrain configs/pretrain/demo_darknet-narrow.py --data-root {inputs}/pairs --work-dir {out}"
        return case(first, "--resume", _pretrained, "epoch_*.pth").with_more(*_set(_PRETRAIN))
    if name == "finetune":
        first = "finetune configs/detect/demo_yolov3_narrow.py --init osm:{inputs}/sar.safetensors"
        first += " --data-root {inputs}/scenes --work-dir {out}"
        return case(first, "--resume", _finetuned, "checkpoints/*/epoch_*.pth").with_more(*_set(_FINETUNE))
    if name == "compare":
        first = "compare {inputs}/study.py --arm osm={inputs}/sar.safetensors --data-root {inputs}/scenes"
        return case(first + " --work-dir {out}", "", _compared, "cells/**/cell.json")
    if name == "build-pairs":
        first = "data build-pairs --sar {inputs}/scenes/*_sar.tif --optical {inputs}/scenes/*_opt.tif --out {out}"
        return case(first + " --size 64 --screen", "", _files, "**/*")
    if name == "pack":
        return case("data pack {inputs}/pairs --out {out}", "", _files, "*")
    assert name == "detect"
    scenes = " ".join(f"{{inputs}}/scenes/{number}.tif" for number in range(SCENES))
    first = "detect {inputs}/detector.safetensors " + scenes + " --out {out} --formats geojson,csv,png --score 0.1"
    return case(first, "", _files, "*.detect.json")


def _set(settings: dict[str, Any]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def _pretrained(out: Path, digest: Digest) -> dict[str, str]:
    names = ("metrics.json", "certificate_sar.json", "certificate_optical.json", "dropped.csv")
    return _tensors(out / "sar_backbone.safetensors") | {name: digest(out / name) for name in names}


def _finetuned(out: Path, digest: Digest) -> dict[str, str]:
    names = ("metrics.json", "certificate.json", "predictions.json")
    return _tensors(out / "detector.safetensors") | {name: digest(out / name) for name in names}


def _compared(out: Path, digest: Digest) -> dict[str, str]:
    cells = sorted((out / "cells").glob("**/predictions.json"))
    return {str(path.relative_to(out)): digest(path) for path in (*cells, out / "report/report.json")}


def _files(out: Path, digest: Digest) -> dict[str, str]:
    paths = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path): digest(out / path) for path in paths if path.parts[0] != "logs"}


def _tensors(path: Path) -> dict[str, str]:
    from safetensors.numpy import load_file

    return {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in load_file(path).items()}


def _settled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _settled(entry) for key, entry in value.items() if key not in VARYING}
    return [_settled(entry) for entry in value] if isinstance(value, list) else value
