"""``osm match``: what a trained bridge network says of images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osm.cli.help import App
from osm.cli.progress import progress_bar

if TYPE_CHECKING:
    from osm.matching.match_images import FolderMatches
    from osm.matching.matcher import Matcher
    from osm.matching.patch import PatchRule

app = App("Match SAR and optical images with a trained network: two, two folders, or one against an index.")

Network = Annotated[
    Path, typer.Argument(metavar="NETWORK", help="bridge_network.safetensors of a finished osm pretrain.")
]
Threshold = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Images match up to this distance; by default as chosen on training pairs."),
]
Fit = Annotated[
    str,
    typer.Option(help="centre: cut the network's patch from the middle. scale: scale the largest square there to it."),
]
SarRadiometry = Annotated[
    str, typer.Option(help="How SAR becomes 8 bits: auto, none, max, minmax, percentile:L,H, log:L,H or linear:L,H.")
]
OpticalRadiometry = Annotated[str, typer.Option(help="The same for optical.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


@app.command("pair")
def pair_command(
    network: Network,
    sar: Annotated[Path, typer.Argument(metavar="SAR", help="A SAR image.")],
    optical: Annotated[Path, typer.Argument(metavar="OPTICAL", help="An optical image.")],
    threshold: Threshold = None,
    fit: Fit = "centre",
    sar_radiometry: SarRadiometry = "auto",
    optical_radiometry: OpticalRadiometry = "auto",
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say how far two images are from each other, and whether they match."""
    from osm.matching.patch import read_patch

    matcher, rule = _open(network, device, fit, sar_radiometry, optical_radiometry)
    first, second = read_patch(sar, "sar", rule), read_patch(optical, "optical", rule)
    verdict = matcher.compare(first.pixels, second.pixels, threshold)
    limit = matcher.contract.chosen_threshold if threshold is None else threshold
    notes = {f"{patch.path}: {patch.note}": 1 for patch in (first, second) if patch.note}
    if as_json:
        record = {
            "distance": verdict.distance,
            "match": verdict.match,
            "threshold": limit,
            "threshold_from": "chosen on training pairs" if threshold is None else "--threshold",
            "trained_on_simulated_pairs": bool(matcher.card.data.get("simulated")),
            "notes": list(notes),
        }
        typer.echo(json.dumps(record, indent=1))
        return
    _note(matcher, notes)
    typer.echo(f"distance {verdict.distance:.4f}: {'a match' if verdict.match else 'no match'}")
    typer.echo(_limit(matcher, threshold))


@app.command("folders")
def folders_command(
    network: Network,
    sar: Annotated[str, typer.Option(help="SAR images: a folder, or a glob in quotes.")],
    optical: Annotated[str, typer.Option(help="Optical images; namesakes agree in stem, or in what * stands for.")],
    out: Annotated[Path, typer.Option(help="Folder for matches.csv, matches.png and match.json.")],
    threshold: Threshold = None,
    fit: Fit = "centre",
    sar_radiometry: SarRadiometry = "auto",
    optical_radiometry: OpticalRadiometry = "auto",
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace matches that are there already.")] = False,
) -> None:
    """Judge all images of the same name, and find the nearest for those without a namesake.

    Writes a table and a contact sheet.
    """
    from osm.matching.match_images import match_folders, refuse_earlier, write_matches

    refuse_earlier(out, overwrite=overwrite)
    matcher, rule = _open(network, device, fit, sar_radiometry, optical_radiometry)
    with progress_bar() as step:
        matches = match_folders(matcher, sar, optical, rule, threshold=threshold, progress=step)
    write_matches(matches, matcher, rule, out)
    _note(matcher, matches.notes)
    typer.echo(_summary(matches))
    typer.echo(_limit(matcher, threshold))
    typer.echo(f"table: {out / 'matches.csv'}\ncontact sheet: {out / 'matches.png'}")


