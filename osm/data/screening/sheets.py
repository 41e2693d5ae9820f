"""Contact sheets: patch pairs page by page, the kept and the dropped apart, for a person to look through."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

Bytes = npt.NDArray[np.uint8]

THUMB_PX = 112
_ACROSS, _DOWN = 7, 8
_GAP_PX, _CAPTION_PX, _TITLE_PX = 10, 32, 34
_INK, _PALE, _KEPT, _DROPPED = (34, 34, 34), (110, 110, 110), (0, 114, 178), (213, 94, 0)
PER_PAGE = _ACROSS * _DOWN


@dataclass(frozen=True)
class Cell:
    """One patch pair on a sheet.

    Attributes:
        thumb: JPEG of ``thumbnail``.
        name: First line below it.
        note: Second line: why it was dropped, or its number.
    """

    thumb: bytes
    name: str
    note: str


def thumbnail(sar: Bytes, optical: Bytes) -> bytes:
    """SAR and optical patch side by side, small, as JPEG."""
    from PIL import Image

    both = Image.new("RGB", (2 * THUMB_PX, THUMB_PX))
    for place, pixels in enumerate((sar, optical)):
        image = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
        both.paste(image.resize((THUMB_PX, THUMB_PX), Image.Resampling.BOX), (place * THUMB_PX, 0))
    stream = io.BytesIO()
    both.save(stream, format="JPEG", quality=80)
    return stream.getvalue()


def spread_over(count: int, pages: int) -> npt.NDArray[np.int64]:
    """Which of ``count`` cells are shown on at most so many pages: all, or evenly spread ones."""
    room = pages * PER_PAGE
    if count <= room:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, room).round().astype(np.int64)) if room else np.zeros(0, dtype=np.int64)


def write_sheets(
    folder: Path, kind: str, count: int, cell: Callable[[int], Cell], *, pages: int, kept: bool
) -> list[Path]:
    """Write ``<kind>-01.png`` and so on.

    Args:
        folder: Where.
        kind: Beginning of the names, and of the titles: ``kept``, or ``dropped-`` and the reason.
        count: How many patch pairs there are.
        cell: Gives each of them.
        pages: Most pages; more patch pairs than fit are shown evenly spread.
        kept: Colours the notes.
    """
    shown = spread_over(count, pages)
    paths = []
    total = -(-len(shown) // PER_PAGE)
    for number, part in enumerate(_parts(shown.tolist()), start=1):
        some = "" if len(shown) == count else f", {len(shown):,} of them shown"
        title = f"{kind.replace('-', ': ', 1)}  ·  {count:,} patch pairs{some}  ·  page {number} of {total}"
        path = folder / f"{kind.replace(' ', '-')}-{number:02d}.png"
        page([cell(index) for index in part], title, kept=kept).save(path, format="PNG", compress_level=4)
        paths.append(path)
    return paths


def page(cells: Sequence[Cell], title: str, *, kept: bool) -> Image.Image:
    """One sheet: SAR left, optical right, name and note below."""
    from PIL import Image, ImageDraw, ImageFont

    wide, high = 2 * THUMB_PX + _GAP_PX, THUMB_PX + _CAPTION_PX + _GAP_PX
    rows = max(1, -(-len(cells) // _ACROSS))
    sheet = Image.new("RGB", (_ACROSS * wide + _GAP_PX, _TITLE_PX + rows * high + _GAP_PX // 2), "white")
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(17), ImageFont.load_default(12)
    draw.text((_GAP_PX, 8), title, fill=_KEPT if kept else _DROPPED, font=large)
    for number, cell in enumerate(cells):
        row, column = divmod(number, _ACROSS)
        left, top = _GAP_PX + column * wide, _TITLE_PX + row * high
        with Image.open(io.BytesIO(cell.thumb)) as thumb:
            sheet.paste(thumb, (left, top))
        room = wide - _GAP_PX
        draw.text((left, top + THUMB_PX + 2), _fitting(draw, cell.name, small, room), fill=_INK, font=small)
        draw.text((left, top + THUMB_PX + 16), _fitting(draw, cell.note, small, room), fill=_PALE, font=small)
    return sheet


def _fitting(draw: object, text: str, font: object, room_px: int) -> str:
    """The text, or as much of its end as fits: the end tells names apart."""
    length = draw.textlength  # type: ignore[attr-defined]
    if length(text, font=font) <= room_px:
        return text
    while text and length("…" + text, font=font) > room_px:
        text = text[1:]
    return "…" + text


def _parts(indices: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(indices), PER_PAGE):
        yield indices[start : start + PER_PAGE]
