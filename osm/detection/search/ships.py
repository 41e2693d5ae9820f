"""The ships that were found in one scene, with their place on the image and on the ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ships:
    """What a search of one scene found, by falling score.

    A box stands along rows and columns, whatever the ship's own direction: its long side tells the direction of a
    ship only roughly, and its sides are those of the ship only where it lies along a row or a column.

    Attributes:
        scene_id: Name of the scene: that of its file without the suffix.
        image_path: The scene.
        width_px: Its columns.
        height_px: Its rows.
        boxes_px: ``(N, 4)`` float32 xyxy in scene pixels.
        scores: ``(N,)`` float32 in [0, 1].
        lonlat: ``(N, 2)`` longitude and latitude of the boxes' centres, degrees, WGS 84; None if the scene has no
            place on the ground.
        projected: ``(N, 2)`` the same in ``crs``; None likewise.
        crs: The scene's coordinate system, as ``EPSG:n`` or WKT; None likewise.
        length_m: ``(N,)`` long side of the boxes, along the ellipsoid; None if the scene has no place.
        width_m: ``(N,)`` short side.
        heading_deg: ``(N,)`` direction of the long side, clockwise from north, in [0, 180); NaN where the box is
            nearly square.
        acquired: Time of the image as ISO 8601, if the file says.
        weights: Name of the file of weights.
        weights_sha256: SHA-256 of that file.
        radiometry: How pixels became 8 bits, with the values that became 0 and 255.
    """

    scene_id: str
    image_path: str
    width_px: int
    height_px: int
    boxes_px: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    lonlat: Doubles | None
    projected: Doubles | None
    crs: str | None
    length_m: Doubles | None
    width_m: Doubles | None
    heading_deg: Doubles | None
    acquired: str | None
    weights: str
    weights_sha256: str
    radiometry: str

    def __len__(self) -> int:
        return len(self.boxes_px)

    def only(self, chosen: npt.NDArray[np.bool_]) -> Ships:
        """Some of the ships.

        Args:
            chosen: ``(N,)``.
        """
        each = ("boxes_px", "scores", "lonlat", "projected", "length_m", "width_m", "heading_deg")
        values = {name: getattr(self, name) for name in each}
        return replace(self, **{name: value[chosen] for name, value in values.items() if value is not None})

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values; ``ships_from_json`` reads it."""
        record: dict[str, Any] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, np.ndarray):
                value = [None if v is not None and v != v else v for v in value.tolist()]
            record[entry.name] = value
        return record


def ships_from_json(record: Mapping[str, Any]) -> Ships:
    """Read what ``Ships.to_json`` gave."""
    shapes = {"boxes_px": (-1, 4), "lonlat": (-1, 2), "projected": (-1, 2)}
    arrays = {"boxes_px", "scores", "lonlat", "projected", "length_m", "width_m", "heading_deg"}
    values: dict[str, Any] = {entry.name: record[entry.name] for entry in fields(Ships)}
    for name in arrays:
        if values[name] is not None:
            kind = np.float32 if name in ("boxes_px", "scores") else np.float64
            values[name] = np.asarray(values[name], dtype=kind).reshape(shapes.get(name, (-1,)))
    return Ships(**values)
