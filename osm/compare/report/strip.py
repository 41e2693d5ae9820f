"""The strip: a few test scenes with true boxes and what each arm's detector found in them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.compare.report.evidence import Evidence, Key
from osm.compare.study import Study
from osm.data.boxes import intersection_matrix
from osm.data.images import read_image
from osm.data.pairs import three_bands
from osm.data.radiometry import Radiometry
from osm.detection.evaluate import HIT, NOT_COUNTED, ImageResult, judge
from osm.detection.predictions import Predictions, ScenePrediction
from osm.errors import DataError, OSMError

MIN_SCORE = 0.3
MOST_SCENES = 4
#: Larger scenes are shown by the window with the most ships: a whole one would leave 2 pixels a ship.
WINDOW_PX = 800
#: A panel is at most 380 px wide on the page.
SHOWN_PX, QUALITY = 400, 65

RULE = (
    f"Scenes are ranked by their number of true ships (then by name) and up to {MOST_SCENES} are shown, evenly from "
    f"the first rank to the last. Of scenes larger than {WINDOW_PX} px the window with the most ships is shown. "
    f"Detections below a score of {MIN_SCORE} are left out."
)


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the shown window; ``kind`` is truth, ignored, hit, false or uncounted."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Panel:
    """One arm's detections in one scene."""

    arm: str
    boxes: tuple[Box, ...]
    hits: int
    false_alarms: int
    ships: int


@dataclass(frozen=True)
class StripScene:
    """One scene, its picture and a panel an arm.

    Attributes:
        element: Id of the picture, the same in every strip that shows the same one.
        picture: ``data:`` URI, or None where the image cannot be read.
        problem: Why it cannot.
        window: x1, y1, x2, y2 that is shown, in pixels of the scene.
        whole: Whether that is the whole scene.
    """

    scene_id: str
    element: str
    picture: str | None
    problem: str
    window: tuple[int, int, int, int]
    whole: bool
    width_px: int
    height_px: int
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Strip:
    """The scenes of one detector, of one seed."""

    detector: str
    seed: int
    scenes: tuple[StripScene, ...]


