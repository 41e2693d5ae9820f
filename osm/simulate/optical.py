"""A coast as an optical sensor sees it from above: 8-bit RGB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osm.simulate.coast import TREE_HEIGHT_M, Coast, Cover
from osm.simulate.noise import Float32, fractal_noise, plane_wave
from osm.simulate.ships import Ship


@dataclass(frozen=True)
class OpticalView:
    """How the scene is lit.

    Attributes:
        sun_azimuth_rad: Direction that shadows fall in, from +x towards +y.
        sun_elevation_deg: Above the horizon.
        season: 0 is lush and green, 1 is dry and brown.
        haze: Fraction of the light that the air adds, in [0, 1).
        gain: Brightness and colour balance, red, green, blue.
        turbidity: 0 is clear water, 1 is muddy.
    """

    sun_azimuth_rad: float
    sun_elevation_deg: float
    season: float
    haze: float
    gain: tuple[float, float, float]
    turbidity: float


# Rows follow Cover: SEA, BEACH, GRASS, FOREST, FIELD, BARE, ROAD, QUAY, BUILDING; 0..255 RGB
_LUSH = np.array(
    [
        (28, 56, 74),
        (196, 182, 146),
        (98, 120, 62),
        (42, 66, 38),
        (112, 128, 70),
        (156, 134, 104),
        (104, 104, 106),
        (158, 156, 150),
        (140, 140, 140),
    ],
    dtype=np.float32,
)
_DRY = np.array(
    [
        (30, 54, 70),
        (206, 192, 158),
        (150, 138, 88),
        (72, 76, 46),
        (168, 148, 96),
        (176, 150, 116),
        (112, 110, 108),
        (164, 160, 152),
        (140, 140, 140),
    ],
    dtype=np.float32,
)
_ROUGHNESS = np.array([0.0, 0.05, 0.1, 0.24, 0.06, 0.09, 0.03, 0.06, 0.03], dtype=np.float32)
# Rows follow Roof: TILED, FLAT, SHED, CONTAINERS, TANK, CRANE; each kind goes from one colour to another.
_ROOF_FROM = np.array(
    [(132, 66, 48), (128, 126, 122), (176, 184, 190), (60, 84, 130), (216, 216, 210), (196, 120, 50)], dtype=np.float32
)
_ROOF_TO = np.array(
    [(176, 104, 76), (204, 200, 194), (84, 120, 164), (168, 70, 50), (240, 240, 236), (90, 120, 150)], dtype=np.float32
)
_CROPS = np.array([(0.86, 1.06, 0.8), (1.0, 1.0, 1.0), (1.2, 1.08, 0.82), (1.22, 1.0, 0.86)], dtype=np.float32)
_DECKS = np.array([(118, 58, 48), (70, 88, 82), (92, 98, 108), (150, 140, 124), (54, 62, 82)], dtype=np.float32)


def draw_view(rng: np.random.Generator) -> OpticalView:
    """Draw a plausible time of day and year."""
    brightness = rng.uniform(0.85, 1.15)
    return OpticalView(
        sun_azimuth_rad=float(rng.uniform(0, 2 * np.pi)),
        sun_elevation_deg=float(rng.uniform(28, 68)),
        season=float(rng.random()),
        haze=float(rng.uniform(0.0, 0.18)),
        gain=(
            float(brightness * rng.uniform(0.95, 1.05)),
            float(brightness),
            float(brightness * rng.uniform(0.95, 1.05)),
        ),
        turbidity=float(rng.random()),
    )


def render_optical(coast: Coast, view: OpticalView, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Render a coast as RGB.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    season = np.float32(view.season)
    # Bands first, as three planes: arithmetic on interleaved bands takes twice the time.
    palette = np.ascontiguousarray(((1 - season) * _LUSH + season * _DRY).T)
    colour = np.take(palette, coast.cover, axis=1)
    light = 1.0 + _ROUGHNESS[coast.cover] * coast.texture
    light *= _hillshade(coast, view)
    grain = fractal_noise(rng, coast.shape, 3.0, 1.5)
    light += np.float32(0.035) * grain * (coast.cover != Cover.SEA)
    _crops(colour, coast)
    _roofs(colour, coast)
    light *= 1.0 - np.float32(0.6) * _shadow(coast, view)
    _water(colour, light, coast, view, rng)
    colour *= light
    for ship in coast.ships:
        _paint_ship(colour, ship, coast, view)
    haze = np.array((188, 200, 214), dtype=np.float32)
    colour *= ((1 - view.haze) * np.array(view.gain, dtype=np.float32))[:, None, None]
    colour += (np.float32(0.5) + np.float32(view.haze) * haze)[:, None, None]
    colour += rng.standard_normal(coast.shape, dtype=np.float32) * np.float32(1.5)
    np.clip(colour, 0, 255, out=colour)
    return np.ascontiguousarray(colour.astype(np.uint8).transpose(1, 2, 0))


def _hillshade(coast: Coast, view: OpticalView) -> Float32:
    down, right = np.gradient(coast.relief_m)
    facing = -(right * np.float32(np.cos(view.sun_azimuth_rad)) + down * np.float32(np.sin(view.sun_azimuth_rad)))
    shade = np.clip(1.0 - facing * np.float32(1.2 / coast.pixel_m), 0.6, 1.35)
    return np.where(coast.cover == Cover.SEA, np.float32(1.0), shade)


def _crops(colour: Float32, coast: Coast) -> None:
    field = coast.cover == Cover.FIELD
    value = coast.parcel[field].astype(np.int64)
    colour[:, field] *= np.take(_CROPS.T, value // 64, axis=1) * (0.86 + 0.28 * (value % 64) / 64)


def _roofs(colour: Float32, coast: Coast) -> None:
    table = coast.buildings
    shade = table.shade[:, None]
    roof = _ROOF_FROM[table.roof] * (1 - shade) + _ROOF_TO[table.roof] * shade
    built = coast.building > 0
    colour[:, built] = np.take(roof.T, coast.building[built], axis=1)


def _shadow(coast: Coast, view: OpticalView) -> Float32:
    """Where the sun does not reach: 1 in the shadow of something higher, else 0."""
    height = coast.height_m()
    # Crowns differ, so a wood is full of small shadows.
    height = height + np.float32(0.25 * TREE_HEIGHT_M) * coast.texture * (coast.cover == Cover.FOREST)
    shadow = np.zeros(coast.shape, dtype=bool)
    fall = np.tan(np.radians(view.sun_elevation_deg)) * coast.pixel_m
    highest = float(coast.buildings.height_m.max(initial=0.0))
    if (coast.cover == Cover.FOREST).any():
        highest = max(highest, TREE_HEIGHT_M * 1.5)
    for step in range(1, min(64, int(highest / fall) + 1)):
        dx, dy = round(step * np.cos(view.sun_azimuth_rad)), round(step * np.sin(view.sun_azimuth_rad))
        target, source = _overlap(coast.shape, dx, dy)
        shadow[target] |= height[source] - height[target] > step * fall
    return shadow.astype(np.float32)


def _overlap(shape: tuple[int, int], dx: int, dy: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices so that ``a[target]`` lies ``(dx, dy)`` beyond ``a[source]``."""
    height, width = shape
    target = (slice(max(0, dy), min(height, height + dy)), slice(max(0, dx), min(width, width + dx)))
    source = (slice(max(0, -dy), min(height, height - dy)), slice(max(0, -dx), min(width, width - dx)))
    return target, source


