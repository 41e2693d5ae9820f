"""One file for all scenes, in place of a folder with files of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from osm.detection.search.batch import run_batch
from osm.detection.search.inputs import PICTURES, SceneFile
from osm.detection.search.order import Order, Outcome, Run, open_land
from osm.detection.search.placed import search_and_place
from osm.detection.search.record import read_done
from osm.detection.search.runtime import open_runtime
from osm.detection.search.writing import write_one, write_tables, writing
from osm.errors import ConfigError

#: Of the folder beside the file that keeps finished scenes of several, after the file's name.
SCENES = ".scenes"


def run_into_file(
    order: Order, scenes: Sequence[SceneFile], out: Path, kind: str, run: Run | None = None
) -> list[Outcome]:
    """Search scenes into one file.

    Of several scenes, each is kept in a folder beside the file as it is finished, and the file is written at the end:
    run again after an interruption, only the others are searched.

    Args:
        order: What to do; its formats do not count.
        scenes: The scenes.
        out: The file.
        kind: Its format.
        run: How to go through them.

    Raises:
        ConfigError: The file is there and is not to be overwritten, or shows one scene and several are given.
        OSMError: Of one scene, what is wrong with it; or the disk is full.
    """
    run = run or Run()
    kept = out.parent / f"{out.name}{SCENES}"
    several = len(scenes) > 1
    if several and kind in PICTURES:
        raise ConfigError(
            out, found=f"{len(scenes)} scenes for a file that shows one", expected="one", mend="give a folder as --out"
        )
    if out.exists() and not run.overwrite and not (several and kept.is_dir()):
        raise ConfigError(
            out, found="a file that is there already", expected="a new one", mend="choose another, or give --overwrite"
        )
    with writing(out):
        if several:
            outcomes = run_batch(replace(order, formats=()), scenes, kept, run)
            # what a failed scene left earlier, under other weights perhaps, is not of this search
            searched = [outcome.scene for outcome in outcomes if outcome.state != "failed"]
            if searched:
                write_tables(out, kind, read_done(kept, searched))
            return outcomes
        placed = search_and_place(
            open_runtime(order.weights, order.device), open_land(order), order, scenes[0], run.progress
        )
        write_one(out, kind, placed)
    found = placed.found
    return [Outcome(scenes[0], "searched", len(placed.ships), found.tiles, found.empty, placed.notes)]
