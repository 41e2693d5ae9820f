"""A coast as a SAR sees it: 16-bit amplitude in ground range, range along the columns, azimuth along the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osm.simulate.coast import TREE_HEIGHT_M, Coast, Cover
from osm.simulate.drawing import Roof
from osm.simulate.noise import Float32, fractal_noise, plane_wave
from osm.simulate.scatterers import add_land_scatterers, add_ship
from osm.simulate.speckle import merge_with_clutter, speckle_intensity
from osm.simulate.view import SarView

AMPLITUDE_SCALE = 2000.0
"""Digital number of a pixel whose backscatter is 0 dB."""

NOISE_FLOOR = 10 ** (-3.2)
"""Noise-equivalent backscatter: what shadows and calm water are left with."""


# SEA, BEACH, GRASS, FOREST, FIELD, BARE, ROAD, QUAY, BUILDING (roofs); C band, about 35 degrees
_COVER_DB = np.array([-21.0, -16.5, -11.5, -8.0, -11.0, -14.5, -19.0, -14.5, -10.0])
_ROUGHNESS = np.array([0.0, 0.1, 0.22, 0.3, 0.12, 0.2, 0.05, 0.15, 0.1], dtype=np.float32)
_ROOF_DIHEDRAL_DB = {
    Roof.TILED: 2.0,
    Roof.FLAT: 7.0,
    Roof.SHED: 9.0,
    Roof.CONTAINERS: 9.0,
    Roof.TANK: 8.0,
    Roof.CRANE: 13.0,
}


def render_sar(coast: Coast, view: SarView, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Render a coast as amplitude.

    Returns:
        ``(H, W)`` uint16; ``AMPLITUDE_SCALE`` is the amplitude of 0 dB, saturated at 65535.
    """
    sigma = backscatter(coast, view, rng)
    sigma *= speckle_intensity(rng, coast.shape, view.looks)
    field = np.zeros(coast.shape, dtype=np.complex64)
    for ship in coast.ships:
        add_ship(field, ship, coast.pixel_m, view)
    add_land_scatterers(field, coast, view, rng)
    merge_with_clutter(rng, sigma, field, view.looks)
    np.sqrt(sigma, out=sigma)
    sigma *= np.float32(AMPLITUDE_SCALE)
    np.minimum(sigma, np.float32(65535.0), out=sigma)
    sigma += np.float32(0.5)
    return sigma.astype(np.uint16)


def backscatter(coast: Coast, view: SarView, rng: np.random.Generator) -> Float32:
    """Mean intensity of every pixel, before speckle, with layover, shadow and double bounce; ``(H, W)`` float32."""
    decibels = _COVER_DB + view.cover_db
    decibels[1:] += view.land_db
    decibels[Cover.SEA] = view.sea_db
    table = (10 ** (decibels / 10)).astype(np.float32)
    sigma = table[coast.cover]
    sigma *= np.maximum(1.0 + _ROUGHNESS[coast.cover] * coast.texture, np.float32(0.15))
    field = coast.cover == Cover.FIELD
    sigma[field] *= _parcel_gain()[coast.parcel[field]]

    toward = 1 if view.look_right else -1
    slope = np.gradient(coast.relief_m[:, ::toward], axis=1) * np.float32(2.2 / coast.pixel_m)
    sigma *= np.where(coast.cover == Cover.SEA, np.float32(1.0), np.clip(1.0 + slope[:, ::toward], 0.45, 2.2))
    _sea_surface(sigma, coast, view, rng)
    # In range order, the sensor sits before column 0.
    ordered = _layover(sigma[:, ::toward], coast, view, toward)
    sigma = np.ascontiguousarray(ordered[:, ::toward])
    sigma += np.float32(NOISE_FLOOR)
    return sigma


