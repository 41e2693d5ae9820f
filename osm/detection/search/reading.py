"""A scene on disk as 8-bit tiles: read window by window by a thread that runs ahead of the model."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from osm.data.eight_bit import AUTO_DEEP
from osm.data.images import GREY_SPREAD, mean_band
from osm.data.limits import find_limits
from osm.data.radiometry import Radiometry
from osm.data.raster import Raster, RasterInfo
from osm.data.tiling import Ints
from osm.errors import DataError

#: Parts in which the levels are looked for: low and wide, so that the rows of a striped file stay in GDAL's cache.
_PART_ROWS, _PART_COLUMNS = 256, 4096

T = TypeVar("T")


@dataclass(frozen=True)
class ReadSettings:
    """How a scene's values are read.

    Attributes:
        radiometry: In place of that of the weights; None for theirs.
        band: Band of the scene, from 1; None if it has one, or equal ones.
        nodata: Value of missing pixels; None for that of the file.
    """

    radiometry: str | None = None
    band: int | None = None
    nodata: float | None = None


@dataclass(frozen=True)
class Levels:
    """How the values of one scene become 8 bits.

    Attributes:
        how: The radiometry.
        low: The value that becomes 0; its logarithm for ``log``.
        high: The value that becomes 255, likewise.
        notes: What a person has to know of the choice.
    """

    how: Radiometry
    low: float
    high: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.how.kind in ("none", "linear"):
            return str(self.how)
        ends = (self.low, self.high) if self.how.kind != "log" else (np.exp(self.low), np.exp(self.high))
        return f"{self.how} (0 at {ends[0]:.6g}, 255 at {ends[1]:.6g})"


class SceneReader:
    """An open scene with its levels known; a context manager, for one thread.

    Args:
        path: The scene.
        radiometry: That of the weights.
        settings: What the user says otherwise.
        progress: Told of parts read and parts in all while the levels are looked for.

    Attributes:
        info: What the scene's header says.
        levels: How its values become 8 bits.

    Raises:
        DataError: It cannot be read, is in colour, or its values do not fit the radiometry.
    """

    def __init__(
        self,
        path: Path,
        radiometry: str,
        settings: ReadSettings,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._raster = Raster(path)
        self._progress = progress
        try:
            self.info: RasterInfo = self._raster.info
            self._bands = _choose_bands(self.info, settings.band)
            self._nodata = self.info.nodata if settings.nodata is None else settings.nodata
            if len(self._bands) > 1:
                _refuse_colour(path, self._stored(), self.info.dtype == "uint8")
            self.levels = self._find_levels(radiometry, settings.radiometry)
        except BaseException:
            self._raster.close()
            raise

    def tile(self, window: Ints) -> npt.NDArray[np.uint8] | None:
        """One window in 8 bits; None if nothing was measured in it.

        Raises:
            DataError: That part of the file cannot be read; the window is named.
        """
        stored = _grey(self._raster.read(window, self._bands))
        levels = self.levels
        pixels = levels.how.apply_between(stored, levels.low, levels.high, nodata=self._nodata)
        # exact zeros are the fill of products, also where zero decibels would be bright
        return pixels if pixels.any() and stored.any() else None

    def __enter__(self) -> SceneReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._raster.close()

    def _stored(self) -> Iterator[npt.NDArray[Any]]:
        """The whole scene in parts, as stored."""
        width_px, height_px = self.info.width_px, self.info.height_px
        windows = [
            (x, y, min(x + _PART_COLUMNS, width_px), min(y + _PART_ROWS, height_px))
            for y in range(0, height_px, _PART_ROWS)
            for x in range(0, width_px, _PART_COLUMNS)
        ]
        for done, window in enumerate(windows):
            self._progress(done, len(windows))
            yield self._raster.read(window, self._bands)

    def _find_levels(self, of_weights: str, asked: str | None) -> Levels:
        def parts() -> Iterator[npt.NDArray[Any]]:
            return map(_grey, self._stored())

        how, notes = Radiometry.parse(asked or of_weights), []
        if how.kind == "none" and self.info.dtype != "uint8" and asked is None:
            how = AUTO_DEEP  # none is for 8-bit scenes alone
            notes.append(f"the weights were trained on 8-bit images; this one is {self.info.dtype}, mapped by {how}")
        if how.kind == "none" and self.info.dtype != "uint8":
            raise DataError(
                self.info.path,
                found=f"values of {self.info.dtype}",
                expected="8-bit ones for the radiometry none",
                mend=f"give --radiometry {AUTO_DEEP}",
            )
        if how.kind == "log" and np.dtype(self.info.dtype).kind in "if" and _mostly_negative(parts(), self._nodata):
            # the percentiles of logarithms are those of the decibels, which are logarithms already
            how = Radiometry("percentile", how.low, how.high)
            notes.append(f"most values are negative: taken for decibels, and mapped by {how} in place of log")
        low, high = find_limits(how, parts, self._nodata)
        if how.kind == "max" and high <= 0:
            raise DataError(
                self.info.path,
                found=f"a largest value of {high:g}",
                expected="positive values for the radiometry max of the weights",
                mend="if these are decibels, convert them to amplitudes or give --radiometry percentile",
            )
        if how.kind in ("percentile", "minmax") and not any("decibels" in note for note in notes) and -low > abs(high):
            notes.append(
                f"values from {low:.3g} to {high:.3g} are taken as they are; if these are decibels and the detector "
                "was trained on amplitudes, it may find nothing in them: convert the scene to amplitudes first"
            )
        return Levels(how, low, high, tuple(notes))


def _grey(stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return stored if stored.ndim == 2 else mean_band(stored)


def read_ahead(source: Callable[[], Iterable[T]], depth: int) -> Iterator[T]:
    """Run an iteration in a thread of its own, up to ``depth`` items ahead of who takes them.

    What it raises is raised here; it is ended when nobody takes any more.
    """
    items: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    over = threading.Event()

    def put(kind: str, item: Any) -> bool:
        while not over.is_set():
            try:
                items.put((kind, item), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            for item in source():
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # noqa: BLE001  (raised again by the thread that takes)
            put("error", error)

    thread = threading.Thread(target=run, name="reader", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = items.get()
            if kind == "error":
                raise item
            if kind == "end":
                return
            yield item
    finally:
        over.set()
        thread.join()


def _choose_bands(info: RasterInfo, band: int | None) -> list[int]:
    if band is not None:
        if not 1 <= band <= info.bands:
            raise DataError(
                info.path,
                found=f"{info.bands} band{'s' if info.bands > 1 else ''}",
                expected=f"a band {band}",
                mend="correct --band, which counts from 1",
            )
        return [band]
    if info.bands == 1:
        return [1]
    if info.bands in (3, 4):
        return [1, 2, 3]
    raise DataError(
        info.path,
        found=f"{info.bands} bands",
        expected="one, or three equal ones",
        mend="choose a polarisation with --band",
    )


def _refuse_colour(path: Path, parts: Iterable[npt.NDArray[Any]], eight_bit: bool) -> None:
    """Make sure that three bands say the same, as ``to_gray`` does for an image in memory."""
    total, count, least, most = 0.0, 0, np.inf, -np.inf
    for part in parts:
        if (part == part[:, :, :1]).all():
            level = np.abs(part[:, :, 0])
        else:
            wide = part.astype(np.complex64 if np.iscomplexobj(part) else np.float32)
            spread = np.abs(wide - wide.mean(axis=2, keepdims=True)).max(axis=2)
            total += float(np.nansum(spread))
            level = np.abs(wide)
        count += part.shape[0] * part.shape[1]
        finite = level[np.isfinite(level)]
        if finite.size:
            least, most = min(least, float(finite.min())), max(most, float(finite.max()))
    span = 255.0 if eight_bit else most - least
    if total / count > GREY_SPREAD * span:
        raise DataError(
            path,
            found=f"three bands that differ by {total / count:.3g} on average (a colour image)",
            expected="a SAR scene: one band, or three (nearly) equal ones",
            mend="give the SAR scene, or choose a band with --band",
        )


def _mostly_negative(parts: Iterable[npt.NDArray[Any]], nodata: float | None) -> bool:
    below, all_of = 0, 0
    for part in parts:
        valid = part[np.isfinite(part)]
        valid = valid if nodata is None else valid[valid != nodata]
        below += int(np.count_nonzero(valid < 0))
        all_of += int(np.count_nonzero(valid))
    return below > all_of / 2
