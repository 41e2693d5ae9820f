"""A scene to look at: a quick-look PNG, and a page that works offline."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.detection.search.overview import Overview
from osm.detection.search.ships import Ships
from osm.detection.search.tables import IN_PIXELS, rows
from osm.files import atomic_path, write_text

_YELLOW, _SHADOW = (255, 208, 0), (0, 0, 0)
#: Boxes of small ships are drawn at least this large, around their centre.
_LEAST_PX = 8


def brightened(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """An overview for the eye: means of speckle are dark, so that they are stretched to their 99.8th percentile."""
    shown = pixels[pixels > 0]
    top = float(np.percentile(shown, 99.8)) if shown.size else 255.0
    return np.asarray(np.clip(pixels.astype(np.float32) * (255 / max(top, 1)), 0, 255).astype(np.uint8))


def write_quick_look(path: Path, ships: Ships, overview: Overview) -> None:
    """Draw the ships into the overview and write it as PNG."""
    from PIL import Image, ImageDraw

    small = brightened(overview.pixels())
    grow = max(1, 700 // max(small.shape))
    image = Image.fromarray(small).convert("RGB")
    image = image.resize((image.width * grow, image.height * grow), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    for box in ships.boxes_px.astype(float) * (grow / overview.factor):
        half = np.maximum(box[2:] - box[:2] + 4, _LEAST_PX) / 2
        centre = (box[:2] + box[2:]) / 2
        place = np.concatenate([centre - half, centre + half]).round().tolist()
        draw.rectangle([place[0] - 1, place[1] - 1, place[2] + 1, place[3] + 1], outline=_SHADOW)
        draw.rectangle(place, outline=_YELLOW)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def write_page(path: Path, ships: Ships, overview: Overview) -> None:
    """Write one HTML file: the overview with boxes, a slider for the score, and a table; it asks for nothing else."""
    import jinja2
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(brightened(overview.pixels())).save(data, format="JPEG", quality=85)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("osm.detection.search"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    # what stands in a script ends with it: no </script> may come from a scene's name
    table = json.dumps(rows(ships), allow_nan=False).replace("<", "\\u003c")
    page = environment.get_template("scene.html.j2").render(
        ships=ships,
        table=table,
        image=base64.b64encode(data.getvalue()).decode(),
        least=float(ships.scores.min(initial=1.0)),
        note=IN_PIXELS if ships.lonlat is None else "",
        factor=overview.factor,
    )
    write_text(path, page)
