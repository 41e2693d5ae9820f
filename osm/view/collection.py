"""What is shown: the scenes of a folder, and the runs that searched them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from osm.detection.predictions import ScenePrediction, read_predictions
from osm.detection.results import ImageResult
from osm.errors import DataError
from osm.files import read_json
from osm.view.coco import is_coco, parse_coco, scene_name
from osm.view.images import ImageFinder
from osm.view.store import Store

#: Runs that are kept in memory.
KEPT_RUNS = 6


@dataclass(frozen=True)
class Run:
    """What one detector found in all scenes.

    Attributes:
        detector: Its name; empty where nothing says.
        arm: The arm, or the name of the folder.
        seed: As in the folder's name; empty where there is none.
        records: The files; COCO or predictions.
    """

    detector: str
    arm: str
    seed: str
    records: tuple[Path, ...]

    @property
    def label(self) -> str:
        """All three in words."""
        return " · ".join(part for part in (self.detector, self.arm, f"seed {self.seed}" if self.seed else "") if part)


@dataclass(frozen=True, eq=False)
class Entry:
    """One scene of a run, and the file that says so."""

    scene: ScenePrediction
    record: Path


@dataclass(frozen=True, eq=False)
class Loaded:
    """The scenes of a run by id, and what is wrong with some of its files."""

    entries: dict[str, Entry]
    wrong: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Collection:
    """All that a page shows.

    Attributes:
        title: Of the page.
        kind: What the folder was found to be, in words.
        runs: At least one.
        scene_ids: In the order of the list.
        has_truth: Whether the records know the ships that are there.
        truth: Truth by scene from elsewhere, in place of the records'.
        pixel_m: Ground size of a pixel by scene, where it is known.
        finder: Which images may be opened.
        notes: What to say beside it: files that are broken or were left out.
        loaded: Runs that have been read, by number.
    """

    title: str
    kind: str
    runs: tuple[Run, ...]
    scene_ids: tuple[str, ...]
    has_truth: bool
    finder: ImageFinder
    truth: Mapping[str, Entry] | None = None
    pixel_m: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    loaded: Store[Loaded] = field(default_factory=lambda: Store(KEPT_RUNS))

    def entry(self, run: int, scene_id: str) -> Entry | None:
        """A scene of a run; None where the run has no such scene.

        Raises:
            DataError: The run's file is broken.
        """
        return self.loaded.get(run, lambda: load(self.runs[run].records)).entries.get(scene_id)

    def first_entry(self, scene_id: str, *runs: int | None) -> Entry | None:
        """A scene of the first of some runs that has it, or else of any, or of the truth.

        Raises:
            DataError: A run's file is broken.
        """
        for run in (*(one for one in runs if one is not None), *range(len(self.runs))):
            entry = self.entry(run, scene_id)
            if entry is not None:
                return entry
        return (self.truth or {}).get(scene_id)

    def folders_outside(self) -> list[Path]:
        """Folders in which the first run has images that are not opened, since nobody gave them."""
        entries = [self.entry(0, scene_id) for scene_id in self.scene_ids]
        named = {Path(entry.scene.image_path).parent for entry in entries if entry is not None}
        found = sorted({folder.resolve() for folder in named if folder.is_absolute() and folder.is_dir()})
        return [folder for folder in found if not self.finder.allows(folder)]

    def truth_of(self, entry: Entry) -> Entry | None:
        """Where the truth of a scene is; None where it is not known."""
        if self.truth is None:
            return entry if self.has_truth else None
        return self.truth.get(entry.scene.scene_id) or self.truth.get(scene_name(entry.scene.image_path))

    def result(self, entry: Entry) -> ImageResult:
        """The detections of a scene beside its truth; beside none where it is not known."""
        found, truth = entry.scene, self.truth_of(entry)
        if truth is None:
            return ImageResult(found.scene_id, found.truth[:0], found.ignore[:0], found.boxes, found.scores)
        return ImageResult(found.scene_id, truth.scene.truth, truth.scene.ignore, found.boxes, found.scores)


def load(records: tuple[Path, ...]) -> Loaded:
    """Read the files of a run; one that is broken among several is left out.

    Raises:
        DataError: The only file is broken.
    """
    entries: dict[str, Entry] = {}
    wrong = []
    for record in records:
        try:
            scenes = read_record(record)
        except DataError as error:
            if len(records) == 1:
                raise
            wrong.append(error.line)
            continue
        for scene in scenes:
            if scene.scene_id in entries:
                wrong.append(f"{record}: scene {scene.scene_id} a second time; left out")
            else:
                entries[scene.scene_id] = Entry(scene, record)
    return Loaded(entries, tuple(wrong))


def read_record(record: Path) -> list[ScenePrediction]:
    """The scenes of one file, COCO or predictions.

    Raises:
        DataError: It is missing, broken or neither.
    """
    if not record.is_file():
        raise DataError(record, found="no such file", expected="COCO's JSON or predictions.json", mend="check the path")
    content = read_json(record)
    return parse_coco(record, content) if is_coco(content) else list(read_predictions(record).scenes)
