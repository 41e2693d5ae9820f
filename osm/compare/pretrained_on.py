"""What the arms of a comparison were pretrained on, by the cards of their weights, and whether it is at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osm.compare.plan import Plan
from osm.data.leakage import Picture, pair_pictures, scene_pictures
from osm.data.pair_source import PairSource, names_sha256
from osm.data.pairs import read_pairs
from osm.data.scenes import Scene, read_scenes
from osm.detection.arms import PRETRAINED
from osm.errors import DataError, OSMError
from osm.transfer.card import DETECTION
from osm.transfer.weights import read_weights

#: Kinds of what was seen: pairs of a matching, labelled scenes of a detector, unlabelled scenes beside pairs.
PAIRS, SCENES, TILES = "pairs", "scenes", "tiles"


@dataclass(frozen=True)
class PretrainedOn:
    """One body of data that an arm was pretrained on.

    Attributes:
        arm: Name of the arm.
        weights: The file whose card says so.
        kind: ``PAIRS``, ``SCENES`` or ``TILES``; empty where the file does not say what it was pretrained on.
        data: What the card says of it.
    """

    arm: str
    weights: Path
    kind: str
    data: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return str(self.data.get("root", ""))

    @property
    def words(self) -> str:
        """``512 pairs that osm was pretrained on``."""
        key = {PAIRS: "pairs", SCENES: "train_scenes", TILES: "scenes"}[self.kind]
        return f"{self.data.get(key, '?')} {self.things} that {self.arm} was pretrained on"

    @property
    def things(self) -> str:
        """What there are several of in it."""
        return {PAIRS: "pairs", SCENES: "scenes", TILES: "unlabelled scenes"}[self.kind]

    def pictures(self, roots: Sequence[str], beside: Sequence[Path]) -> tuple[Path | None, list[Picture], list[str]]:
        """Its images, where they are at hand.

        Args:
            roots: Folders that the config names.
            beside: Folders near which to look, beside that of the weights: in them, and in the folders above.

        Returns:
            The folder, None where it is not at hand; the images; and why a folder of that name was passed over.
        """
        faults: list[str] = []
        for place in places(self.folder, roots, (self.weights.parent, *beside)):
            try:
                return place, _READERS[self.kind](self.data, place), faults
            except OSMError as error:
                faults.append(error.line)
        return None, [], faults


def pretrained_on(plan: Plan) -> Iterator[PretrainedOn]:
    """Everything that arms saw before they met the labelled scenes; the same once an arm, whatever its seeds."""
    told: list[tuple[str, str, Any]] = []
    seen = set()
    for cell in plan.cells:
        path = cell.init.path
        if cell.init.kind not in PRETRAINED or path is None or (cell.arm, path) in seen:
            continue
        seen.add((cell.arm, path))
        for kind, data in _bodies(path):
            if (cell.arm, kind, data) not in told:
                told.append((cell.arm, kind, data))
                yield PretrainedOn(cell.arm, path, kind, data)


def _bodies(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    card = read_weights(path).card
    data: Mapping[str, Any] = card.data if card is not None else {}
    if not data.get("root"):
        yield "", {}
        return
    yield (SCENES if data.get("learned") == DETECTION else PAIRS), data
    if data.get("target"):
        yield TILES, data["target"]


def places(name: str, roots: Sequence[str], beside: Sequence[Path]) -> Iterator[Path]:
    """Folders of a name: those that the config names, and those near to somewhere."""
    found = [Path(root) for root in roots]
    for start in (*beside, Path()):
        above = start.resolve()
        found += [folder / name for folder in (above, *list(above.parents)[:3])]
    for place in dict.fromkeys(place.resolve() for place in found):
        if place.name == name and place.is_dir():
            yield place


def pairs_in(data: Mapping[str, Any], place: Path) -> PairSource:
    """The pairs of a folder, if they are as many as a card says, of the same names.

    Raises:
        DataError: They are not, or cannot be read.
    """
    pairs = read_pairs(place)
    # unusable pairs are left out before they are counted into a card
    dropped = sum(int(count) for count in (data.get("dropped") or {}).values())
    known = data.get("names_sha256") if not dropped else None
    if len(pairs) not in (data.get("pairs"), data.get("pairs", 0) + dropped):
        raise _other(place, f"{len(pairs)} pairs", f"{data.get('pairs')}")
    if known is not None and known != names_sha256(pairs):
        raise _other(place, f"{len(pairs)} pairs of other names", "those of the pretraining")
    return pairs


def optical_scenes_in(data: Mapping[str, Any], place: Path) -> list[Scene]:
    """All scenes of the split that a detector was trained on, or on a part of.

    Raises:
        OSMError: They are fewer than a card says, or cannot be read.
    """
    return _scenes(place, data, data["train_split"], data.get("train_scenes", 1))


def target_scenes_in(data: Mapping[str, Any], place: Path) -> list[Scene]:
    """All scenes of the split whose tiles a pretraining saw; it left out those that hold no tile.

    Raises:
        OSMError: They are fewer than a card says, or cannot be read.
    """
    return _scenes(place, data, data["split"], data.get("scenes", 1))


def _scenes(place: Path, data: Mapping[str, Any], split: str, number: int) -> list[Scene]:
    scenes = read_scenes(data["kind"], place, split)
    if len(scenes) < number:
        raise _other(place, f"{len(scenes)} scenes in {split}", f"{number} or more")
    return scenes


def _other(place: Path, found: str, expected: str) -> DataError:
    return DataError(place, found=found, expected=expected, mend="name the folder in pretraining_roots")


_READERS: Mapping[str, Callable[[Mapping[str, Any], Path], list[Picture]]] = {
    PAIRS: lambda data, place: pair_pictures(pairs_in(data, place)),
    SCENES: lambda data, place: scene_pictures(optical_scenes_in(data, place)),
    TILES: lambda data, place: scene_pictures(target_scenes_in(data, place)),
}
