"""The land behind the harbour: districts of streets and houses, roads between them, fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osm.simulate.drawing import Frame, Ledger, Polygon, Roof, bezier, fill, sample, stroke


@dataclass(frozen=True)
class District:
    """A part of town with one street grid.

    Attributes:
        frame: Centre and direction of the streets.
        radius_px: Roughly how far it reaches.
        pitch_px: Distance between neighbouring houses.
        block: Houses between two streets, along and across.
        height_m: Typical height of its houses.
        roof: The kind of most of its houses.
        density: Fraction of plots with a house.
        lobes: Phases of the three waves that make its outline irregular.
    """

    frame: Frame
    radius_px: float
    pitch_px: float
    block: tuple[int, int]
    height_m: float
    roof: Roof
    density: float
    lobes: tuple[float, float, float]

    def remoteness(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance of points ``(N, 2)`` from the centre, in radii; 1 is the (wavy) outline."""
        x, y = (points - (self.frame.x_px, self.frame.y_px)).T
        turn = np.arctan2(y, x)
        waves = sum(0.13 * np.sin((k + 2) * turn + phase) for k, phase in enumerate(self.lobes))
        return np.asarray(np.hypot(x, y) / (self.radius_px * (0.75 + waves)))

    def outline(self) -> Polygon:
        """The outline as a polygon, ``(48, 2)``."""
        turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        circle = np.stack([np.cos(turn), np.sin(turn)], axis=-1) * self.radius_px
        centre = np.array((self.frame.x_px, self.frame.y_px))
        return np.asarray(centre + circle / self.remoteness(centre + circle)[:, None])


def plan_districts(rng: np.random.Generator, land: NDArray[np.bool_], pixel_m: float) -> list[District]:
    """Draw up districts on land; their number grows with the scene."""
    extent = min(land.shape)
    count = int(rng.integers(1, 3)) if extent < 600 else int(rng.integers(3, 7))
    districts: list[District] = []
    for _ in range(count):
        spots = np.stack([rng.uniform(0, land.shape[1], 16), rng.uniform(0, land.shape[0], 16)], axis=-1)
        on_land = spots[sample(land, spots)]
        if len(on_land) == 0:
            continue
        x, y = on_land[0]
        roof = (Roof.TILED, Roof.FLAT, Roof.SHED)[int(rng.choice(3, p=[0.5, 0.35, 0.15]))]
        metres = {Roof.TILED: (13, 22), Roof.FLAT: (24, 45), Roof.SHED: (40, 70)}[roof]
        height = {Roof.TILED: (5, 9), Roof.FLAT: (10, 26), Roof.SHED: (7, 12)}[roof]
        districts.append(
            District(
                frame=Frame(float(x), float(y), float(rng.uniform(0, np.pi / 2))),
                radius_px=float(min(rng.uniform(0.2, 0.42) * extent, 520.0)),
                pitch_px=max(11.0, rng.uniform(*metres) / pixel_m),
                block=(int(rng.integers(3, 8)), int(rng.integers(2, 4))),
                height_m=float(rng.uniform(*height)),
                roof=roof,
                density=float(rng.uniform(0.6, 0.97)),
                lobes=(float(rng.uniform(0, 6.28)), float(rng.uniform(0, 6.28)), float(rng.uniform(0, 6.28))),
            )
        )
    return districts


