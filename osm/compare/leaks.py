"""The leakage check of a comparison: before anything trains, no test scene may be among what was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osm.compare.plan import Plan
from osm.data.leakage import Leakage, Picture, find_leaks, pair_pictures, refuse, scene_pictures
from osm.data.pairs import PairSource, read_pairs
from osm.data.parallel import Progress
from osm.data.scenes import Scene, read_scenes
from osm.detection.arms import PRETRAINED
from osm.detection.leaks import scene_leaks
from osm.errors import DataError, OSMError
from osm.files import write_json
from osm.transfer.card import DETECTION
from osm.transfer.weights import read_weights

LEAKAGE = "leakage.json"


@dataclass(frozen=True)
class LeakReport:
    """What the check found.

    Attributes:
        parts: One a comparison of images: what was compared, with what result.
        caveats: What a reader must know.
    """

    parts: tuple[dict[str, Any], ...]
    caveats: tuple[str, ...]

    def summary(self) -> list[dict[str, Any]]:
        """The parts with numbers in place of findings."""
        return [{key: value for key, value in part.items() if key != "findings"} for part in self.parts]


def check_leaks(plan: Plan, data_root: Path, work_dir: Path, progress: Progress | None = None) -> LeakReport:
    """Compare the test scenes with the training scenes, and with the pairs or scenes that arms were pretrained on.

    What was found is kept in the cache of ``work_dir`` by the content of the images, and written to ``leakage.json``.

    Args:
        plan: The plan; its ``leakage`` says whether a leak stops it.
        data_root: Folder of the data set.
        work_dir: Folder of the comparison.
        progress: Called now and then.

    Raises:
        DataError: There are leaks and ``plan.leakage`` is ``stop``, or an image cannot be read.
    """
    parts: list[dict[str, Any]] = []
    caveats: list[str] = []
    refused: list[tuple[Leakage, str]] = []
    cache = work_dir / "cache"
    for detectors, train, test, dropped in _data(plan, data_root):
        leakage = scene_leaks(train, test, cache=cache, progress=progress)
        parts.append({"against": "training scenes", "detectors": detectors, "dropped": dropped, **_facts(leakage)})
        caveats += [f"Leakage check: {note}." for note in leakage.notes]
        if not leakage.findings:
            continue
        of = f"{len(leakage.test)} of {len(test)} test scenes are shown by {len(leakage.train)} of {len(train)}"
        if dropped:
            caveats.append(f"Leakage: {of} training scenes, which were left out (data.drop_leaked_train).")
        else:
            caveats.append(f"Leakage: {of} training scenes: the AP of every arm is too high by an unknown amount.")
            refused.append((leakage, "set data.drop_leaked_train=True to leave those training scenes out"))
    scenes = {scene.scene_id: scene for _, _, test, _ in _data(plan, data_root) for scene in test}
    for name, path, data in _pretraining(plan):
        optical = data.get("learned") == DETECTION
        what, number = ("scenes", data.get("train_scenes", "?")) if optical else ("pairs", data.get("pairs", "?"))
        part: dict[str, Any] = {
            "against": f"pretraining {what}",
            "arm": name,
            "weights": str(path),
            "pairs": data["root"],
        }
        near = path.parent, data_root
        faults: list[str] = []
        seen = (_optical_pictures if optical else _pair_pictures)(data, plan.pretraining_roots, near, faults)
        if seen is None:
            parts.append(part | {"checked": False})
            caveats.append(
                f"Leakage: the {number} {what} that {name} was pretrained on (folder {data['root']!r}) "
                "are not at hand, so whether test scenes are among them could not be checked."
                + "".join(f" A folder of that name was passed over: {fault}." for fault in faults)
            )
            continue
        root, trained_on = seen
        pictures = scene_pictures(list(scenes.values()))
        leakage = find_leaks(pictures, trained_on, same_data_set=False, cache=cache, progress=progress)
        parts.append(part | {"checked": True, "root": str(root), **_facts(leakage)})
        caveats += [f"Leakage check: {note}." for note in leakage.notes]
        if leakage.findings:
            caveats.append(
                f"Leakage: {len(leakage.test)} test scenes are among the {what} that {name} was pretrained on."
            )
            refused.append((leakage, f"pretrain {name} without those {what}"))
    report = LeakReport(tuple(parts), tuple(dict.fromkeys(caveats)))
    write_json(work_dir / LEAKAGE, {"setting": plan.leakage, "parts": report.parts, "caveats": report.caveats})
    if plan.leakage == "stop":
        for leakage, mend in refused:
            refuse(leakage, data_root, f"see {work_dir / LEAKAGE}, then {mend}, or set leakage = 'warn' in the config")
    return report


def find_pairs(
    data: dict[str, Any], roots: tuple[str, ...], beside: tuple[Path, ...], faults: list[str] | None = None
) -> PairSource | None:
    """The pairs that a card names, where a folder of that name and as many pairs is at hand.

    Args:
        data: ``data`` of the card.
        roots: Folders that the config names.
        beside: Files or folders near which to look: in them, and in the folders above.
        faults: Is told why a folder of that name was passed over.
    """
    for place in _places(str(data.get("root", "")), roots, beside):
        try:
            pairs = read_pairs(place)
        except DataError as error:
            if faults is not None:
                faults.append(error.line)
            continue
        # unusable pairs are left out before they are counted into a card
        dropped = sum(int(count) for count in (data.get("dropped") or {}).values())
        if len(pairs) in (data.get("pairs"), data.get("pairs", 0) + dropped):
            return pairs
    return None


def find_optical_scenes(
    data: dict[str, Any], roots: tuple[str, ...], beside: tuple[Path, ...], faults: list[str] | None = None
) -> tuple[Path, list[Scene]] | None:
    """The scenes that a detector was trained on, where a folder of that name holds as many of its kind, or more.

    Args:
        data: ``data`` of the card. A detector may have been trained on a part of the scenes: all of its split are
            returned.
        roots: As of ``find_pairs``.
        beside: Likewise.
        faults: Likewise.

    Returns:
        The folder and the scenes.
    """
    for place in _places(str(data.get("root", "")), roots, beside):
        try:
            scenes = read_scenes(data["kind"], place, data["train_split"])
        except OSMError as error:
            if faults is not None:
                faults.append(error.line)
            continue
        if len(scenes) >= data.get("train_scenes", 1):
            return place, scenes
    return None


def _places(name: str, roots: tuple[str, ...], beside: tuple[Path, ...]) -> Iterator[Path]:
    """Folders of a name: those that the config names, and those near to somewhere."""
    places = [Path(root) for root in roots]
    for start in (*beside, Path()):
        above = start.resolve()
        places += [folder / name for folder in (above, *list(above.parents)[:3])]
    for place in dict.fromkeys(place.resolve() for place in places):
        if place.name == name and place.is_dir():
            yield place


def _pair_pictures(
    data: dict[str, Any], roots: tuple[str, ...], beside: tuple[Path, ...], faults: list[str]
) -> tuple[Path, list[Picture]] | None:
    pairs = find_pairs(data, roots, beside, faults)
    return None if pairs is None else (pairs.root, pair_pictures(pairs))


def _optical_pictures(
    data: dict[str, Any], roots: tuple[str, ...], beside: tuple[Path, ...], faults: list[str]
) -> tuple[Path, list[Picture]] | None:
    found = find_optical_scenes(data, roots, beside, faults)
    return None if found is None else (found[0], scene_pictures(found[1]))


def _facts(leakage: Leakage) -> dict[str, Any]:
    return {"test_scenes": list(leakage.test), "train_images": list(leakage.train), **leakage.to_json()}


def _data(plan: Plan, data_root: Path) -> Iterator[tuple[list[str], list[Scene], list[Scene], bool]]:
    """Detectors with the same data, with all their training scenes (whatever fraction is used) and test scenes."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for recipe in plan.recipes:
        data = recipe.data
        key = (data.kind, data.train_split, data.test_split, data.test_ids, data.drop_leaked_train)
        groups.setdefault(key, []).append(recipe.detector)
    for (kind, train, test, ids, dropped), detectors in groups.items():
        yield detectors, read_scenes(kind, data_root, train, ids), read_scenes(kind, data_root, test, ids), dropped


def _pretraining(plan: Plan) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Arms, a file of each and what its card says of pairs or scenes; the same ones once an arm, whatever its seeds."""
    seen, told = set(), []
    for cell in plan.cells:
        path = cell.init.path
        if cell.init.kind not in PRETRAINED or path is None or (cell.arm, path) in seen:
            continue
        seen.add((cell.arm, path))
        card = read_weights(path).card
        if card is not None and card.data.get("root") and (cell.arm, card.data) not in told:
            told.append((cell.arm, card.data))
            yield cell.arm, path, card.data
