"""What is to be done with scenes, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from osm.detection.search.inputs import SceneFile
from osm.detection.search.search import Progress, SearchSettings

if TYPE_CHECKING:
    from osm.data.land import LandMask


@dataclass(frozen=True)
class Order:
    """What is to be done with every scene.

    Attributes:
        weights: File for ``open_runtime``.
        weights_sha256: Its SHA-256.
        search: How to search.
        formats: Names of ``inputs.FORMATS``.
        position: Whether ships get a place on the ground, where the scene has one.
        land_mask: File for ``LandMask.open``; ships on it are removed.
        device: Of torch.
    """

    weights: Path
    weights_sha256: str
    search: SearchSettings = field(default_factory=SearchSettings)
    formats: tuple[str, ...] = ("geojson", "coco", "csv", "png", "html")
    position: bool = True
    land_mask: Path | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Outcome:
    """What became of a scene.

    Attributes:
        scene: The scene.
        state: ``searched``, ``done`` before, or ``failed``.
        ships: Ships found; 0 if it failed.
        tiles: Tiles of the scene.
        empty: Tiles without a measurement.
        notes: What a person has to know.
        error: Why it failed, in one line.
    """

    scene: SceneFile
    state: str
    ships: int = 0
    tiles: int = 0
    empty: int = 0
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Chunk:
    """Some scenes for one job.

    Attributes:
        order: What to do with them.
        scenes: The scenes.
        folder: Where the outputs go.
    """

    order: Order
    scenes: tuple[SceneFile, ...]
    folder: Path


#: Runs a function over tasks elsewhere, with a folder for logs: yields a task's number as it ends, and why it was
#: lost or None.
Elsewhere = Callable[[Callable[[Chunk], None], Sequence[Chunk], Path], Iterator[tuple[int, str | None]]]


@dataclass(frozen=True)
class Run:
    """How scenes are gone through, which changes no result.

    Attributes:
        overwrite: Whether what is there from an earlier search is replaced.
        jobs: Jobs at a time, of ``elsewhere``.
        elsewhere: Where scenes run; one after the other in this process if None.
        progress: Told what is under way.
    """

    overwrite: bool = False
    jobs: int = 1
    elsewhere: Elsewhere | None = None
    progress: Progress = lambda what, done, total: None


def open_land(order: Order) -> LandMask | None:
    """The land mask of an order.

    Raises:
        OSMError: It cannot be read.
    """
    if order.land_mask is None:
        return None
    from osm.data.land import LandMask

    return LandMask.open(order.land_mask)
