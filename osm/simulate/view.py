"""How a SAR looks at a coast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osm.simulate.coast import Cover


@dataclass(frozen=True)
class SarView:
    """How the sensor looks.

    Attributes:
        incidence_deg: Angle from the vertical.
        look_right: The sensor is at the left edge and looks to the right; otherwise the reverse.
        sea_db: Mean backscatter of the water (wind).
        land_db: Offset of all land backscatter (moisture, calibration).
        looks: Number of looks; 1 is single-look.
        swell_px, swell_rad, swell_depth: Wave length, direction and modulation of the swell.
        cover_db: Offset for each member of ``Cover``: seasons change classes against each other.
    """

    incidence_deg: float
    look_right: bool
    sea_db: float
    land_db: float
    looks: float
    swell_px: float
    swell_rad: float
    swell_depth: float
    cover_db: tuple[float, ...]


def draw_sar_view(rng: np.random.Generator, looks: float) -> SarView:
    """Draw a plausible acquisition."""
    return SarView(
        incidence_deg=float(rng.uniform(24, 48)),
        look_right=bool(rng.random() < 0.5),
        sea_db=float(rng.uniform(-24.0, -17.0)),
        land_db=float(rng.uniform(-1.5, 1.5)),
        looks=looks,
        swell_px=float(rng.uniform(18, 60)),
        swell_rad=float(rng.uniform(0, np.pi)),
        swell_depth=float(rng.uniform(0.03, 0.25)),
        cover_db=tuple(rng.uniform(-1.5, 1.5, len(Cover)).tolist()),
    )
