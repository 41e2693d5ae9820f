"""Point scatterers: what makes ships, cranes and tanks outshine everything around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osm.simulate.coast import Coast
from osm.simulate.drawing import Roof
from osm.simulate.ships import Ship
from osm.simulate.speckle import RESOLUTION_PX, add_scatterers
from osm.simulate.view import SarView


def add_ship(field: NDArray[np.complex64], ship: Ship, pixel_m: float, view: SarView) -> None:
    """Add a ship's scatterers: deck, superstructure, the wall of the hull, a few corners with long sidelobes."""
    rng = np.random.default_rng(ship.paint)
    sensor = -1.0 if view.look_right else 1.0
    cot = 1.0 / np.tan(np.radians(view.incidence_deg))
    half, beam = ship.length_px / 2, ship.beam_px / 2
    # Larger ships have larger corners; some ships are dull whatever their size.
    strength = 1.6 * np.exp(rng.uniform(-0.7, 0.3)) * np.clip(ship.length_px / 50.0, 0.5, 1.2)

    deck = max(12, int(0.35 * ship.length_px * ship.beam_px / RESOLUTION_PX**2))
    along = rng.uniform(-0.97, 0.97, deck) * half
    across = rng.uniform(-0.9, 0.9, deck) * beam * np.clip((half - along) / (0.5 * half), 0.15, 1.0) ** 0.6
    amplitude = strength * 0.8 * rng.gamma(0.9, 1.0, deck)
    rise = rng.uniform(0.0, 4.0, deck)

    # Superstructure near the stern; masts and cranes along the deck.
    block = max(5, deck // 4)
    stern = rng.uniform(-0.85, -0.55) * half
    along = np.append(along, stern + rng.normal(0, 0.07, block) * ship.length_px)
    across = np.append(across, rng.uniform(-0.8, 0.8, block) * beam)
    amplitude = np.append(amplitude, strength * 2.2 * rng.gamma(1.2, 1.0, block))
    rise = np.append(rise, rng.uniform(2.0, 12.0, block))

    # The wall of the hull that faces the sensor forms a dihedral with the water.
    wall = max(6, int(ship.length_px))
    facing = sensor * -np.sin(ship.heading_rad)  # x component of the hull's left normal, towards the sensor
    side = 1.0 if facing >= 0 else -1.0
    along = np.append(along, np.linspace(-0.95, 0.7, wall) * half)
    across = np.append(across, np.full(wall, side * beam))
    amplitude = np.append(amplitude, strength * (0.4 + 1.8 * facing**2) * rng.uniform(0.4, 1.2, wall))
    rise = np.append(rise, np.zeros(wall))

    # A hull of a few pixels has little height: heights follow its length.
    rise = rise * min(1.0, ship.length_px * pixel_m / 120.0)
    cos, sin = np.cos(ship.heading_rad), np.sin(ship.heading_rad)
    x = ship.x_px + along * cos - across * sin + sensor * np.minimum(rise * cot / pixel_m, 0.5 * ship.beam_px)
    y = ship.y_px + along * sin + across * cos
    phase = np.exp(2j * np.pi * rng.random(x.size))
    add_scatterers(field, x, y, (amplitude * phase).astype(np.complex64), reach_px=14.0)

    corners = rng.choice(deck + block, size=int(rng.integers(1, 4)), replace=False)
    bright = strength * np.exp(rng.uniform(1.0, 2.7, corners.size)) * phase[corners]
    add_scatterers(field, x[corners], y[corners], bright.astype(np.complex64), reach_px=56.0)


def add_land_scatterers(field: NDArray[np.complex64], coast: Coast, view: SarView, rng: np.random.Generator) -> None:
    """Corners on sheds, tanks and cranes whose crosses reach over the quay: natural false alarms."""
    table = coast.buildings
    kinds = (table.roof == Roof.CRANE) | (table.roof == Roof.TANK) | (table.roof == Roof.SHED)
    present = np.bincount(coast.building.ravel(), minlength=len(kinds))
    candidates = np.flatnonzero(kinds & (present > 0) & (np.arange(len(kinds)) > 0))
    chosen = candidates[rng.random(candidates.size) < np.where(table.roof[candidates] == Roof.CRANE, 0.8, 0.15)]
    if chosen.size == 0:
        return
    order = np.full(len(kinds), -1)
    order[chosen] = np.arange(chosen.size)
    owner = order[coast.building]
    rows, columns = np.nonzero(owner >= 0)
    slot = owner[rows, columns]
    count = np.bincount(slot, minlength=chosen.size)
    x = np.bincount(slot, weights=columns, minlength=chosen.size) / count
    y = np.bincount(slot, weights=rows, minlength=chosen.size) / count
    sensor = -1.0 if view.look_right else 1.0
    x += sensor * table.height_m[chosen] / np.tan(np.radians(view.incidence_deg)) / coast.pixel_m
    strength = np.exp(rng.uniform(np.log(1.5), np.log(14.0), chosen.size) + 2j * np.pi * rng.random(chosen.size))
    for index in range(chosen.size):
        one = slice(index, index + 1)
        add_scatterers(field, x[one], y[one], strength[one].astype(np.complex64), reach_px=40.0)