class Pictures:
    """Pictures of the page, each made once: a scene may be shown for two reasons."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, tuple[int, int, int, int]], tuple[str, str | None, str]] = {}

    def of(self, scene: ScenePrediction, window: tuple[int, int, int, int]) -> tuple[str, str | None, str]:
        """Id of the element, the picture as a data URI or None, and why there is none."""
        if (scene.image_path, window) not in self._made:
            self._made[scene.image_path, window] = (f"scene-{len(self._made)}", *_picture(scene, window))
        return self._made[scene.image_path, window]


#: Which scenes of a detector are shown.
Choice = Callable[[str, tuple[ScenePrediction, ...]], Sequence[ScenePrediction]]


def build_strips(study: Study, evidence: dict[Key, Evidence], pictures: Pictures, choose: Choice) -> list[Strip]:
    """One strip a detector, of the lowest seed that most arms have.

    Args:
        study: The comparison.
        evidence: Its cells.
        pictures: Of the whole page.
        choose: Takes the name of a detector and its scenes.
    """
    strips = []
    for detector in study.detectors:
        seed, found = _seed_to_show(study, evidence, detector)
        if not found:
            continue
        scenes = []
        for scene in choose(detector, next(iter(found.values())).scenes):
            window = busiest_window(scene)
            element, picture, problem = pictures.of(scene, window)
            arms = {arm: _of_scene(predictions, scene.scene_id) for arm, predictions in found.items()}
            panels = tuple(_panel(arm, own, window) for arm, own in arms.items() if own is not None)
            whole = window == (0, 0, scene.width_px, scene.height_px)
            size = scene.width_px, scene.height_px
            scenes.append(StripScene(scene.scene_id, element, picture, problem, window, whole, *size, panels))
        if scenes:
            strips.append(Strip(detector, seed, tuple(scenes)))
    return strips


def choose_scenes(scenes: tuple[ScenePrediction, ...]) -> list[ScenePrediction]:
    """Up to ``MOST_SCENES``, evenly from the one with the most ships to the one with the fewest."""
    ranked = sorted(scenes, key=lambda scene: (-int(np.count_nonzero(~scene.ignore)), scene.scene_id))
    if len(ranked) <= MOST_SCENES:
        return ranked
    return [ranked[round(index * (len(ranked) - 1) / (MOST_SCENES - 1))] for index in range(MOST_SCENES)]


def busiest_window(scene: ScenePrediction) -> tuple[int, int, int, int]:
    """The whole scene if it is small, else the window of ``WINDOW_PX`` with the most true ships wholly inside.

    Windows half a window apart are tried; of equal ones the first in reading order is taken.
    """
    lefts, tops = (_starts(size) for size in (scene.width_px, scene.height_px))
    windows = np.array([[x, y, min(x + WINDOW_PX, scene.width_px), min(y + WINDOW_PX, scene.height_px)]
                        for y in tops for x in lefts])  # fmt: skip
    ships = scene.truth[~scene.ignore]
    whole = (ships[:, 2] - ships[:, 0]) * (ships[:, 3] - ships[:, 1])
    inside = intersection_matrix(windows, ships) >= 0.999 * whole
    x1, y1, x2, y2 = (int(edge) for edge in windows[inside.sum(axis=1).argmax()])
    return x1, y1, x2, y2


def _starts(size: int) -> list[int]:
    last = max(size - WINDOW_PX, 0)
    return [*range(0, last, WINDOW_PX // 2), last]


def _seed_to_show(study: Study, evidence: dict[Key, Evidence], detector: str) -> tuple[int, dict[str, Predictions]]:
    by_seed: dict[int, dict[str, Predictions]] = {}
    for seed in sorted(study.seeds):
        for arm in study.arms:
            cell = evidence.get((detector, arm.name, seed))
            if cell is not None and cell.predictions is not None and cell.predictions.scenes:
                by_seed.setdefault(seed, {})[arm.name] = cell.predictions
    return max(by_seed.items(), key=lambda item: (len(item[1]), -item[0]), default=(0, {}))


def _of_scene(predictions: Predictions, scene_id: str) -> ScenePrediction | None:
    return next((scene for scene in predictions.scenes if scene.scene_id == scene_id), None)


def _panel(arm: str, scene: ScenePrediction, window: tuple[int, int, int, int]) -> Panel:
    sure = scene.scores >= MIN_SCORE
    found = ImageResult(scene.scene_id, scene.truth, scene.ignore, scene.boxes[sure], scene.scores[sure])
    verdict = judge(found)
    boxes = [
        *_boxes("truth", scene.truth[~scene.ignore], window),
        *_boxes("ignored", scene.truth[scene.ignore], window),
    ]
    for kind, value in (("uncounted", NOT_COUNTED), ("hit", HIT), ("false", 0)):
        boxes += _boxes(kind, found.boxes[verdict == value], window)
    shown = {kind: sum(box.kind == kind for box in boxes) for kind in ("truth", "hit", "false")}
    return Panel(arm, tuple(boxes), shown["hit"], shown["false"], shown["truth"])


def _boxes(kind: str, boxes: NDArray[Any], window: tuple[int, int, int, int]) -> list[Box]:
    """Boxes with their centre in the window, cut to it."""
    left, top, right, bottom = window
    made = []
    for x1, y1, x2, y2 in boxes.astype(float).tolist():
        if left <= (x1 + x2) / 2 < right and top <= (y1 + y2) / 2 < bottom:
            x1, x2 = max(x1, left) - left, min(x2, right) - left
            y1, y2 = max(y1, top) - top, min(y2, bottom) - top
            made.append(Box(kind, round(x1, 1), round(y1, 1), round(x2 - x1, 1), round(y2 - y1, 1)))
    return made


def _as_seen(stored: NDArray[Any], radiometry: Radiometry) -> NDArray[np.uint8]:
    try:
        return radiometry.apply(stored)
    except DataError:
        if stored.ndim < 3:
            raise
        # bands that differ: an optical scene, which the detector saw in colours
        return radiometry.apply_colour(three_bands(stored))


def _picture(scene: ScenePrediction, window: tuple[int, int, int, int]) -> tuple[str | None, str]:
    """A WebP of the window as the detector saw it, as a data URI; or None and the reason."""
    from PIL import Image

    try:
        image = _as_seen(read_image(Path(scene.image_path)), Radiometry.parse(scene.radiometry))
    except OSMError as error:
        return None, error.line
    if image.shape[:2] != (scene.height_px, scene.width_px):
        return None, f"{scene.image_path} is {image.shape[1]}×{image.shape[0]} px now, not what was scored"
    x1, y1, x2, y2 = window
    picture = Image.fromarray(np.ascontiguousarray(image[y1:y2, x1:x2]))
    picture.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.BOX)
    stream = io.BytesIO()
    picture.save(stream, format="WEBP", quality=QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}", ""
