"""Ships as COCO JSON: what ``osm view`` and every tool of labels reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from osm.detection.search.ships import Ships


def coco_record(scenes: Sequence[Ships]) -> dict[str, Any]:
    """One image a scene, boxes as annotations with a score, and the one category.

    Boxes are x, y, width, height in pixels, with edges as coordinates: pixel ``i`` covers ``[i, i + 1)``.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, ships in enumerate(scenes, start=1):
        images.append(
            {
                "id": number,
                "file_name": ships.image_path,
                "width": ships.width_px,
                "height": ships.height_px,
                "radiometry": ships.radiometry,
                **({"date_captured": ships.acquired} if ships.acquired else {}),
            }
        )
        for (x1, y1, x2, y2), score in zip(ships.boxes_px.tolist(), ships.scores.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                    "score": score,
                }
            )
    names = sorted({(ships.weights, ships.weights_sha256) for ships in scenes})
    return {
        "info": {
            "description": "ships found by osm detect",
            "weights": ", ".join(name for name, _ in names),
            "weights_sha256": ", ".join(digest for _, digest in names),
        },
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "ship"}],
    }
