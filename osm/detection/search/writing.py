"""The files of searched scenes, in any of the formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from osm.data.ground import Points
from osm.detection.search.coco_file import coco_record
from osm.detection.search.inputs import FORMATS, PICTURES
from osm.detection.search.pictures import write_page, write_quick_look
from osm.detection.search.placed import Placed
from osm.detection.search.ships import Ships
from osm.detection.search.tables import write_csv, write_geojson, write_gpkg
from osm.errors import DataError
from osm.files import write_json


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file or folder that is written, which the system's own error on a full disk does not.

    Raises:
        DataError: It cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            path,
            found=f"that it cannot be written ({error.strerror or error})",
            expected="room on the disk, and a folder that can be written to",
            mend="make room or choose another --out, and run it again",
        ) from error


def write_scene(folder: Path, placed: Placed, formats: Sequence[str]) -> list[Path]:
    """Write one scene's files, each whole or not at all; their paths are returned."""
    paths = []
    for kind in formats:
        path = folder / f"{placed.ships.scene_id}{FORMATS[kind]}"
        with writing(path):
            write_one(path, kind, placed)
        paths.append(path)
    return paths


def write_one(path: Path, kind: str, placed: Placed) -> None:
    """Write one scene into one file."""
    if kind in PICTURES:
        write = write_quick_look if kind == "png" else write_page
        write(path, placed.ships, placed.found.overview)
    else:
        write_tables(path, kind, [(placed.ships, placed.rings)])


def write_tables(path: Path, kind: str, scenes: Sequence[tuple[Ships, Points | None]]) -> None:
    """Write one or more scenes into one file."""
    if kind == "geojson":
        write_geojson(path, scenes)
    elif kind == "csv":
        write_csv(path, [ships for ships, _ in scenes])
    elif kind == "gpkg":
        write_gpkg(path, scenes)
    else:
        write_json(path, coco_record([ships for ships, _ in scenes]))