@app.command("index")
def index_command(
    network: Network,
    images: Annotated[str, typer.Argument(metavar="IMAGES", help="A folder, or a glob in quotes.")],
    modality: Annotated[str, typer.Option(help="What the images are: sar or optical.")],
    out: Annotated[Path, typer.Option(help="The index to write, a .safetensors file.")],
    fit: Fit = "centre",
    radiometry: Annotated[
        str,
        typer.Option(help="How values become 8 bits; as of osm match pair."),
    ] = "auto",
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an index that is there already.")] = False,
) -> None:
    """Embed a folder of images once, for osm match query."""
    from osm.matching.index import build_index

    matcher, rule = _open(network, device, fit, radiometry, radiometry)
    with progress_bar() as step:
        index, notes = build_index(matcher, images, modality, rule, out, overwrite=overwrite, progress=step)
    _note(matcher, notes)
    typer.echo(f"{len(index.facts.names):,} {modality} images in {out}")


@app.command("query")
def query_command(
    network: Network,
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="What osm match index wrote.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images of the other modality.")],
    nearest: Annotated[int, typer.Option(min=1, help="How many to find for each.")] = 5,
    radiometry: Annotated[str, typer.Option(help="How values become 8 bits; as of osm match pair.")] = "auto",
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find the images of an index that are nearest to each of some images of the other modality."""
    from osm.compat.device import pick_device
    from osm.matching.index import Index
    from osm.matching.match_images import embed_images
    from osm.matching.matcher import Matcher
    from osm.matching.patch import PatchRule

    matcher = Matcher.load(network, pick_device(device))
    stored = Index.read(index, matcher.sha256)
    # the images of the index and the queries become patches in the same way
    rule = PatchRule(matcher.contract.patch_px, stored.facts.fit, radiometry, radiometry)
    rows, notes = embed_images(matcher, images, "sar" if stored.facts.modality == "optical" else "optical", rule)
    places, distances = stored.search(rows, nearest)
    names = stored.facts.names
    found = {
        str(path): [{"name": names[place], "distance": float(far)} for place, far in zip(*hits, strict=True)]
        for path, *hits in zip(images, places, distances, strict=True)
    }
    if as_json:
        typer.echo(json.dumps({"modality": stored.facts.modality, "nearest": found}, indent=1))
        return
    _note(matcher, notes)
    for path, hits in found.items():
        typer.echo(path)
        for number, hit in enumerate(hits, start=1):
            typer.echo(f"  {number:>3}  {hit['distance']:.4f}  {hit['name']}")


def _open(
    network: Path, device: str, fit: str, sar_radiometry: str, optical_radiometry: str
) -> tuple[Matcher, PatchRule]:
    from osm.compat.device import pick_device
    from osm.matching.matcher import Matcher
    from osm.matching.patch import PatchRule

    matcher = Matcher.load(network, pick_device(device))
    return matcher, PatchRule(matcher.contract.patch_px, fit, sar_radiometry, optical_radiometry)


def _note(matcher: Matcher, notes: Mapping[str, int]) -> None:
    """What a person has to know beside the result; on stderr."""
    for text, count in notes.items():
        typer.echo(f"note: {text}{f' ({count:,} images)' if count > 1 else ''}", err=True)
    if notes:
        patch_px, how = matcher.contract.patch_px, matcher.card.input.radiometry
        mapped = "" if how == "none" else f", SAR mapped by {how}"
        typer.echo(f"note: the network was trained on patches of {patch_px}x{patch_px} pixels{mapped}", err=True)
    if matcher.card.data.get("simulated"):
        typer.echo("note: the network was trained on simulated pairs", err=True)


def _limit(matcher: Matcher, threshold: float | None) -> str:
    if threshold is not None:
        return f"threshold {threshold:.4f}, from --threshold"
    return f"threshold {matcher.contract.chosen_threshold:.4f}, {matcher.threshold_said}"


def _summary(matches: FolderMatches) -> str:
    lines = []
    for relation, what in (("same name", "pairs of the same name"), ("nearest", "images without a namesake")):
        rows = [row for row in matches.rows if row.relation == relation]
        if rows:
            end = "match" if relation == "same name" else "match the nearest of the other folder"
            lines.append(f"{sum(row.match for row in rows):,} of {len(rows):,} {what} {end}")
    if matches.to_optical is not None and matches.to_sar is not None:
        count = matches.to_optical.candidates
        lines.append(
            f"the namesake is the nearest of {count:,} for {100 * matches.to_optical.recall_at_1:.1f} % of the SAR and "
            f"{100 * matches.to_sar.recall_at_1:.1f} % of the optical images (chance {100 / count:.1f} %)"
        )
    return "\n".join(lines)