def _parcel_gain() -> Float32:
    """Backscatter of a field parcel by its value: crops of four kinds, and differences between parcels."""
    value = np.arange(256)
    crop = np.array([-3.5, -1.0, 1.0, 3.0])[value // 64]
    return np.asarray(10 ** ((crop + (value % 64) / 64 - 0.5) / 10), dtype=np.float32)


def _sea_surface(sigma: Float32, coast: Coast, view: SarView, rng: np.random.Generator) -> None:
    """Swell, gusts and the wakes of ships, in place."""
    water = coast.cover == Cover.SEA
    gusts = fractal_noise(rng, coast.shape, max(24.0, 0.35 * min(coast.shape)), 6.0, gain=0.6)
    swell = plane_wave(coast.shape, view.swell_px / coast.pixel_m + 6.0, view.swell_rad, float(rng.uniform(0, 6.28)))
    surface = np.maximum(1.0 + np.float32(view.swell_depth) * swell + np.float32(0.18) * gusts, np.float32(0.2))
    sigma[water] *= surface[water]
    for ship in coast.ships:
        if ship.moored:
            continue
        window = ship.window(coast.shape, 4.2 * ship.length_px)
        x1, y1, x2, y2 = window
        track, arms = ship.wake(*ship.local(window))
        sigma[y1:y2, x1:x2] *= np.where(water[y1:y2, x1:x2], (1.0 - 0.7 * track) * (1.0 + 1.2 * arms), 1.0)


def _layover(sigma: Float32, coast: Coast, view: SarView, toward: int) -> Float32:
    """Move what is high towards the sensor, shadow what lies behind it, light the walls that face it.

    A point at height h lies ``h cot(incidence)`` nearer in ground range; it shadows ``h tan(incidence)``
    behind it. Arrays are in range order (the sensor before column 0).
    """
    rows, columns = sigma.shape
    height = coast.height_m()[:, ::toward]
    building = coast.building[:, ::toward]
    incidence = np.radians(view.incidence_deg)
    shift = np.float32(1.0 / np.tan(incidence) / coast.pixel_m)
    position = height * np.float32(np.tan(incidence) / coast.pixel_m)
    position += np.arange(columns, dtype=np.float32)[None, :]
    lit = position >= np.maximum.accumulate(position, axis=1) - np.float32(0.01)

    high = np.flatnonzero(height > 0.5)
    flat_height = height.ravel()[high]
    energy = sigma.ravel()[high] * lit.ravel()[high]
    ground = sigma * lit
    ground.reshape(-1)[high] = 0.0
    places, weights = [_moved(high, flat_height * shift, columns)], [energy]

    # Walls that face the sensor: building pixels much higher than their neighbour on the sensor's side.
    rise = np.zeros_like(height)
    rise[:, 1:] = height[:, 1:] - height[:, :-1]
    rise[building == 0] = 0.0
    walls = np.flatnonzero((rise > 2.0) & lit)
    if walls.size:
        wall_rows = building.ravel()[walls]
        depth = rise.ravel()[walls] * shift
        count = np.ceil(depth).astype(np.int64) + 1
        first = np.repeat(walls, count)
        step = np.arange(first.size) - np.repeat(np.cumsum(count) - count, count)
        # Storeys and window rows make facades a regular pattern of bright lines.
        shade = coast.buildings.shade[wall_rows]
        level = np.repeat((0.08 + 0.45 * shade**2).astype(np.float32), count)
        pattern = np.where(step % 3 == 0, np.float32(2.2), np.float32(0.5))
        places.append(_moved(first, step.astype(np.float32), columns))
        weights.append(level * pattern)
        places.append(_moved(walls, np.ones(walls.size, dtype=np.float32), columns))
        weights.append(_dihedral(coast)[wall_rows])
    # The wall of a quay rises two or three metres out of the water: too little to lie over, enough for two bounces.
    cover = coast.cover[:, ::toward]
    edge = np.zeros(cover.shape, dtype=bool)
    edge[:, 1:] = (cover[:, 1:] == Cover.QUAY) & (cover[:, :-1] == Cover.SEA) & lit[:, 1:]
    ground[edge] += np.float32(10**-0.3)
    place = np.concatenate(places)
    weight = np.concatenate(weights)
    kept = place >= 0
    laid = np.bincount(place[kept], weights=weight[kept], minlength=rows * columns)
    ground += laid.astype(np.float32).reshape(rows, columns)
    # Woods go on beyond the scene: what leaves the far edge is replaced by what would have come in.
    tail = slice(max(0, columns - int(TREE_HEIGHT_M * shift) - 1), columns)
    missing = (cover[:, tail] == Cover.FOREST) & (ground[:, tail] == 0)
    ground[:, tail] += sigma[:, tail] * missing
    return ground


def _moved(index: NDArray[np.int64], shift_px: Float32, columns: int) -> NDArray[np.int64]:
    """Flat indices moved towards column 0; -1 where they leave the scene."""
    whole = (shift_px + np.float32(0.5)).astype(np.int64)
    return np.where(index % columns >= whole, index - whole, -1)


def _dihedral(coast: Coast) -> Float32:
    """Double bounce of each building's wall: strong only where the wall runs along the flight path."""
    table = coast.buildings
    base = np.array([_ROOF_DIHEDRAL_DB[Roof(kind)] for kind in range(len(Roof))])[table.roof]
    # The flight path runs along the rows' axis; walls repeat every quarter turn.
    askew = np.abs((np.degrees(table.angle_rad) + 45.0) % 90.0 - 45.0)
    askew[table.roof == Roof.TANK] = 0.0
    loss = 14.0 * (1.0 - np.exp(-((askew / 12.0) ** 2)))
    return np.asarray(10 ** ((base + 4.0 * (table.shade - 0.5) - loss) / 10), dtype=np.float32)
