"""The place itself: land and water, cover, buildings, ships. Rendering it is for ``optical`` and ``sar``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from osm.simulate.drawing import Buildings, Ledger, blank, fill
from osm.simulate.noise import Float32, fractal_noise, ramp
from osm.simulate.port import build_on_quays, draw_quays, find_shore, plan_port
from osm.simulate.ships import Ship, place_ships
from osm.simulate.town import build_houses, draw_parcels, draw_roads, plan_districts

TREE_HEIGHT_M = 9.0


class Cover(IntEnum):
    """What covers a pixel; values index the tables of the renderings."""

    SEA = 0
    BEACH = 1
    GRASS = 2
    FOREST = 3
    FIELD = 4
    BARE = 5
    ROAD = 6
    QUAY = 7
    BUILDING = 8


@dataclass(frozen=True, eq=False)
class Coast:
    """One place, of ``(H, W)`` pixels.

    Attributes:
        cover: uint8, members of :class:`Cover`; ships lie on SEA.
        shore_px: float32, about the distance to the natural shoreline; positive on land.
        building: int32, rows of ``buildings``; 0 where there is none.
        buildings: The table of heights, directions and roofs.
        parcel: uint8, one value for each field parcel.
        texture: float32, zero mean, unit variance: unevenness of the ground that both sensors see.
        relief_m: float32, smooth height of the ground, without buildings.
        ships: All ships.
        pixel_m: Size of a pixel.
    """

    cover: NDArray[np.uint8]
    shore_px: Float32
    building: NDArray[np.int32]
    buildings: Buildings
    parcel: NDArray[np.uint8]
    texture: Float32
    relief_m: Float32
    ships: tuple[Ship, ...]
    pixel_m: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.cover.shape
        return height, width

    def height_m(self) -> Float32:
        """Height above the ground of buildings and of the forest's canopy, float32 ``(H, W)``."""
        height = self.buildings.height_m[self.building]
        height[self.cover == Cover.FOREST] = TREE_HEIGHT_M
        return height


def draw_coast(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    pixel_m: float,
    land_fraction: float,
    ship_count: int,
    port_count: int,
) -> Coast:
    """Draw a port coast.

    Args:
        rng: Source of randomness; the same state draws the same coast.
        shape: ``(height, width)``.
        pixel_m: Size of a pixel; houses, streets and cranes follow it.
        land_fraction: Natural land's share of the scene, before quays are built.
        ship_count: Ships wanted; fewer are placed where the water is full.
        port_count: Harbours wanted; fewer where there is no shoreline.
    """
    extent = min(shape)
    shore_px = _shore(rng, shape, land_fraction)
    natural = shore_px > 0
    ports = [plan_port(rng, where, extent) for where in find_shore(rng, natural, port_count)]
    quay_image = blank(shape)
    berths = draw_quays(rng, ports, quay_image)
    quay = np.asarray(quay_image) > 0
    sea = ~(natural | quay)

    districts = plan_districts(rng, natural, pixel_m)
    road_image = blank(shape)
    draw_roads(rng, districts, road_image, shape, pixel_m)
    # Roads stop short of the water.
    road = (np.asarray(road_image) > 0) & (shore_px > 4)

    cover = _cover(rng, shape, shore_px, quay, road)
    town = blank(shape)
    fill(town, [district.outline() for district in districts], [255] * len(districts))
    in_town = (np.asarray(town) > 0) & natural
    cover[in_town & ((cover == Cover.FOREST) | (cover == Cover.FIELD))] = Cover.GRASS

    ledger = Ledger()
    build_houses(rng, districts, ledger, natural & ~quay & ~road & (shore_px > 5))
    build_on_quays(rng, ports, ledger, pixel_m)
    building, buildings = ledger.finish(~sea)
    cover[building > 0] = Cover.BUILDING

    return Coast(
        cover=cover,
        shore_px=shore_px,
        building=building,
        buildings=buildings,
        parcel=draw_parcels(rng, shape),
        texture=fractal_noise(rng, shape, 40.0, 2.5, gain=0.75),
        relief_m=fractal_noise(rng, shape, 0.5 * extent, 24.0) * np.float32(0.03 * min(extent, 1000) * pixel_m),
        ships=place_ships(rng, sea, berths, ship_count),
        pixel_m=pixel_m,
    )


def _shore(rng: np.random.Generator, shape: tuple[int, int], land_fraction: float) -> Float32:
    """A field that is positive on land, in about pixels from the shoreline."""
    extent = min(shape)
    angle = rng.uniform(0, 2 * np.pi)
    along, across = ramp(shape, angle), ramp(shape, angle + np.pi / 2)
    kind = int(rng.choice(5, p=[0.35, 0.2, 0.2, 0.15, 0.1]))
    centre = np.float32(rng.uniform(-0.25, 0.25))
    bend = np.float32(rng.uniform(0.6, 1.6))
    if kind == 0:  # a straight coast
        base = along
    elif kind == 1:  # a bay
        base = along + bend * (across - centre) ** 2
    elif kind == 2:  # a headland
        base = along - bend * (across - centre) ** 2
    elif kind == 3:  # a channel
        base = np.abs(along - centre)
    else:  # an island
        base = -np.hypot(along - centre, across * bend)
    rough = np.float32(rng.uniform(0.05, 0.16))
    field = base + rough * fractal_noise(rng, shape, 0.45 * extent, 4.0, gain=0.5)
    step = max(1, extent // 128)
    level = np.quantile(field[::step, ::step], 1.0 - land_fraction)
    return np.asarray((field - np.float32(level)) * np.float32(extent), dtype=np.float32)


def _cover(
    rng: np.random.Generator,
    shape: tuple[int, int],
    shore_px: Float32,
    quay: NDArray[np.bool_],
    road: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """What grows or lies on the ground, without buildings."""
    extent = min(shape)
    patches = fractal_noise(rng, shape, 0.3 * extent, 5.0, gain=0.6)
    woods, open_ground = rng.uniform(0.1, 1.4), rng.uniform(-1.4, 0.0)
    cover = np.full(shape, Cover.GRASS, dtype=np.uint8)
    cover[patches > woods] = Cover.FOREST
    cover[patches < open_ground] = Cover.FIELD
    cover[np.abs(patches - open_ground) < 0.04] = Cover.BARE
    beach = rng.uniform(2.0, 10.0)
    cover[shore_px < beach] = Cover.BEACH
    cover[shore_px <= 0] = Cover.SEA
    cover[road] = Cover.ROAD
    cover[quay] = Cover.QUAY
    return cover
