"""Simulated data on disk: pairs in the layout of QXS-SAROPT, scenes in those of the labelled data sets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osm.data.radiometry import Radiometry
from osm.errors import ConfigError
from osm.simulate import optical, sar
from osm.simulate.coast import Coast, draw_coast
from osm.simulate.folder import simulation_folder
from osm.simulate.scene_layouts import LAYOUTS
from osm.simulate.view import draw_sar_view

PAIR_RADIOMETRY = "linear:0,1500"
"""How the 16-bit amplitude becomes the 8 bits of a pair: fixed, so that brightness means the same in every pair."""

Progress = Callable[[int, int], None]
_VERSION = 1


@dataclass(frozen=True)
class Simulation:
    """What a call left on disk.

    Attributes:
        folder: The folder that was asked for.
        count: Pairs or scenes in it.
        reused: Nothing was written: the folder held a finished simulation with the same settings.
    """

    folder: Path
    count: int
    reused: bool


def make_pair(
    seed: int, number: int, size_px: int = 256, looks: float = 1.0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Render pair ``number`` of ``seed``: SAR ``(S, S)`` uint8 and optical ``(S, S, 3)`` uint8 of one place."""
    rng = _stream(seed, 1, number)
    coast = draw_coast(
        rng,
        (size_px, size_px),
        pixel_m=1.0,
        land_fraction=float(rng.uniform(0.3, 0.9)),
        ship_count=int(rng.integers(1, 6)),
        port_count=1 if rng.random() < 0.75 else 0,
    )
    colour = optical.render_optical(coast, optical.draw_view(rng), rng)
    amplitude = sar.render_sar(coast, draw_sar_view(rng, looks), rng)
    return Radiometry.parse(PAIR_RADIOMETRY).apply(amplitude), colour


def make_scene(
    seed: int,
    number: int,
    width_px: int = 3000,
    height_px: int = 3000,
    ships_per_scene: tuple[int, int] | None = None,
    looks: float = 1.0,
) -> tuple[NDArray[np.uint16], Coast]:
    """Render scene ``number`` of ``seed``: amplitude ``(H, W)`` uint16, and the coast with its ships."""
    rng = _stream(seed, 2, number)
    coast = _draw_scene_coast(rng, width_px, height_px, ships_per_scene)
    return sar.render_sar(coast, draw_sar_view(rng, looks), rng), coast


def make_optical_scene(
    seed: int, number: int, width_px: int = 1024, height_px: int = 1024, ships_per_scene: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8], Coast]:
    """The same as seen from the air: ``(H, W, 3)`` uint8, of other places than the SAR scenes of the same seed."""
    rng = _stream(seed, 3, number)
    coast = _draw_scene_coast(rng, width_px, height_px, ships_per_scene)
    return optical.render_optical(coast, optical.draw_view(rng), rng), coast


