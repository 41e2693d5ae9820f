"""The page, its pictures and its numbers, written together."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from osm.errors import DataError
from osm.files import atomic_path, write_json, write_text
from osm.matching.inspection import drawing, words
from osm.matching.inspection.features import to_rows
from osm.matching.inspection.inspection import Inspection
from osm.matching.inspection.record import to_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE_NAME, RECORD_NAME = "inspect.html", "inspect.json"
#: Everything that an earlier inspection may have left.
_PICTURES = ("cka.png", "cka_stages.png", "filters_?.png", "maps_?.png", "embeddings_*.png")
_DPI = 160


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Attributes:
        name: Of its PNG file.
        png: Its bytes.
        alt: What it is, for somebody who cannot see it.
        caption: What to read in it, and what not to.
    """

    name: str
    png: bytes
    alt: str
    caption: str

    @property
    def inline(self) -> str:
        """The picture as a URL that holds it."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class Pictures:
    """The figures of the page by section; ``embeddings`` holds None where a picture could not be drawn."""

    cka: Picture | None
    stages: Picture | None
    filters: tuple[Picture, ...]
    maps: tuple[Picture, ...]
    embeddings: tuple[Picture | None, ...]

    @property
    def all(self) -> list[Picture]:
        """Those that there are."""
        every = (self.cka, self.stages, *self.filters, *self.maps, *self.embeddings)
        return [picture for picture in every if picture is not None]


def refuse_earlier(out: Path, *, overwrite: bool) -> None:
    """Make sure that a folder holds no inspection, or that it may be replaced.

    Raises:
        DataError: It holds one, or is a file.
    """
    if out.exists() and not out.is_dir():
        raise DataError(out, found="a file", expected="a folder", mend="choose another --out")
    if (out / PAGE_NAME).exists() and not overwrite:
        raise DataError(
            out / PAGE_NAME,
            found="an earlier inspection",
            expected="a new folder",
            mend="choose another --out, or replace it with --overwrite",
        )


def write_inspection(found: Inspection, out: Path) -> Path:
    """Write the pictures, ``inspect.json`` and, last, ``inspect.html``; what an earlier inspection left goes.

    Args:
        found: What was found.
        out: The folder; made if need be.

    Returns:
        The page.
    """
    # everything is rendered before anything is written: no page is half new
    pictures = draw(found)
    text = render(found, pictures)
    record = {**to_json(found), "pictures": [picture.name for picture in pictures.all]}
    kept = {picture.name for picture in pictures.all}
    (out / PAGE_NAME).unlink(missing_ok=True)
    for old in [path for pattern in _PICTURES for path in out.glob(pattern) if path.name not in kept]:
        old.unlink()
    for picture in pictures.all:
        with atomic_path(out / picture.name) as temporary:
            temporary.write_bytes(picture.png)
    write_json(out / RECORD_NAME, record)
    write_text(out / PAGE_NAME, text)
    return out / PAGE_NAME


def draw(found: Inspection) -> Pictures:
    """Draw every figure."""
    stages = found.known.stages
    rows = to_rows(found.between_arms, stages)
    cka = stages_picture = None
    if rows:
        cka = Picture(
            "cka.png",
            _png(drawing.heat_table([name for name, _ in rows], stages, [[one.cka for one in row] for _, row in rows])),
            "CKA of every two arms by stage, as in the table",
            words.cka_caption(found),
        )
    if found.between_stages:
        value = {(one.first_stage, one.second_stage): one.cka for one in found.between_stages}
        square = [[1.0 if a == b else value.get((a, b), value.get((b, a))) for b in stages] for a in stages]
        stages_picture = Picture(
            "cka_stages.png",
            _png(drawing.heat_table(stages, stages, square)),
            f"CKA of every two stages of {found.arms[0].letter}; numbers are in inspect.json",
            words.stages_caption(found),
        )
    return Pictures(
        cka=cka,
        stages=stages_picture,
        filters=tuple(
            Picture(
                f"filters_{arm.letter}.png",
                _png(drawing.filter_sheet(found.filters[arm.letter])),
                f"First-layer filters of {arm.label}",
                words.filters_caption(arm, found.filters[arm.letter]),
            )
            for arm in found.arms
        ),
        maps=tuple(
            Picture(
                f"maps_{arm.letter}.png",
                _png(drawing.map_sheet(found.shown.pixels, found.activations[arm.letter])),
                f"Activation maps of {arm.label}, stage by stage",
                words.maps_caption(arm, found),
            )
            for arm in found.arms
        ),
        embeddings=tuple(
            None
            if one.points is None
            else Picture(
                f"embeddings_{place}.png",
                _png(drawing.embedding_chart(one)),
                f"Embeddings of {len(one.names)} pairs in two dimensions, partners joined by lines",
                words.embedding_caption(found, one),
            )
            for place, one in enumerate(found.embedded, start=1)
        ),
    )


def render(found: Inspection, pictures: Pictures) -> str:
    """The whole page; every text of a user is escaped, every picture is inside."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("osm.matching.inspection"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = [
        (name, [words.cka_cell(one) for one in row]) for name, row in to_rows(found.between_arms, found.known.stages)
    ]
    return environment.get_template("inspect.html.j2").render(
        found=found,
        title=f"What the {found.wanted.architecture} branches learned",
        words=words,
        findings=words.findings(found),
        cautions=words.cautions(found),
        pictures=pictures,
        stages=found.known.stages,
        rows=rows,
        embedding_captions=[words.embedding_caption(found, one) for one in found.embedded],
        no_embeddings=_why_none(found),
    )


def _why_none(found: Inspection) -> str:
    if found.embedded:
        return ""
    if found.wanted.pairs is None:
        return "Left out: no pairs were given (--pairs)."
    return "Left out: no bridge_network.safetensors lies beside the weights, and none was given (--network)."


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI, metadata={"Software": None})
    return stream.getvalue()
