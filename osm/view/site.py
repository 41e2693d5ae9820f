"""What each address of the page answers. Scenes, runs and tiles have numbers: no address holds a path."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from osm.errors import OSMError
from osm.view.collection import Collection, Entry
from osm.view.ground import on_ground
from osm.view.pixels import ScenePixels
from osm.view.pyramid import TILE_PX
from osm.view.store import Store
from osm.view.verdicts import IOU, Shown, above, claims, disagreements

#: Files of the page, and what they are. The first is the page itself.
PAGE = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "scene.js": ("scene.js", "text/javascript; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
}
#: Tiles that are kept, in bytes of PNG, and open scenes.
TILE_BYTES, OPEN_SCENES = 48 * 2**20, 3
#: Longest side of a chip.
CHIP_PX = 512
_NUMBER = "([0-9]{1,9})"


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Attributes:
        status: Of HTTP.
        kind: Its content type.
        body: Its bytes.
        headers: Further headers.
    """

    status: int
    kind: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Site:
    """Answers for one collection; may be used by several threads.

    Args:
        collection: What is shown.
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        folder = files("osm.view").joinpath("page")
        self._page = {name: (folder.joinpath(file).read_bytes(), kind) for name, (file, kind) in PAGE.items()}
        self._pixels: Store[ScenePixels] = Store(OPEN_SCENES)
        self._tiles: Store[Answer] = Store(TILE_BYTES, lambda answer: len(answer.body))
        self._routes: list[tuple[re.Pattern[str], Callable[..., Answer | None]]] = [
            (re.compile("collection"), self._collection),
            (re.compile("scenes"), self._scenes),
            (re.compile(f"scene/{_NUMBER}"), self._scene),
            (re.compile(f"disagreements/{_NUMBER}"), self._disagreements),
            (re.compile(f"tile/{'/'.join([_NUMBER] * 4)}"), self._tile),
            (re.compile(f"chip/{'/'.join([_NUMBER] * 5)}"), self._chip),
        ]

    def answer(self, path: str, query: Mapping[str, str]) -> Answer:
        """Answer a request.

        Args:
            path: Without its leading slash and as it was sent, so that nothing in it can stand for anything else.
            query: Its parameters.
        """
        if path in self._page:
            body, kind = self._page[path]
            return Answer(200, kind, body)
        for pattern, handle in self._routes:
            if found := pattern.fullmatch(path):
                try:
                    answer = handle(query, *(int(number) for number in found.groups()))
                except OSMError as error:
                    # broken or missing files are no defect of this program: the page says what is wrong
                    return _json({"error": error.line}, 422)
                except _BadQuery as error:
                    return _json({"error": str(error)}, 400)
                return answer or _json({"error": "there is no such thing"}, 404)
        return _json({"error": "there is no such address"}, 404)

    # -- what is there ----------------------------------------------------------------------------

    def _collection(self, query: Mapping[str, str]) -> Answer:
        shown = self.collection
        return _json(
            {
                "title": shown.title,
                "kind": shown.kind,
                "runs": [{"detector": run.detector, "arm": run.arm, "seed": run.seed} for run in shown.runs],
                "scenes": len(shown.scene_ids),
                "has_truth": shown.has_truth,
                "iou": IOU,
                "tile_px": TILE_PX,
                "notes": list(shown.notes),
            }
        )

    def _scenes(self, query: Mapping[str, str]) -> Answer:
        """The list: name, size, and how many boxes each scene has."""
        arms = self._arms(query)
        highest = 1.0
        listed = []
        for scene_id in self.collection.scene_ids:
            entry = self.collection.first_entry(scene_id, *(arm.run for arm in arms))
            if entry is None:
                continue
            truth = self.collection.truth_of(entry)
            counts = []
            for arm in arms:
                own = self.collection.entry(arm.run, scene_id)
                counts.append(None if own is None else int(np.count_nonzero(own.scene.scores >= arm.score)))
                if own is not None and len(own.scene.scores):
                    highest = max(highest, float(own.scene.scores.max()))
            listed.append(
                {
                    "name": scene_id,
                    "size": [entry.scene.width_px, entry.scene.height_px],
                    "truth": None if truth is None else int(np.count_nonzero(~truth.scene.ignore)),
                    "found": counts,
                }
            )
        return _json({"scenes": listed, "highest_score": highest})

    def _scene(self, query: Mapping[str, str], number: int) -> Answer | None:
        """All boxes of a scene, and what is known of its image."""
        scene_id = self._scene_id(number)
        arms = self._arms(query)
        entry = self.collection.first_entry(scene_id, *(arm.run for arm in arms)) if scene_id is not None else None
        if scene_id is None or entry is None:
            return None
        content: dict[str, Any] = {
            "name": scene_id,
            "size": [entry.scene.width_px, entry.scene.height_px],
            "image": entry.scene.image_path,
        }
        try:
            pixels: ScenePixels | None = self._open(number)
        except OSMError as error:
            pixels = None
            content["error"] = error.line
        if pixels is not None:
            content |= {"levels": pixels.pyramid.levels, "radiometry": pixels.radiometry, "note": pixels.note}
        truth = self.collection.truth_of(entry)
        if truth is not None:
            content["truth"] = {
                "boxes": _rows(truth.scene.truth),
                "ignore": truth.scene.ignore.tolist(),
                "ground": self._ground(scene_id, pixels, truth.scene.truth),
            }
        found = [self.collection.entry(arm.run, scene_id) for arm in arms]
        content["arms"] = [None if own is None else self._boxes(scene_id, pixels, own) for own in found]
        return _json(content)

    def _boxes(self, scene_id: str, pixels: ScenePixels | None, entry: Entry) -> dict[str, Any]:
        from osm.detection.evaluate import judge

        result = self.collection.result(entry)
        content: dict[str, Any] = {
            "boxes": _rows(result.boxes),
            # the shortest text that is this float32
            "scores": [float(str(score)) for score in result.scores],
            "ground": self._ground(scene_id, pixels, result.boxes),
        }
        if self.collection.truth_of(entry) is not None:
            verdict = judge(result, IOU)
            content |= {"verdict": verdict.tolist(), "claims": claims(result, verdict).tolist()}
        return content

    def _ground(
        self, scene_id: str, pixels: ScenePixels | None, boxes: npt.NDArray[np.float32]
    ) -> list[list[float | None]] | None:
        """Longitude, latitude, and extents in metres of each box; None for what is not known."""
        placed = on_ground(pixels.info, boxes) if pixels is not None else None
        pixel_m = self.collection.pixel_m.get(scene_id)
        if placed is None and pixel_m is None:
            return None
        if placed is None:
            sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64) * (pixel_m or np.nan)
            placed = np.concatenate([np.full((len(boxes), 2), np.nan), sides], axis=1)
        return [[None if np.isnan(value) else round(float(value), 7) for value in row] for row in placed]

    def _disagreements(self, query: Mapping[str, str], number: int) -> Answer | None:
        """Where to look in this scene, and which scene is the next that has such a place."""
        total = len(self.collection.scene_ids)
        if number >= total:
            return None
        arms = self._arms(query)
        here = self._places(number, arms)
        later = (one % total for one in range(number + 1, number + total))
        following = next((one for one in later if self._places(one, arms)), None)
        return _json({"places": here, "next_scene": following})

    def _places(self, number: int, arms: list[_Arm]) -> list[dict[str, Any]]:
        scene_id = self.collection.scene_ids[number]
        shown = []
        for arm in arms:
            entry = self.collection.entry(arm.run, scene_id)
            if entry is None:
                return []
            known = self.collection.truth_of(entry) is not None
            shown.append(Shown(above(self.collection.result(entry), arm.score), known, arm.letter))
        if not shown:
            return []
        found = disagreements(shown[0], shown[1] if len(shown) > 1 else None)
        return [{"box": _rows(place.box[None])[0], "words": place.words} for place in found]

    # -- pictures ---------------------------------------------------------------------------------

    def _tile(self, query: Mapping[str, str], number: int, level: int, column: int, row: int) -> Answer | None:
        def make() -> Answer:
            tile = pixels.tile(level, column, row)
            # a header: bytes of the picture are pixels alone
            headers = (("X-Broken", quote(pixels.broken[:400])),) if pixels.broken else ()
            return Answer(200, "image/png", _png(tile), headers)

        if number >= len(self.collection.scene_ids):
            return None
        pixels = self._open(number)
        if pixels.pyramid.window(level, column, row) is None:
            return None
        return self._tiles.get((number, level, column, row), make)

    def _chip(self, query: Mapping[str, str], number: int, x1: int, y1: int, x2: int, y2: int) -> Answer | None:
        """A window at full resolution."""
        if number >= len(self.collection.scene_ids):
            return None
        pixels = self._open(number)
        inside = x1 < x2 <= pixels.pyramid.width_px and y1 < y2 <= pixels.pyramid.height_px
        if not inside or max(x2 - x1, y2 - y1) > CHIP_PX:
            return None
        return Answer(200, "image/png", _png(pixels.window((x1, y1, x2, y2))))

    def _open(self, number: int) -> ScenePixels:
        def make() -> ScenePixels:
            scene_id = self.collection.scene_ids[number]
            entry = self.collection.first_entry(scene_id)
            if entry is None:
                raise LookupError(scene_id)
            scene = entry.scene
            path = self.collection.finder.find(scene.image_path, entry.record)
            return ScenePixels(path, scene.radiometry, (scene.width_px, scene.height_px))

        return self._pixels.get(number, make)

    # -- parameters -------------------------------------------------------------------------------

    def _scene_id(self, number: int) -> str | None:
        ids = self.collection.scene_ids
        return ids[number] if number < len(ids) else None

    def _arms(self, query: Mapping[str, str]) -> list[_Arm]:
        """Runs A and B, as far as given."""
        arms = []
        for letter in "ab":
            if letter not in query:
                continue
            number, score = query[letter], query.get(f"{letter}_score", "0")
            if not re.fullmatch("[0-9]{1,6}", number) or int(number) >= len(self.collection.runs):
                raise _BadQuery(f"{letter}={number[:20]} is no run")
            if not re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", score, re.ASCII):
                raise _BadQuery(f"{letter}_score={score[:20]} is no score")
            arms.append(_Arm(letter.upper(), int(number), float(score)))
        return arms


@dataclass(frozen=True)
class _Arm:
    """A run that is shown as A or B, and the least score of its boxes."""

    letter: str
    run: int
    score: float


class _BadQuery(ValueError):
    """Parameters that the page never sends."""


def _json(content: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, "application/json", json.dumps(content, allow_nan=False, separators=(",", ":")).encode())


def _rows(boxes: npt.NDArray[np.float32]) -> list[list[float]]:
    return [[float(str(edge)) for edge in box] for box in boxes]


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    # speckle does not compress: the fastest level is within a few per cent of the best
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()
