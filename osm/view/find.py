"""What is in a folder: a search, a comparison, or a single run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from osm.errors import DataError
from osm.files import read_json
from osm.view.coco import SUFFIX, scene_name
from osm.view.collection import KEPT_RUNS, Collection, Entry, Loaded, Run, load
from osm.view.images import ImageFinder
from osm.view.store import Store

PREDICTIONS, PLAN = "predictions.json", "plan.json"
_EXPECTED = (
    f"the output of osm detect (*{SUFFIX}), a comparison's work dir (cells/…/{PREDICTIONS}), a run of osm finetune "
    f"({PREDICTIONS}), or one JSON file of these"
)


@dataclass(frozen=True)
class Found:
    """The runs in a folder, and what else it says."""

    kind: str
    runs: tuple[Run, ...]
    home: Path
    title: str
    plan: dict[str, Any]
    notes: tuple[str, ...]


def open_collection(
    path: Path, *, truth: Path | None = None, second: Path | None = None, images: Sequence[Path] = ()
) -> Collection:
    """Find out what a folder is, and what is to be shown of it.

    Args:
        path: The folder, or one JSON file.
        truth: The same for the ships that are there, in place of what the records say.
        second: The same for a second arm.
        images: Folders of the images, where the records name others; then nothing else is opened.

    Raises:
        DataError: There is nothing to show, or a file that all depends on is broken.
    """
    first = find_runs(path)
    others = [find_runs(one) for one in (second, truth) if one is not None]
    runs = first.runs
    if second is not None:
        runs += _renamed(others[0], {run.arm for run in first.runs}, second)
    for folder in images:
        if not folder.is_dir():
            raise DataError(folder, found="no such folder", expected="a folder of images", mend="correct --images")
    notes = [note for found in (first, *others) for note in found.notes]
    loaded: Store[Loaded] = Store(KEPT_RUNS)
    # the first run of each folder stands for its scenes
    numbers = [0] if second is None else [0, len(first.runs)]
    read = [loaded.get(number, partial(load, runs[number].records)) for number in numbers]
    known: dict[str, Entry] | None = None
    if truth is not None:
        read.append(load(others[-1].runs[0].records))
        known = _truth(read[-1].entries, truth)
    notes += [note for one in read for note in one.wrong]
    scene_ids = dict.fromkeys(name for one in read[: len(numbers)] for name in one.entries)
    if not scene_ids:
        raise DataError(path, found="records without a scene", expected="at least one", mend="check them")
    return Collection(
        title=first.title,
        kind=first.kind,
        runs=runs,
        scene_ids=tuple(scene_ids),
        has_truth=known is not None or _knows_truth(read[0].entries.values()),
        finder=ImageFinder(
            tuple(dict.fromkeys(found.home for found in (first, *others))), tuple(folder.resolve() for folder in images)
        ),
        truth=known,
        pixel_m=_pixel_m(first.plan),
        notes=tuple(notes),
        loaded=loaded,
    )


def find_runs(path: Path) -> Found:
    """The runs in a folder, or the one of a file.

    Raises:
        DataError: There are none.
    """
    if path.is_file():
        run = Run("", path.name.removesuffix(SUFFIX).removesuffix(".json"), "", (path.resolve(),))
        return Found("one file", (run,), path.resolve().parent, path.name, {}, ())
    if not path.is_dir():
        raise DataError(path, found="no such folder", expected=_EXPECTED, mend="check the path")
    home = path.resolve()
    notes: list[str] = []
    cells = _inside(home, home.glob(f"cells/*/*/seed*/{PREDICTIONS}"), notes)
    if cells:
        plan = _plan(home)
        labels = {arm["name"]: arm["label"] for arm in _arms(plan)}
        runs = tuple(sorted((_cell(cell, labels) for cell in cells), key=lambda run: _order(run, plan)))
        title = plan.get("title")
        return Found("comparison", runs, home, str(title) if title else home.name, plan, tuple(notes))
    if single := _inside(home, [home / PREDICTIONS], notes):
        return Found("run of osm finetune", (Run("", home.name, "", (single[0],)),), home, home.name, {}, tuple(notes))
    searched = _inside(home, sorted(home.rglob(f"*{SUFFIX}")), notes)
    if searched:
        return Found("ships found", (Run("", home.name, "", tuple(searched)),), home, home.name, {}, tuple(notes))
    raise DataError(path, found=_what_is_there(home, notes), expected=_EXPECTED, mend="give one of these")


def _inside(home: Path, files: Iterable[Path], notes: list[str]) -> list[Path]:
    """Those files that are there and do not lead out of the folder."""
    kept = []
    for file in files:
        if not file.is_file():
            continue
        if file.resolve().is_relative_to(home):
            kept.append(file)
        else:
            notes.append(f"{file}: a link that leads out of the folder; left out")
    return kept


def _cell(path: Path, labels: dict[str, str]) -> Run:
    detector, arm, seed = path.parts[-4:-1]
    return Run(detector, labels.get(arm, arm), seed.removeprefix("seed"), (path,))


def _order(run: Run, plan: dict[str, Any]) -> tuple[Any, ...]:
    """As the plan has detectors and arms; seeds by number."""
    arms = [arm["label"] for arm in _arms(plan)]
    detectors = plan["detectors"] if isinstance(plan.get("detectors"), list) else []
    places = [names.index(one) if one in names else len(names) for names, one in
              ((detectors, run.detector), (arms, run.arm))]  # fmt: skip
    number = int(run.seed) if run.seed.isdecimal() else -1
    return (*places, run.detector, run.arm, number, run.seed)


def _plan(home: Path) -> dict[str, Any]:
    path = home / PLAN
    content = read_json(path) if _inside(home, [path], []) else {}
    return content if isinstance(content, dict) else {}


def _arms(plan: dict[str, Any]) -> list[dict[str, str]]:
    """Those arms of a plan that have a name and a label."""
    arms = plan["arms"] if isinstance(plan.get("arms"), list) else []
    named = [arm for arm in arms if isinstance(arm, dict)]
    return [arm for arm in named if isinstance(arm.get("name"), str) and isinstance(arm.get("label"), str)]


def _pixel_m(plan: dict[str, Any]) -> dict[str, float]:
    stated = plan.get("pixel_m")
    entries = stated.items() if isinstance(stated, dict) else ()
    return {name: float(value) for name, value in entries if isinstance(value, int | float) and 0 < value < 1e6}


def _renamed(found: Found, taken: set[str], path: Path) -> tuple[Run, ...]:
    """The runs of a second folder, named so that they cannot be taken for the first's."""
    return tuple(
        Run(run.detector, f"{run.arm} ({path})" if run.arm in taken else run.arm, run.seed, run.records)
        for run in found.runs
    )


def _truth(entries: dict[str, Entry], path: Path) -> dict[str, Entry]:
    """Truth by scene id, and by the name of the image where that is another."""
    if not _knows_truth(entries.values()):
        raise DataError(path, found="no box without a score", expected="ships that are there", mend="correct --truth")
    by_image = {scene_name(entry.scene.image_path): entry for entry in entries.values()}
    return {**by_image, **entries}


def _knows_truth(entries: Iterable[Entry]) -> bool:
    """Predictions bring their truth, ships or none; COCO's files do if there is any box without a score."""
    return any(len(entry.scene.truth) or entry.record.name == PREDICTIONS for entry in entries)


def _what_is_there(home: Path, notes: list[str]) -> str:
    if notes:
        return notes[0]
    names = sorted(path.name for path in home.iterdir())[:6]
    return f"none of it, but {', '.join(names)}" if names else "an empty folder"
