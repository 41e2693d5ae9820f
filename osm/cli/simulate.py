"""``osm simulate``: pairs and labelled scenes drawn from a seed, in the layouts of the real data sets."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osm.cli.help import App
from osm.cli.progress import progress_bar

if TYPE_CHECKING:
    from osm.simulate import Simulation

app = App("Simulate SAR-optical pairs or labelled SAR scenes of port coasts.")

Out = Annotated[Path, typer.Option("--out", "-o", help="New or empty folder; a finished identical one is reused.")]
Count = Annotated[int, typer.Option("--count", "-n", min=1, help="How many to make.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same bytes.")]
Looks = Annotated[float, typer.Option("--looks", min=1.0, help="Looks of the SAR image; 1 is single-look.")]


@app.command()
def pairs(
    out: Out,
    count: Count = 256,
    seed: Seed = 0,
    size: Annotated[int, typer.Option("--size", min=64, help="Side of a patch in pixels.")] = 256,
    looks: Looks = 1.0,
) -> None:
    """Write SAR-optical pairs as QXS-SAROPT has them: OUT/QXSLAB_SAROPT/{sar_256_oc_0.2,opt_256_oc_0.2}/<n>.png."""
    from osm.simulate import simulate_pairs

    with progress_bar() as step:
        result = simulate_pairs(out, count=count, seed=seed, size_px=size, looks=looks, progress=partial(step, "pairs"))
    _say(result, "pairs", "QXS-SAROPT")


@app.command()
def scenes(
    out: Out,
    count: Count = 31,
    seed: Seed = 0,
    size: Annotated[
        int | None, typer.Option("--size", min=256, help="Width and height in pixels, instead of both.")
    ] = None,
    width: Annotated[
        int | None, typer.Option("--width", min=256, help="Width in pixels; by default as the data set has it.")
    ] = None,
    height: Annotated[int | None, typer.Option("--height", min=256, help="Height in pixels; likewise.")] = None,
    min_ships: Annotated[
        int | None, typer.Option("--min-ships", min=1, help="Fewest ships of a scene; by default by its size.")
    ] = None,
    max_ships: Annotated[
        int | None, typer.Option("--max-ships", min=1, help="Most ships of a scene; by default by its size.")
    ] = None,
    looks: Looks = 1.0,
    layout: Annotated[
        str, typer.Option("--layout", help="air-sarship-1.0, air-sarship-2.0, ssdd, hrsid or dota.")
    ] = "air-sarship-1.0",
) -> None:
    """Write labelled scenes as a data set has them, by default AIR-SARShip-1.0: 16-bit TIFF and VOC XML.

    The layout dota shows other coasts in colour, as an aerial camera sees them.
    """
    from osm.simulate import simulate_scenes
    from osm.simulate.layouts import default_ships
    from osm.simulate.scene_layouts import usual_side_px

    usual = usual_side_px(layout)
    width_px, height_px = (width or usual, height or usual) if size is None else (size, size)
    low, high = default_ships(width_px, height_px)
    if min_ships is not None:
        low, high = min_ships, max(high, min_ships)
    if max_ships is not None:
        low, high = (min(low, max_ships) if min_ships is None else low), max_ships
    with progress_bar() as step:
        result = simulate_scenes(
            out,
            count=count,
            seed=seed,
            width_px=width_px,
            height_px=height_px,
            ships_per_scene=(low, high),
            looks=looks,
            layout=layout,
            progress=partial(step, "scenes"),
        )
    _say(result, "scenes", layout)


def _say(result: Simulation, what: str, layout: str) -> None:
    if result.reused:
        typer.echo(f"{result.folder} already holds these {result.count} {what}: reused, nothing written")
    else:
        typer.echo(f"{result.count} {what} in the layout of {layout}: {result.folder}")