def _draw_scene_coast(
    rng: np.random.Generator, width_px: int, height_px: int, ships_per_scene: tuple[int, int] | None
) -> Coast:
    low, high = ships_per_scene or default_ships(width_px, height_px)
    pixel_m, land_fraction = float(rng.choice([1.0, 3.0])), float(rng.uniform(0.25, 0.55))
    # Quays may leave too little water: draw again with less land. Land never wins eight times.
    for _ in range(8):
        coast = draw_coast(
            rng,
            (height_px, width_px),
            pixel_m=pixel_m,
            land_fraction=land_fraction,
            ship_count=int(rng.integers(low, high + 1)),
            port_count=max(1, min(4, min(width_px, height_px) // 700)),
        )
        if len(coast.ships) >= low:
            break
        land_fraction *= 0.7
    return coast


def default_ships(width_px: int, height_px: int) -> tuple[int, int]:
    """Fewest and most ships of a scene: 4 to 12 up to a megapixel, growing with the scene's side to 12 to 36."""
    growth = min(3.0, max(1.0, math.sqrt(width_px * height_px) / 1000))
    return round(4 * growth), round(12 * growth)


def simulate_pairs(
    out: Path,
    *,
    count: int,
    seed: int = 0,
    size_px: int = 256,
    looks: float = 1.0,
    progress: Progress | None = None,
) -> Simulation:
    """Write pairs in the layout of QXS-SAROPT.

    ``out/QXSLAB_SAROPT/{sar_256_oc_0.2,opt_256_oc_0.2}/<n>.png`` with n from 1, and ``out/SIMULATED.json``.
    Pair n of a seed is the same bytes whatever ``count`` is.

    Args:
        out: A new or empty folder, or one that an identical call has finished (it is then left as it is).
        count: Number of pairs.
        seed: Non-negative.
        size_px: Side of a patch, at least 64.
        looks: Looks of the SAR half; 1 is single-look.
        progress: Called with (done, count) after each pair.

    Raises:
        ConfigError: A setting is out of range.
        DataError: ``out`` holds something else.
    """
    _check(count, seed, looks, (("size_px", size_px),), least=64)
    settings = {"kind": "pairs", "version": _VERSION, "count": count, "seed": seed, "size_px": size_px, "looks": looks}
    settings["radiometry"] = PAIR_RADIOMETRY
    with simulation_folder(out, settings, "QXSLAB_SAROPT/*/*.png") as folder:
        if folder is None:
            return Simulation(Path(out), count, reused=True)
        sar_dir = folder / "QXSLAB_SAROPT" / "sar_256_oc_0.2"
        optical_dir = folder / "QXSLAB_SAROPT" / "opt_256_oc_0.2"
        for part in (sar_dir, optical_dir):
            part.mkdir(parents=True)
        for number in range(1, count + 1):
            dark, colour = make_pair(seed, number, size_px, looks)
            _write_png(sar_dir / f"{number}.png", dark)
            _write_png(optical_dir / f"{number}.png", colour)
            if progress is not None:
                progress(number, count)
    return Simulation(Path(out), count, reused=False)


def simulate_scenes(
    out: Path,
    *,
    count: int,
    seed: int = 0,
    width_px: int = 3000,
    height_px: int = 3000,
    ships_per_scene: tuple[int, int] | None = None,
    looks: float = 1.0,
    layout: str = "air-sarship-1.0",
    progress: Progress | None = None,
) -> Simulation:
    """Write labelled scenes in the layout of a data set, and ``out/SIMULATED.json``.

    Scene n of a seed (n from 1) is the same bytes whatever ``count`` is.

    Args:
        out: As in :func:`simulate_pairs`.
        count: Number of scenes.
        seed: Non-negative.
        width_px: Width of every scene, at least 256.
        height_px: Height of every scene, at least 256.
        ships_per_scene: Fewest and most ships wanted; by default 4 to 12, more in large scenes. Where the
            water is full there are fewer, never none.
        looks: 1 is single-look.
        layout: A key of ``osm.simulate.scene_layouts.LAYOUTS``; ``dota`` shows the scenes in colour, from above.
        progress: Called with (done, count) after each scene.

    Raises:
        ConfigError: A setting is out of range.
        DataError: ``out`` holds something else.
    """
    _check(count, seed, looks, (("width_px", width_px), ("height_px", height_px)), least=256)
    low, high = ships_per_scene or default_ships(width_px, height_px)
    if not 1 <= low <= high:
        raise ConfigError(
            "ships_per_scene",
            found=f"{low} to {high}",
            expected="at least 1 ship, and the fewest first",
            mend="give for example 4 and 12",
        )
    settings = {"kind": "scenes", "version": _VERSION, "count": count, "seed": seed, "looks": looks}
    settings |= {"width_px": width_px, "height_px": height_px, "ships_per_scene": [low, high]}
    if layout not in LAYOUTS:
        raise ConfigError("layout", found=repr(layout), expected=" or ".join(LAYOUTS), mend="correct the spelling")
    if layout != "air-sarship-1.0":
        settings["layout"] = layout
    form = LAYOUTS[layout]
    with simulation_folder(out, settings, form.pattern, form.files_each) as folder:
        if folder is None:
            return Simulation(Path(out), count, reused=True)
        writer = form(folder)
        for number in range(1, count + 1):
            if form.optical:
                writer.add(number, *make_optical_scene(seed, number, width_px, height_px, (low, high)))
            else:
                writer.add(number, *make_scene(seed, number, width_px, height_px, (low, high), looks))
            if progress is not None:
                progress(number, count)
        writer.finish()
    return Simulation(Path(out), count, reused=False)


def _stream(seed: int, kind: int, number: int) -> np.random.Generator:
    """Randomness of one pair or scene, independent of how many others are drawn."""
    return np.random.default_rng(np.random.SeedSequence([seed, kind, number]))


def _check(count: int, seed: int, looks: float, sizes: tuple[tuple[str, int], ...], *, least: int) -> None:
    for name, value, low in (("count", count, 1), ("seed", seed, 0), *((n, v, least) for n, v in sizes)):
        if value < low:
            raise ConfigError(name, found=str(value), expected=f"at least {low}", mend="give a larger number")
    if not (math.isfinite(looks) and looks >= 1):
        raise ConfigError("looks", found=str(looks), expected="1 or more", mend="1 is single-look")


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    from PIL import Image

    # Speckle does not compress: Huffman coding alone costs 5 % in size and a quarter of the default's time.
    Image.fromarray(image).save(path, compress_type=2)
