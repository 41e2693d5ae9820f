"""Ships as COCO JSON: what ``osm view`` and every tool of labels reads."""

from __future__ import annotations

from typing import Any

from osm.detection.search.ships import Ships

#: Suffix of the file in an output folder, after the scene's name.
SUFFIX = ".coco.json"


def coco_record(ships: Ships) -> dict[str, Any]:
    """One image, its boxes as annotations with a score, and the one category.

    Boxes are x, y, width, height in pixels, with edges as coordinates: pixel ``i`` covers ``[i, i + 1)``.
    """
    annotations = []
    for number, (box, score) in enumerate(zip(ships.boxes_px.tolist(), ships.scores.tolist(), strict=True), start=1):
        x1, y1, x2, y2 = box
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
                "score": score,
            }
        )
    image: dict[str, Any] = {
        "id": 1,
        "file_name": ships.image_path,
        "width": ships.width_px,
        "height": ships.height_px,
    }
    if ships.acquired:
        image["date_captured"] = ships.acquired
    return {
        "info": {
            "description": f"ships found in {ships.scene_id}",
            "weights": ships.weights,
            "weights_sha256": ships.weights_sha256,
            "radiometry": ships.radiometry,
        },
        "images": [image],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "ship"}],
    }