def draw_roads(
    rng: np.random.Generator, districts: list[District], roads: Image.Image, shape: tuple[int, int], pixel_m: float
) -> None:
    """Draw streets of the districts (inside their circles) and a few main roads through the scene."""
    for district in districts:
        street = max(3.0, 7.0 / pixel_m)
        for axis, houses in enumerate(district.block):
            gap = houses * district.pitch_px
            lines = np.arange(-np.floor(district.radius_px / gap), district.radius_px / gap) * gap
            for offset in lines:
                along = np.arange(-district.radius_px, district.radius_px, 8.0)
                local = np.stack([along, np.full(along.size, offset)], axis=-1)
                path = district.frame.points(local if axis == 1 else local[:, ::-1])
                own = _owns(district, districts, path)
                # Streets end with their district: each unbroken run of points is one stroke.
                for run in np.split(np.arange(along.size), np.flatnonzero(np.diff(own)) + 1):
                    if own[run[0]] and run.size > 1:
                        stroke(roads, path[run[[0, -1]]], street, 255)
    size = np.array([shape[1], shape[0]], dtype=np.float64)
    for _ in range(int(rng.integers(1, 3 if min(shape) < 600 else 6))):
        turn = rng.uniform(0, 2 * np.pi)
        across = np.array([np.cos(turn), np.sin(turn)]) * 0.75 * np.hypot(*size)
        middle = size * rng.uniform(0.2, 0.8, 2)
        bend = middle + rng.uniform(-0.25, 0.25, 2) * size
        stroke(roads, bezier(np.stack([middle - across, bend, middle + across])), max(3.0, 14.0 / pixel_m), 255)
    if min(shape) >= 900 and rng.random() < 0.35:
        x, y = size * rng.uniform(0.2, 0.8, 2)
        runway = Frame(float(x), float(y), float(rng.uniform(0, np.pi)))
        stroke(roads, runway.points([(-450.0, 0.0), (450.0, 0.0)]), max(9.0, 45.0 / pixel_m), 255)


def _owns(district: District, districts: list[District], points: Polygon) -> NDArray[np.bool_]:
    """Which points ``(N, 2)`` lie in a district; where two meet, each has the ground that is nearer to it."""
    own = district.remoteness(points)
    nearest = np.min([other.remoteness(points) for other in districts], axis=0)
    return np.asarray((own <= nearest) & (own < 1.0))


def build_houses(
    rng: np.random.Generator, districts: list[District], ledger: Ledger, buildable: NDArray[np.bool_]
) -> None:
    """Put houses on the districts' plots, where centre and corners are buildable."""
    for district in districts:
        plots = int(np.ceil(district.radius_px / district.pitch_px))
        a, b = np.meshgrid(np.arange(-plots, plots), np.arange(-plots, plots), indexing="ij")
        centres = (np.stack([a.ravel(), b.ravel()], axis=-1) + 0.5) * district.pitch_px
        placed = district.frame.points(centres)
        # Towns thin out towards their edge.
        chance = district.density * np.clip(4.0 * (1.0 - district.remoteness(placed)), 0.0, 1.0)
        centres = centres[_owns(district, districts, placed) & (rng.random(len(centres)) < chance)]
        count = len(centres)
        halves = district.pitch_px * rng.uniform(0.24, 0.42, (count, 2))
        signs = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
        corners = district.frame.points(centres[:, None, :] + halves[:, None, :] * signs)
        height = district.height_m * rng.uniform(0.6, 1.4, count)
        shade = rng.random(count)
        other = rng.random(count) < 0.12
        inside = (corners.min(axis=1) > 0).all(axis=1)
        inside &= (corners.max(axis=1) < buildable.shape[::-1]).all(axis=1)
        good = sample(buildable, corners).all(axis=1) & sample(buildable, district.frame.points(centres)) & inside
        for index in np.flatnonzero(good):
            roof = Roof.FLAT if other[index] else district.roof
            ledger.add(corners[index], height[index], district.frame.angle_rad, roof, shade[index])


def draw_parcels(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Tile the whole scene with field parcels; each has one random value in 1..255."""
    image = Image.new("L", (shape[1], shape[0]), 0)
    frame = Frame(shape[1] / 2, shape[0] / 2, float(rng.uniform(0, np.pi)))
    pitch = np.array([rng.uniform(26, 60), rng.uniform(60, 130)]) * (1.0 if min(shape) < 600 else 1.8)
    reach = 0.5 * float(np.hypot(*shape))
    count = np.ceil(reach / pitch).astype(int) + 1
    a = np.arange(-count[0], count[0] + 1) * pitch[0]
    b = np.arange(-count[1], count[1] + 1) * pitch[1]
    nodes = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1)
    nodes = frame.points(nodes + rng.uniform(-0.18, 0.18, nodes.shape) * pitch)
    quads = np.stack([nodes[:-1, :-1], nodes[1:, :-1], nodes[1:, 1:], nodes[:-1, 1:]], axis=2).reshape(-1, 4, 2)
    fill(image, quads, rng.integers(1, 256, len(quads)).tolist())
    return np.asarray(image)
