"""``osm inspect``: what the SAR branch learned, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osm.cli.options import MinCoverage
from osm.cli.progress import progress_bar

if TYPE_CHECKING:
    from osm.matching.inspection.inspection import Inspection


def inspect(
    weights: Annotated[
        list[str],
        typer.Argument(
            metavar="WEIGHTS...",
            help="Arms, of one architecture: scratch, imagenet, imagenet:PATH, osm:PATH, osd:PATH or PATH.safetensors. "
            "A single one is compared with its random start.",
        ),
    ],
    images: Annotated[
        list[str],
        typer.Option("--images", help="SAR images: a folder, a glob in quotes or a file; repeat it for more."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for inspect.html, inspect.json and the PNG files.")],
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="Pairs in the QXS-SAROPT layout: adds their embeddings (t-SNE).")
    ] = None,
    network: Annotated[
        list[Path] | None,
        typer.Option(
            "--network", help="bridge_network.safetensors to embed the pairs; by default those beside the weights."
        ),
    ] = None,
    show: Annotated[
        Path | None, typer.Option("--show", help="The image of the activation maps; by default the most varied one.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Look at so many of the images, evenly spread.")] = 64,
    tile_px: Annotated[int, typer.Option("--tile-px", min=1, help="Longest side of what is cut from each.")] = 256,
    radiometry: Annotated[
        str,
        typer.Option(help="How values become 8 bits: auto, none, max, minmax, percentile:L,H, log:L,H or linear:L,H."),
    ] = "auto",
    architecture: Annotated[
        str | None, typer.Option("--architecture", help="Needed where no weights tell it, e.g. resnet18.")
    ] = None,
    min_coverage: MinCoverage = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of random starts, places and t-SNE.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an inspection that is there already.")
    ] = False,
) -> None:
    """Compare what backbones make of SAR images.

    First-layer filters, CKA stage by stage, activation maps and, with --pairs, embeddings: as PNG and on one HTML page.
    """
    from osm.compat.device import pick_device
    from osm.detection.arms import imagenet_weights
    from osm.detection.starts import MIN_COVERAGE, parse_start
    from osm.matching.inspection.arms import Asked, find_architecture
    from osm.matching.inspection.inspection import Wanted
    from osm.matching.inspection.inspection import inspect as look
    from osm.matching.inspection.page import refuse_earlier, write_inspection

    refuse_earlier(out, overwrite=overwrite)
    inits = [parse_start(text) for text in dict.fromkeys(weights)]
    name = find_architecture([init.path for init in inits if init.path is not None], architecture)
    arms = tuple(
        Asked(
            init.kind,
            None if init.kind == "scratch" else init.path or imagenet_weights(name),
            MIN_COVERAGE[init.kind] if min_coverage is None else min_coverage,
        )
        for init in inits
    )
    wanted = Wanted(
        arms=arms,
        architecture=name,
        images=tuple(images),
        pairs=pairs,
        networks=tuple(network or ()),
        shown=show,
        most_images=most,
        tile_px=tile_px,
        radiometry=radiometry,
        seed=seed,
        device=pick_device(device),
    )
    with progress_bar() as step:
        found = look(wanted, step)
    page = write_inspection(found, out)
    typer.echo(table(found))
    typer.echo(f"\npage: {page}")


def table(found: Inspection) -> str:
    """CKA by stage and the counts of the first layer, for a terminal."""
    from osm.matching.inspection import words
    from osm.matching.inspection.features import to_rows

    stages = found.known.stages
    lines = [f"{arm.letter}  {arm.label}" for arm in found.arms]
    rows = [("CKA", *stages)]
    rows += [(name, *(words.number(one.cka) for one in row)) for name, row in to_rows(found.between_arms, stages)]
    if len(rows) > 1:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines.append("")
        lines += [
            "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
    lines += ["", *(f"{letter}  {words.filters_said(filters)}" for letter, filters in found.filters.items())]
    lines += [f"{words.network_name(found, one)}  {words.recall_said(one)}" for one in found.embedded]
    return "\n".join([*lines, "", *(f"! {text}" for text in words.cautions(found))])
