"""Ships as geometry: where they lie, which pixels they cover, which box bounds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Ship:
    """One ship; positions are continuous pixel edges (the first pixel's centre is at 0.5, 0.5).

    Attributes:
        x_px, y_px: Centre of the hull.
        length_px, beam_px: Sides of the rectangle around the hull.
        heading_rad: Direction of the bow, from +x towards +y.
        moored: Alongside a quay or at anchor; otherwise under way, with a wake.
        paint: Seed of what only looks different: colours, deck, scatterers.
    """

    x_px: float
    y_px: float
    length_px: float
    beam_px: float
    heading_rad: float
    moored: bool
    paint: int

    def corners(self, margin_px: float = 0.0) -> NDArray[np.float64]:
        """The hull's rotated rectangle, grown by ``margin_px`` on every side, as ``(4, 2)`` x, y."""
        along, across = self.length_px / 2 + margin_px, self.beam_px / 2 + margin_px
        local = np.array([(along, across), (along, -across), (-along, -across), (-along, across)])
        cos, sin = np.cos(self.heading_rad), np.sin(self.heading_rad)
        return np.asarray(local @ np.array([(cos, sin), (-sin, cos)]) + np.array((self.x_px, self.y_px)))

    def extent(self) -> tuple[float, float, float, float]:
        """The axis-aligned box x1, y1, x2, y2 of the rotated rectangle, not clipped."""
        low, high = self.corners().min(axis=0), self.corners().max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def box(self, shape: tuple[int, int]) -> tuple[int, int, int, int]:
        """The whole-pixel box x1, y1, x2, y2 around the hull, clipped to a scene of ``shape`` (H, W)."""
        x1, y1, x2, y2 = self.extent()
        return (
            max(0, int(np.floor(x1))),
            max(0, int(np.floor(y1))),
            min(shape[1], int(np.ceil(x2))),
            min(shape[0], int(np.ceil(y2))),
        )

    def window(self, shape: tuple[int, int], margin_px: float) -> Window:
        """The scene's pixels within ``margin_px`` of the hull as x1, y1, x2, y2; empty windows have x2 <= x1."""
        x1, y1, x2, y2 = self.extent()
        return (
            max(0, int(np.floor(x1 - margin_px))),
            max(0, int(np.floor(y1 - margin_px))),
            min(shape[1], int(np.ceil(x2 + margin_px))),
            min(shape[0], int(np.ceil(y2 + margin_px))),
        )

    def local(self, window: Window) -> tuple[Float32, Float32]:
        """Ship coordinates of a window's pixel centres: along (bow positive) and across, both ``(h, w)``, in pixels."""
        x = np.arange(window[0], window[2], dtype=np.float32)[None, :] + np.float32(0.5 - self.x_px)
        y = np.arange(window[1], window[3], dtype=np.float32)[:, None] + np.float32(0.5 - self.y_px)
        cos, sin = np.float32(np.cos(self.heading_rad)), np.float32(np.sin(self.heading_rad))
        return x * cos + y * sin, y * cos - x * sin

    def hull(self, along: Float32, across: Float32) -> Float32:
        """How much of each pixel the hull covers, in [0, 1]: a rectangle with a tapered bow."""
        half = self.length_px / 2
        taper = np.clip((half - along) / np.float32(0.25 * self.length_px), 0.0, 1.0) ** np.float32(0.6)
        side = np.clip(self.beam_px / 2 * taper - np.abs(across) + 0.5, 0.0, 1.0)
        ends = np.clip(half - np.abs(along) + 0.5, 0.0, 1.0)
        return np.asarray(side * ends, dtype=np.float32)

    def wake(self, along: Float32, across: Float32) -> tuple[Float32, Float32]:
        """The turbulent track astern and the two arms at the Kelvin angle (19.5 degrees), each in [0, 1]."""
        astern = -along - self.length_px / 2
        reach = np.float32(4.0 * self.length_px)
        fade = np.clip(1.0 - astern / reach, 0.0, 1.0) * (astern > 0)
        width = self.beam_px * 0.4 + 0.03 * np.maximum(astern, 0.0)
        track = fade * np.exp(-((across / width) ** 2))
        from_bow = self.length_px / 2 - along
        off_arm = np.abs(across) - np.float32(np.tan(np.radians(19.5))) * from_bow
        arm_fade = np.clip(1.0 - from_bow / reach, 0.0, 1.0) * (from_bow > self.length_px * 0.3)
        arms = arm_fade * np.exp(-((off_arm / np.float32(1.2)) ** 2))
        return track.astype(np.float32), arms.astype(np.float32)


@dataclass(frozen=True)
class Berth:
    """A straight edge of a quay or pier that ships can lie along: from, to, and the direction of the water."""

    start: tuple[float, float]
    end: tuple[float, float]
    seaward: tuple[float, float]


LENGTH_RANGE_PX = (12.0, 90.0)


def draw_length(rng: np.random.Generator, longest_px: float) -> float:
    """A length in pixels, log-uniform between 12 and 90 or ``longest_px`` if that is less."""
    low, high = LENGTH_RANGE_PX
    high = max(low + 1.0, min(high, longest_px))
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def place_ships(
    rng: np.random.Generator,
    sea: NDArray[np.bool_],
    berths: Sequence[Berth],
    count: int,
    *,
    moored_share: float = 0.5,
) -> tuple[Ship, ...]:
    """Place up to ``count`` ships on free water, moored ones first.

    Args:
        rng: Source of randomness.
        sea: ``(H, W)`` true where there is water; not changed.
        berths: Edges for the moored ships.
        count: How many; fewer are placed where the water is full.
        moored_share: The fraction of ships that is offered a berth.

    Returns:
        Ships whose rectangles lie on water, do not overlap and have at least 60 % of their box in the scene.
    """
    free = sea.copy()
    ships: list[Ship] = []
    wanted_moored = int(rng.binomial(count, moored_share)) if berths else 0
    longest = 0.33 * min(sea.shape)
    for _ in range(12 * wanted_moored):
        if len(ships) >= wanted_moored:
            break
        ship = _at_berth(rng, berths[int(rng.integers(len(berths)))], longest)
        if ship is not None and _fits(ship, free, margin_px=0.5):
            ships.append(ship)
            _occupy(ship, free, margin_px=1.5)
    water = np.flatnonzero(sea[::4, ::4])
    columns = sea[::4, ::4].shape[1]
    attempts = 40 * count
    for attempt in range(attempts):
        if len(ships) >= count or water.size == 0:
            break
        # Long ships with much water around them are tried first, and ever smaller ones after.
        ease = 1.0 - attempt / attempts
        row, column = divmod(int(water[int(rng.integers(water.size))]), columns)
        ship = _ship(rng, (4.0 * column + 2.0, 4.0 * row + 2.0), draw_length(rng, longest * ease), None, moored=False)
        if _fits(ship, free, margin_px=2.0 + 10.0 * ease):
            ships.append(ship)
            _occupy(ship, free, margin_px=4.0)
    return tuple(ships)


def _ship(
    rng: np.random.Generator, centre: tuple[float, float], length_px: float, heading: float | None, *, moored: bool
) -> Ship:
    beam = max(4.0, length_px * rng.uniform(0.14, 0.24))
    if heading is None:
        heading = float(rng.uniform(-np.pi, np.pi))
        moored = bool(rng.random() < 0.35)  # at anchor: no wake
    return Ship(centre[0], centre[1], length_px, float(beam), heading, moored, int(rng.integers(2**31)))


def _at_berth(rng: np.random.Generator, berth: Berth, longest_px: float) -> Ship | None:
    start, end, seaward = (np.array(point) for point in (berth.start, berth.end, berth.seaward))
    room = float(np.hypot(*(end - start)))
    if room < LENGTH_RANGE_PX[0] * 1.2:
        return None
    length = draw_length(rng, min(longest_px, room * 0.9))
    direction = (end - start) / room
    heading = float(np.arctan2(direction[1], direction[0]) + (np.pi if rng.random() < 0.5 else 0.0))
    ship = _ship(rng, (0.0, 0.0), length, heading, moored=True)
    where = rng.uniform(length / 2, room - length / 2)
    # A gap of two pixels between hull and wall: fenders, and room for the rasterised edge of the quay.
    centre = start + direction * where + seaward * (ship.beam_px / 2 + 2.0)
    return Ship(float(centre[0]), float(centre[1]), length, ship.beam_px, heading, True, ship.paint)


def _fits(ship: Ship, free: NDArray[np.bool_], margin_px: float) -> bool:
    """Whether the grown rectangle is on free pixels and most of the ship's box is in the scene."""
    x1, y1, x2, y2 = ship.extent()
    inside_x = min(x2, free.shape[1]) - max(x1, 0.0)
    inside_y = min(y2, free.shape[0]) - max(y1, 0.0)
    if inside_x <= 0 or inside_y <= 0 or inside_x * inside_y < 0.6 * (x2 - x1) * (y2 - y1):
        return False
    window = ship.window((free.shape[0], free.shape[1]), margin_px + 1)
    covered = _covered(ship, window, margin_px)
    return bool(free[window[1] : window[3], window[0] : window[2]][covered].all())


def _occupy(ship: Ship, free: NDArray[np.bool_], margin_px: float) -> None:
    window = ship.window((free.shape[0], free.shape[1]), margin_px + 1)
    free[window[1] : window[3], window[0] : window[2]][_covered(ship, window, margin_px)] = False


def _covered(ship: Ship, window: Window, margin_px: float) -> NDArray[np.bool_]:
    along, across = ship.local(window)
    return np.asarray(
        (np.abs(along) <= ship.length_px / 2 + margin_px) & (np.abs(across) <= ship.beam_px / 2 + margin_px)
    )
