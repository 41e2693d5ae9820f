"""Many scenes: each by itself, whole or not at all, known again when it is done, and no obstacle to the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from osm.detection.search.inputs import FORMATS, SceneFile
from osm.detection.search.order import Chunk, Order, Outcome, Run, open_land
from osm.detection.search.placed import search_and_place
from osm.detection.search.record import RECORD, files_there, key_of, outcome_of, read_record, record_of
from osm.detection.search.runtime import open_runtime
from osm.detection.search.search import Progress
from osm.detection.search.writing import write_scene, writing
from osm.errors import ConfigError, DataError, OSMError
from osm.files import clear_torn, exclusive, read_json, write_json, write_sealed

#: Suffix in an output folder, after the scene's name: why it failed.
FAILURE = ".failed.json"
#: Scenes of one job of a cluster, at most: the weights are opened once a job.
_MOST_A_JOB = 16


def run_batch(order: Order, scenes: Sequence[SceneFile], folder: Path, run: Run | None = None) -> list[Outcome]:
    """Search scenes into a folder; those that are done by the same weights and settings are left as they are.

    Args:
        order: What to do.
        scenes: The scenes.
        folder: Where the outputs go.
        run: How to go through them.

    Returns:
        One outcome a scene, in their order.

    Raises:
        ConfigError: The folder holds these scenes searched otherwise, and nothing is to be overwritten.
        OSMError: The weights or the land mask cannot be opened.
    """
    run = run or Run()
    # a mask that no scene can do without is tried before there is a folder, and not by every job of a cluster
    open_land(order)
    with exclusive(folder):
        outcomes: dict[str, Outcome] = {}
        other = []
        for scene in scenes:
            record = read_record(folder, scene)
            if record is None:
                continue
            if record["key"] != key_of(order, scene):
                other.append(scene)
            elif files_there(folder, record):
                outcomes[scene.scene_id] = outcome_of(scene, record, "done")
        if other and not run.overwrite:
            raise ConfigError(
                folder,
                found=f"{len(other)} of these scenes searched otherwise or changed since ({other[0].scene_id})",
                expected="another folder, or the same weights, settings and scenes",
                mend="choose another --out, or give --overwrite to search them again",
            )
        left = [scene for scene in scenes if scene.scene_id not in outcomes]

        def end(outcome: Outcome) -> None:
            outcomes[outcome.scene.scene_id] = outcome

        suffixes = (*FORMATS.values(), RECORD, FAILURE)
        clear_torn(folder, [f"{scene.scene_id}{suffix}" for scene in left for suffix in suffixes])
        if left and run.elsewhere is None:
            _run_here(order, left, folder, run.progress, end)
        elif left:
            _run_elsewhere(order, left, folder, run, end)
        return [outcomes[scene.scene_id] for scene in scenes]


def search_chunk(chunk: Chunk) -> None:
    """Search some scenes in a process of its own; what becomes of each is left in the folder."""
    _run_here(chunk.order, chunk.scenes, chunk.folder, lambda what, done, total: None, lambda outcome: None)


def _run_here(
    order: Order, scenes: Sequence[SceneFile], folder: Path, progress: Progress, end: Callable[[Outcome], None]
) -> None:
    runtime, land = open_runtime(order.weights, order.device), open_land(order)
    for number, scene in enumerate(scenes, start=1):
        name = scene.scene_id if len(scenes) == 1 else f"{scene.scene_id} ({number} of {len(scenes)})"
        failure = folder / f"{scene.scene_id}{FAILURE}"
        try:
            key = key_of(order, scene)
            placed = search_and_place(
                runtime,
                land,
                order,
                scene,
                lambda what, done, total, name=name: progress(f"{name}: {what}", done, total),  # type: ignore[misc]
            )
            _check_unchanged(key, order, scene)
            record = record_of(key, placed, write_scene(folder, placed, order.formats))
            with writing(folder / f"{scene.scene_id}{RECORD}"):
                write_sealed(folder / f"{scene.scene_id}{RECORD}", record)
        except Exception as error:  # noqa: BLE001  (one scene must not stop the rest; it is kept, and reported)
            outcome = Outcome(scene, "failed", error=said(error))
            trace = "" if isinstance(error, OSMError) else traceback.format_exc()
            _keep_failure(failure, outcome.error, trace)
        else:
            failure.unlink(missing_ok=True)
            outcome = outcome_of(scene, record, "searched")
        end(outcome)


def _check_unchanged(key: dict[str, Any], order: Order, scene: SceneFile) -> None:
    """Make sure that what was found is of the file that is there now: by that it is known again.

    Raises:
        DataError: It is not.
    """
    if key_of(order, scene) != key:
        raise DataError(
            scene.path,
            found="that it changed while it was searched",
            expected="a file that stays as it is",
            mend="when it is whole, run the command again",
        )


def _run_elsewhere(
    order: Order, scenes: Sequence[SceneFile], folder: Path, run: Run, end: Callable[[Outcome], None]
) -> None:
    assert run.elsewhere is not None
    for scene in scenes:
        (folder / f"{scene.scene_id}{FAILURE}").unlink(missing_ok=True)
    size = max(1, min(_MOST_A_JOB, len(scenes) // (2 * run.jobs)))
    chunks = [Chunk(order, tuple(scenes[i : i + size]), folder.resolve()) for i in range(0, len(scenes), size)]
    done = 0
    for number, lost in run.elsewhere(search_chunk, chunks, folder / "logs"):
        for scene in chunks[number].scenes:
            record, failure = read_record(folder, scene), folder / f"{scene.scene_id}{FAILURE}"
            if record is not None and record["key"] == key_of(order, scene) and files_there(folder, record):
                outcome = outcome_of(scene, record, "searched")
            elif failure.is_file():
                outcome = Outcome(scene, "failed", error=str(read_json(failure)["error"]))
            else:
                outcome = Outcome(scene, "failed", error=f"its job was lost: {lost}; run the command again")
            done += 1
            end(outcome)
        run.progress("scenes", done, len(scenes))


def said(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSMError):
        return error.line
    if isinstance(error, OSError):
        return f"{error.filename or 'writing'}: {error.strerror or error}"
    return f"a defect of this package, or not enough memory: {type(error).__name__}: {' '.join(str(error).split())}"


def _keep_failure(path: Path, error: str, trace: str) -> None:
    try:
        write_json(path, {"error": error, "traceback": trace})
    except OSError:
        # on a full disk there is no room for this either; whoever asked is told all the same
        path.unlink(missing_ok=True)