def _water(colour: Float32, light: Float32, coast: Coast, view: OpticalView, rng: np.random.Generator) -> None:
    """Shallows near the shore, sediment, waves."""
    water = coast.cover == Cover.SEA
    depth = np.clip(-coast.shore_px[water] / np.float32(0.12 * min(coast.shape)), 0.0, 1.0)
    sediment = fractal_noise(rng, coast.shape, 0.4 * min(coast.shape), 8.0)[water]
    shallow = np.clip((1.0 - depth) * np.float32(0.7) + np.float32(0.12 * view.turbidity) * sediment, 0.0, 1.0)
    clear = np.array((62, 116, 120), dtype=np.float32)
    muddy = np.array((128, 122, 92), dtype=np.float32)
    bright = np.float32(view.turbidity) * muddy + np.float32(1 - view.turbidity) * clear
    colour[:, water] += (bright[:, None] - colour[:, water]) * shallow
    waves = plane_wave(coast.shape, float(rng.uniform(5, 12)), view.sun_azimuth_rad + 0.4, 0.0)[water]
    ripple = fractal_noise(rng, coast.shape, 8.0, 2.0)[water]
    light[water] *= 1.0 + np.float32(0.05) * ripple + np.float32(0.02) * waves


def _paint_ship(colour: Float32, ship: Ship, coast: Coast, view: OpticalView) -> None:
    rng = np.random.default_rng(ship.paint)
    if not ship.moored:
        x1, y1, x2, y2 = window = ship.window(coast.shape, 4.2 * ship.length_px)
        track, arms = ship.wake(*ship.local(window))
        foam = (0.55 * track + 0.35 * arms) * (coast.cover[y1:y2, x1:x2] == Cover.SEA)
        colour[:, y1:y2, x1:x2] += (np.float32(205) - colour[:, y1:y2, x1:x2]) * foam
    x1, y1, x2, y2 = window = ship.window(coast.shape, 6.0 + 0.4 * ship.beam_px)
    along, across = ship.local(window)
    patch = colour[:, y1:y2, x1:x2]
    reach = min(6.0, 0.3 * ship.beam_px + 1.0)
    dx, dy = reach * np.cos(view.sun_azimuth_rad), reach * np.sin(view.sun_azimuth_rad)
    cos, sin = np.cos(ship.heading_rad), np.sin(ship.heading_rad)
    fallen = ship.hull(
        np.asarray(along - np.float32(dx * cos + dy * sin)), np.asarray(across - np.float32(dy * cos - dx * sin))
    )
    patch *= 1.0 - np.float32(0.4) * fallen

    deck = np.broadcast_to(_DECKS[int(rng.integers(len(_DECKS)))][:, None, None], patch.shape).copy()
    position = along / np.float32(ship.length_px)
    stern = rng.uniform(-0.42, -0.3)
    if rng.random() < 0.5:  # hatches or rows of containers
        hold = (np.abs(position - 0.08) < 0.3) & (np.abs(across) < 0.36 * ship.beam_px)
        lane = np.floor(along / np.float32(max(3.0, ship.length_px / 9))).astype(np.int64)
        cargo = rng.integers(60, 220, (64, 3)).astype(np.float32) * 0.6 + 50
        deck[:, hold] = cargo.T[:, lane[hold] % 64]
    house = (np.abs(position - stern) < 0.07) & (np.abs(across) < 0.42 * ship.beam_px)
    deck[:, house] = np.array([[232], [232], [226]], dtype=np.float32)
    deck[:, (np.abs(across) > 0.42 * ship.beam_px) & ~house] *= 1.25
    patch += (deck - patch) * ship.hull(along, across)
