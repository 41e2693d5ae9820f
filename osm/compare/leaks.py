"""The leakage check of a comparison: before anything trains, no test scene may be among what was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osm.compare.plan import Plan
from osm.compare.pretrained_on import pretrained_on
from osm.data.leakage import Leakage, find_leaks, refuse, scene_pictures
from osm.data.parallel import Progress
from osm.data.scenes import Scene, read_scenes
from osm.detection.leaks import scene_leaks
from osm.files import write_json

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
    kinds = {recipe.data.kind for recipe in plan.recipes}
    for source in pretrained_on(plan):
        part: dict[str, Any] = {
            "against": f"pretraining {source.kind}".strip(),
            "arm": source.arm,
            "weights": str(source.weights),
            "pairs": source.folder,
        }
        if not source.kind:
            parts.append(part | {"checked": False})
            caveats.append(
                f"Leakage: {source.weights.name} does not say what {source.arm} was pretrained on, so whether test "
                "scenes are among it could not be checked."
            )
            continue
        root, trained_on, faults = source.pictures(plan.pretraining_roots, (data_root,))
        if root is None:
            parts.append(part | {"checked": False})
            caveats.append(
                f"Leakage: the {source.words} (folder {source.folder!r}) "
                "are not at hand, so whether test scenes are among them could not be checked."
                + "".join(f" A folder of that name was passed over: {fault}." for fault in faults)
            )
            continue
        pictures = scene_pictures(list(scenes.values()))
        same = source.data.get("kind") in kinds
        leakage = find_leaks(pictures, trained_on, same_data_set=same, cache=cache, progress=progress)
        parts.append(part | {"checked": True, "root": str(root), **_facts(leakage)})
        caveats += [f"Leakage check: {note}." for note in leakage.notes]
        if leakage.findings:
            caveats.append(f"Leakage: {len(leakage.test)} test scenes are among the {source.words}.")
            refused.append((leakage, f"pretrain {source.arm} without those {source.things}"))
    report = LeakReport(tuple(parts), tuple(dict.fromkeys(caveats)))
    write_json(work_dir / LEAKAGE, {"setting": plan.leakage, "parts": report.parts, "caveats": report.caveats})
    if plan.leakage == "stop":
        for leakage, mend in refused:
            refuse(leakage, data_root, f"see {work_dir / LEAKAGE}, then {mend}, or set leakage = 'warn' in the config")
    return report


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
