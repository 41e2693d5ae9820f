"""The embedded default: one procedurally drawn port coast, rendered as optical and as SAR, in the true layouts."""

from __future__ import annotations

from osm.simulate.layouts import Simulation, simulate_pairs, simulate_scenes

__all__ = ["Simulation", "simulate_pairs", "simulate_scenes"]
