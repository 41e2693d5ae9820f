"""The ships that were found in one scene, with their place on the image and on the ground."""

from __future__ import annotations

from dataclasses import dataclass

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
