"""A picture of tie points for review: both scenes with the points, and where each is off by how much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from osm.data.register.align import Alignment
from osm.data.register.fit import rms
from osm.data.register.resample import Grid, Resampled
from osm.data.sources import Source
from osm.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]

_SIDE_PX = 900
_USED, _REFUSED, _FREE = "#0072b2", "#d55e00", "#e69f00"
_MOST_NUMBERS = 60


def draw_tie_points(path: Path, alignment: Alignment, title: str) -> None:
    """Write ``<scene>.png``: SAR left, optical right, with used and refused points, and arrows of what is left over.

    The arrows are drawn many times their length, so that the longest spans a fifteenth of the scene; the legend says
    how many. Arrows that point one way within a part of the scene mean that the transform is too stiff.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = (alignment.prepared.sar_size, alignment.prepared.optical_size)
    figure = Figure(figsize=(15, 8.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    sar = alignment.sar.source if isinstance(alignment.sar, Resampled) else alignment.sar
    for axes, source, size, name in ((left, sar, sizes[0], "SAR"), (right, alignment.optical, sizes[1], "optical")):
        axes.imshow(_small(source, size), extent=(0, size[0], size[1], 0), cmap="gray", interpolation="nearest")
        axes.set_title(name, fontsize=11)
        axes.tick_params(labelsize=8)
    grid = alignment.prepared.grid.sar_px
    fitted = [region for region in alignment.regions if region.fit is not None and region.points is not None]
    lengths = [np.linalg.norm(region.fit.residual_px[region.fit.used], axis=1) for region in fitted if region.fit]
    longest = max((float(length.max()) for length in lengths if len(length)), default=0.0)
    times = max(1.0, _round(max(sizes[0]) / 15 / longest)) if longest > 1e-6 else 1.0
    number = 0
    for region in alignment.regions:
        x1, y1, x2, y2 = (value * grid for value in region.box)
        if len(alignment.regions) > 1:
            left.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], color=_FREE, linewidth=0.8)
            left.text((x1 + x2) / 2, y1 + 0.02 * (y2 - y1), region.name, color=_FREE, fontsize=8, va="top", ha="center")
    for region in fitted:
        assert region.fit is not None
        assert region.points is not None
        used, points = region.fit.used, region.points
        for axes, places in ((left, points.sar), (right, points.optical)):
            _mark(axes, places[used], _USED, "o")
            _mark(axes, places[~used], _REFUSED, "x")
        off = region.fit.residual_px * times
        left.quiver(
            *points.sar[used].T,
            *off[used].T,
            angles="xy",
            scale_units="xy",
            scale=1,
            color=_FREE,
            width=0.003,
            zorder=4,
        )
        if sum(len(region.points) for region in fitted if region.points) <= _MOST_NUMBERS:
            for here, there in zip(points.sar, points.optical, strict=True):
                number += 1
                for axes, place in ((left, here), (right, there)):
                    axes.annotate(
                        str(number), place, xytext=(5, 3), textcoords="offset points", fontsize=8, color="white",
                        bbox={"boxstyle": "round,pad=0.1", "facecolor": "black", "alpha": 0.55, "linewidth": 0},
                    )  # fmt: skip
    for axes, size in ((left, sizes[0]), (right, sizes[1])):
        axes.set_xlim(0, size[0])
        axes.set_ylim(size[1], 0)
    figure.suptitle(f"{title}\n{_figures(fitted)}", fontsize=11)
    handles = [
        left.plot([], [], "o", color=_USED, label="used")[0],
        left.plot([], [], "x", color=_REFUSED, label="refused as an outlier")[0],
        left.plot([], [], color=_FREE, label=f"residual, drawn {times:g}×")[0],
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=10, frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100, metadata={"Software": None})


def _figures(fitted: list) -> str:  # type: ignore[type-arg]
    used = [region.fit.residual_px[region.fit.used] for region in fitted]
    out = [region.fit.left_out_px for region in fitted]
    total = sum(len(region.points) for region in fitted)
    if not used:
        return "no sub-region has a transform"
    free = np.concatenate(out)
    free = free[np.isfinite(free).all(axis=1)]
    kind = fitted[0].fit.transform.kind
    text = f"{kind}, {sum(map(len, used))} of {total} points used, RMSE {rms(np.concatenate(used)):.2f} SAR pixels"
    return f"{text}; {rms(free):.2f} at points left out of the fit" if len(free) else text


def _mark(axes: Axes, places: Floats, colour: str, marker: str) -> None:
    axes.plot(
        *places.T, marker, color=colour, markersize=5, markeredgecolor="white" if marker == "o" else colour, mew=0.8
    )


def _small(source: Source, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    factor = max(1, -(-max(size) // _SIDE_PX))
    grid = Grid.of(size, factor)
    whole = Resampled(source, None, grid)
    rows = max(16, (8 * 2**20) // (grid.width_px * factor**2))
    parts = [
        whole.read((0, top, grid.width_px, min(top + rows, grid.height_px)))[0]
        for top in range(0, grid.height_px, rows)
    ]
    image = np.concatenate(parts)
    return np.clip(image.astype(np.float32) * (200 / max(float(np.percentile(image, 98)), 1)), 0, 255).astype(np.uint8)


def _round(value: float) -> float:
    """One digit, downwards: 37 becomes 30."""
    scale = 10 ** np.floor(np.log10(max(value, 1)))
    return float(np.floor(value / scale) * scale)
