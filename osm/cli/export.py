"""``osm export`` and ``osm import``: backbones to other frameworks and from them, each proven."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osm.transfer.adapters.base import SOURCES, TARGETS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from osm.transfer.card import Card

#: Not a framework but a folder for sharing, in Hugging Face's layout.
HUB_FOLDER = "hub-folder"
#: A whole detector, for searching without torch.
ONNX = "onnx"

#: Of the scenes on which a detector is proven.
_SEED, _SCENES = 20, 8

# typer lists what an Enum has in the help text and refuses anything else
Target = Enum("Target", {name: name for name in (*TARGETS, HUB_FOLDER, ONNX)})  # type: ignore[misc]
Source = Enum("Source", {name: name for name in SOURCES})  # type: ignore[misc]


def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC",
            help="sar_backbone.safetensors; the folder of a finished osm finetune, for its detector's backbone; or "
            "weights under the keys of torchvision's ResNet or mmdet's Darknet. For onnx, detector.safetensors of osm "
            "finetune or its folder.",
        ),
    ],
    to: Annotated[
        Target,
        typer.Option(
            "--to",
            metavar="FRAMEWORK",
            help="mmdet, torchvision, timm, ultralytics, safetensors for plain tensors under our keys, or hub-folder "
            "for a folder to share (config.json, model.safetensors, README.md), which SRC needs a card for; or onnx, a "
            "whole detector in one file, for osm detect without torch and mmdet.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File or hub folder to write; beside SRC if not given. torchvision and timm load .pth and "
            ".safetensors, mmdet .pth alone.",
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option("--architecture", help="resnet18, resnet50 or darknet53; needed where SRC has no card."),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--licence", help="Of a hub folder's weights, e.g. apache-2.0; its card says if none was stated."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")] = False,
) -> None:
    """Write a backbone for another framework, prove that it arrives there, and say how to load it.

    The proof: the framework's own model is filled, strictly, from the file
    that was written, and its features are ours to 1e-5. Without it, nothing
    is left behind. FILE.sha256 is written too, and FILE.card.json beside a .pth.

    The backbone of a detector gets a card of what its run says. Of a detector
    of optical ships (DOTA), --to safetensors writes the weights of the arm
    osd: their hash is that of the detector's own.

    --to onnx writes a whole detector, and proves it on simulated tiles:
    onnxruntime finds in the file what torch finds, to 0.5 px and 1e-3 of score.
    """
    from osm.detection.backbone import card_of_detector, find_detector
    from osm.transfer.adapters.exporting import export_to

    if to.value == ONNX:
        _deploy(source, out, overwrite)
        return
    detector = find_detector(source)
    if detector is not None and to.value == "safetensors":
        _take(detector, out, overwrite)
        return
    if detector is not None and to.value == HUB_FOLDER:
        from osm.errors import ConfigError

        raise ConfigError(
            source,
            found="a detector",
            expected="one backbone with a card",
            mend=f"take its backbone out first: osm export {source} --to safetensors",
        )
    if to.value == HUB_FOLDER:
        folder = _share(source, out, licence, overwrite)
        typer.echo(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
        typer.echo("look through README.md, then share the folder; osm.transfer.hub.load_pretrained reads it")
        return
    card = None if detector is None else card_of_detector(detector)
    where = detector or source
    done = export_to(where, to.value, out=out, architecture=architecture, card=card, overwrite=overwrite)
    typer.echo(f"{done.path}: {done.card.architecture} for {done.framework}")
    typer.echo(f"  proof    features equal ours, largest difference {done.largest_difference:.1e}")
    typer.echo(f"  SHA-256  {done.sha256}")
    typer.echo(f"  input    {_input(done.card)}")
    typer.echo(f"  beside   {', '.join(path.name for path in done.beside)}")
    if done.usage:
        typer.echo("load it with")
        typer.echo("\n".join(f"    {line}" for line in done.usage.splitlines()))


def _deploy(source: Path, out: Path | None, overwrite: bool) -> None:
    from osm.detection.onnx.exporting import export_onnx

    done = export_onnx(source, out, _tiles, overwrite=overwrite)
    card, proof = done.card, done.card.proof
    assert proof is not None
    typer.echo(f"{done.path}: {card.detector} for onnxruntime, {done.path.stat().st_size / 1e6:.1f} MB")
    typer.echo(
        f"  proof    {proof.detections} detections in {proof.tiles} tiles as in torch (score {proof.floor:g} and up), "
        f"boxes to {proof.box_px:.1e} px, scores to {proof.score:.1e}, {proof.ties} ties"
    )
    typer.echo(f"  SHA-256  {done.sha256}")
    typer.echo(
        f"  input    tiles (N, {card.tile_px}, {card.tile_px}) of 8-bit SAR, radiometry {card.radiometry}; replicated, "
        f"minus {list(card.mean)}, over {list(card.std)} inside"
    )
    typer.echo("  output   boxes (K, 4) xyxy in tile pixels, scores (K,), tile (K,)")
    typer.echo(f"search with: osm detect {done.path} SCENE…")


def _tiles(side_px: int, radiometry: str) -> NDArray[np.uint8]:
    """Simulated scenes of one tile each, as the detector is fed them."""
    import numpy as np

    from osm.data.radiometry import Radiometry
    from osm.simulate.layouts import make_scene

    # "none" is for scenes that come in 8 bits, which these do not
    known = Radiometry.parse("percentile" if radiometry == "none" else radiometry)
    return np.stack([known.apply(make_scene(_SEED, number, side_px, side_px)[0]) for number in range(_SCENES)])


def _take(detector: Path, out: Path | None, overwrite: bool) -> None:
    from osm.detection.backbone import take_backbone
    from osm.transfer.card import OSD

    done = take_backbone(detector, out=out, overwrite=overwrite)
    start = done.card.start
    typer.echo(f"{done.path}: the backbone of {start['detector']['name']}, {done.card.architecture}")
    typer.echo(f"  proof    all {done.tensors} tensors are the detector's, SHA-256 {done.tensors_sha256[:12]}…")
    typer.echo(f"  SHA-256  {done.sha256}")
    typer.echo(f"  input    {_input(done.card)}")
    typer.echo(f"  beside   {', '.join(path.name for path in done.beside)}")
    if done.card.pretrained == OSD:
        typer.echo(f"start from it with --arm osd={done.path} (osm compare) or osd:{done.path} (finetune, probe)")
    else:
        typer.echo("of a detector of SAR ships: no arm of a comparison takes it, since its labels are no fair start")


def _share(source: Path, out: Path | None, licence: str | None, overwrite: bool) -> Path:
    from osm.transfer.adapters.base import adapter
    from osm.transfer.export import read_export
    from osm.transfer.hub import MODEL, write_hub_folder

    _, card = read_export(source)
    suffix = Path(MODEL).suffix
    known = {name: adapter(name) for name in TARGETS if name != "ultralytics"}
    usages = {
        name: one.usage(card.architecture, MODEL)
        for name, one in known.items()
        if card.architecture in one.architectures and suffix in one.suffixes
    }
    folder = out or source.with_name(f"{source.stem}_hub")
    return write_hub_folder(folder, source, licence=licence, usages=usages, overwrite=overwrite)


def import_(
    source: Annotated[
        Path,
        typer.Argument(metavar="SRC", help="Weights of a backbone, of a classifier, or of a detector that has it."),
    ],
    origin: Annotated[
        Source,
        typer.Option(
            "--from",
            metavar="FRAMEWORK",
            help="What SRC is of: torchvision, timm, mmdet (a ResNet of style='pytorch'), or darknet "
            "(darknet53.conv.74, yolov3.weights).",
        ),
    ],
    architecture: Annotated[str, typer.Option("--architecture", help="resnet18, resnet50 or darknet53.")],
    out: Annotated[Path, typer.Option("--out", help="The .safetensors file to write.")],
    allow_partial: Annotated[
        bool,
        typer.Option(
            "--allow-partial", help="Take a file that lacks tensors of the backbone; the card says which stay random."
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there already.")] = False,
) -> None:
    """Make a start of another framework's weights, for osm pretrain, osm finetune and osm probe.

    The proof: the framework's own model is filled from SRC, ours from the
    file that was written, each strictly, and their features are equal to
    1e-5. Without it, nothing is left behind. FILE.sha256 is written too.
    """
    from osm.transfer.adapters.importing import import_from

    done = import_from(
        source, origin.value, architecture=architecture, out=out, allow_partial=allow_partial, overwrite=overwrite
    )
    partial = f" (partial: {done.coverage:.2f} of its tensors)" if done.missing else ""
    typer.echo(f"{done.path}: {architecture} from {origin.value}{partial}")
    typer.echo(f"  proof    features equal those in {origin.value}, largest difference {done.largest_difference:.1e}")
    typer.echo(f"  SHA-256  {done.sha256}")
    typer.echo(f"  input    {_input(done.card)}")
    if done.missing:
        typer.echo(f"  random   {len(done.missing)} tensors, {done.missing[0]} first")
    if done.unused:
        typer.echo(f"  unused   {len(done.unused)} in {source.name}, {done.unused[0]} first")
    least = f" with a least coverage of {int(100 * done.coverage) / 100:.2f}" if done.missing else ""
    typer.echo(f"start from it with --init {done.path} (osm pretrain) or imagenet:{done.path} (finetune, probe){least}")


def _input(card: Card) -> str:
    fed = card.input
    image = (
        f"{fed.bit_depth}-bit SAR, 1 band replicated to {fed.replicate_to} channels"
        if fed.bands == 1
        else f"{fed.bit_depth}-bit images in colours, {fed.bands} bands"
    )
    return f"{image}, minus {list(fed.mean)}, over {list(fed.std)}"
