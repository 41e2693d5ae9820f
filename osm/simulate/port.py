"""The harbour: quays and piers at the shore, what stands on them, and where ships can lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osm.simulate.drawing import Frame, Ledger, Roof, fill, stroke
from osm.simulate.ships import Berth


@dataclass(frozen=True)
class Port:
    """One harbour in its own frame: a along the shore, b towards the water; all in pixels.

    Attributes:
        frame: Origin on the shoreline.
        length_px: Along the shore.
        inland_px, outland_px: How far the quay reaches behind and in front of the shoreline.
        piers: Tuples of (position along the shore, width, length).
        breakwater: Whether a mole shelters it.
    """

    frame: Frame
    length_px: float
    inland_px: float
    outland_px: float
    piers: tuple[tuple[float, float, float], ...]
    breakwater: bool


def find_shore(rng: np.random.Generator, land: NDArray[np.bool_], count: int) -> list[tuple[float, float, float]]:
    """Pick up to ``count`` points of the shoreline, apart from each other: x, y, direction towards the water."""
    step = max(1, min(land.shape) // 96)
    coarse = land[::step, ::step].astype(np.float32)
    rows, columns = coarse.shape
    reach = max(2, min(rows, columns) // 14)
    padded = np.pad(coarse, reach, mode="edge")
    summed = np.pad(padded, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    side = 2 * reach + 1
    mean = (summed[side:, side:] - summed[:-side, side:] - summed[side:, :-side] + summed[:-side, :-side]) / side**2
    shore = np.abs(mean - 0.5) < 0.12
    edge_r, edge_c = max(1, rows // 8), max(1, columns // 8)
    shore[:edge_r], shore[-edge_r:], shore[:, :edge_c], shore[:, -edge_c:] = False, False, False, False
    slope_y, slope_x = np.gradient(mean)
    found: list[tuple[float, float, float]] = []
    candidates = rng.permutation(np.flatnonzero(shore))
    for index in candidates:
        if len(found) >= count:
            break
        row, column = divmod(int(index), columns)
        x, y = (column + 0.5) * step, (row + 0.5) * step
        if all(np.hypot(x - other[0], y - other[1]) > 0.3 * min(land.shape) for other in found):
            found.append((x, y, float(np.arctan2(-slope_y[row, column], -slope_x[row, column]))))
    return found


def plan_port(rng: np.random.Generator, where: tuple[float, float, float], extent_px: float) -> Port:
    """Draw up a harbour at a shore point; ``extent_px`` is the shorter side of the scene."""
    x, y, seaward = where
    length = float(np.clip(rng.uniform(0.35, 0.75) * extent_px, 50, 900))
    inland = float(np.clip(rng.uniform(0.25, 0.5) * length, 24, 260))
    outland = rng.uniform(0.04, 0.12) * length
    piers = []
    a = -length / 2 + rng.uniform(0.0, 0.25) * length
    while rng.random() < 0.8:
        width = float(np.clip(rng.uniform(0.05, 0.11) * length, 7, 46))
        if a + width > length / 2:
            break
        piers.append((a, width, float(np.clip(rng.uniform(0.25, 0.6) * length, 30, 380))))
        a += width + float(np.clip(rng.uniform(0.2, 0.45) * length, 34, 260))
    # The b axis of the frame, a quarter turn after a, points to the water.
    frame = Frame(x, y, seaward - np.pi / 2)
    return Port(frame, length, inland, outland, tuple(piers), bool(rng.random() < 0.3))


def draw_quays(rng: np.random.Generator, ports: list[Port], quay: Image.Image) -> list[Berth]:
    """Fill quays, piers and moles into ``quay`` (value 255) and return the edges that ships can lie along."""
    berths: list[Berth] = []
    for port in ports:
        half, front = port.length_px / 2, port.outland_px
        polygons = [port.frame.rectangle(-half, -port.inland_px, half, front)]
        polygons += [port.frame.rectangle(a, front - 2, a + width, front + reach) for a, width, reach in port.piers]
        fill(quay, polygons, [255] * len(polygons))
        if port.breakwater:
            side = 1.0 if rng.random() < 0.5 else -1.0
            reach = rng.uniform(0.5, 0.8) * port.length_px
            mole = [(side * half, front), (side * half * 1.15, front + reach), (side * half * 0.4, front + reach * 1.2)]
            stroke(quay, port.frame.points(mole), np.clip(0.03 * port.length_px, 4, 12), 255)
        edges = [a for pier in port.piers for a in (pier[0], pier[0] + pier[1])]
        stops = [-half, *edges, half]
        for a1, a2 in zip(stops[::2], stops[1::2], strict=True):
            berths.append(_berth(port.frame, (a1, front), (a2, front), (0.0, 1.0)))
        for a, width, reach in port.piers:
            berths.append(_berth(port.frame, (a, front), (a, front + reach), (-1.0, 0.0)))
            berths.append(_berth(port.frame, (a + width, front), (a + width, front + reach), (1.0, 0.0)))
    return berths


def _berth(frame: Frame, start: tuple[float, float], end: tuple[float, float], seaward: tuple[float, float]) -> Berth:
    points = frame.points([start, end])
    direction = Frame(0.0, 0.0, frame.angle_rad).points([seaward])[0]
    return Berth(
        (float(points[0, 0]), float(points[0, 1])),
        (float(points[1, 0]), float(points[1, 1])),
        (float(direction[0]), float(direction[1])),
    )


def build_on_quays(rng: np.random.Generator, ports: list[Port], ledger: Ledger, pixel_m: float) -> None:
    """Put sheds, container stacks, tanks and cranes on the quays."""
    for port in ports:
        _yards(rng, port, ledger)
        for a, width, reach in port.piers:
            if width > 14 and rng.random() < 0.6:
                shed = port.frame.rectangle(
                    a + 0.3 * width, port.outland_px, a + 0.7 * width, port.outland_px + 0.7 * reach
                )
                ledger.add(shed, rng.uniform(5, 10), port.frame.angle_rad, Roof.SHED, rng.random())
        spacing = float(np.clip(rng.uniform(60, 120) / pixel_m, 24, 120))
        for a in np.arange(-port.length_px / 2 + 8, port.length_px / 2 - 8, spacing).tolist():
            if rng.random() < 0.55:
                wide, boom = max(2.0, 5.0 / pixel_m), max(8.0, 26.0 / pixel_m)
                crane = port.frame.rectangle(a, port.outland_px - boom, a + wide, port.outland_px - 1)
                ledger.add(crane, rng.uniform(18, 32), port.frame.angle_rad, Roof.CRANE, rng.random())


def _yards(rng: np.random.Generator, port: Port, ledger: Ledger) -> None:
    """Fill the quay with a grid of plots, each with one kind of building."""
    depth = port.inland_px + port.outland_px - 12
    columns = max(1, int(port.length_px / rng.uniform(34, 70)))
    rows = max(1, int(depth / rng.uniform(20, 38)))
    pitch_a, pitch_b = port.length_px / columns, depth / rows
    angle = port.frame.angle_rad
    for column in range(columns):
        kind = rng.choice([Roof.SHED, Roof.CONTAINERS, Roof.TANK, Roof.FLAT], p=[0.4, 0.3, 0.15, 0.15])
        for row in range(rows):
            if rng.random() < 0.2:
                continue
            a = -port.length_px / 2 + (column + 0.5) * pitch_a
            b = -port.inland_px + (row + 0.5) * pitch_b
            half_a, half_b = pitch_a * rng.uniform(0.3, 0.42), pitch_b * rng.uniform(0.25, 0.38)
            if kind == Roof.TANK:
                turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
                radius = min(half_a, half_b)
                circle = np.stack([a + radius * np.cos(turn), b + radius * np.sin(turn)], axis=-1)
                ledger.add(port.frame.points(circle), rng.uniform(8, 15), angle, Roof.TANK, rng.random())
            elif kind == Roof.CONTAINERS:
                count = max(1, int(2 * half_b / 6))
                for lane in range(count):
                    b1 = b - half_b + lane * 2 * half_b / count
                    b2 = b1 + max(2.0, 1.4 * half_b / count)
                    stack = port.frame.rectangle(a - half_a, b1, a + half_a * rng.uniform(0.2, 1.0), b2)
                    ledger.add(stack, 2.6 * rng.integers(1, 5), angle, Roof.CONTAINERS, rng.random())
            else:
                block = port.frame.rectangle(a - half_a, b - half_b, a + half_a, b + half_b)
                ledger.add(block, rng.uniform(6, 14), angle, kind, rng.random())
