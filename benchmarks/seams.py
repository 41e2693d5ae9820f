"""How many seam lines screening finds, and how many patches without one it drops.

    python benchmarks/seams.py PAIRS [--patches 368] [--seed 1]

``PAIRS`` is a folder of co-registered scenes ``<name>_sar.tif`` and ``<name>_opt.tif``. Patches of 256 × 256 are cut at
random places. Across each, at a random angle and not far from the middle, a step is laid over the optical patch: the
same in all bands, or drawn for each band between 0.7 and 1.3 times its height, as where two scenes of a mosaic differ
in hue. The threshold is the default of ``--seam``.

The last line is one JSON object: ``dropped`` (share of the patches as they are), ``grey_N`` and ``hue_N`` (share of the
steps of N grey levels that are found), and ``ms`` for each patch by CPU time.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.images import read_image, to_gray
from osm.data.screening.scores import ScreenRule
from osm.data.screening.seam import seam_score

SIDE_PX = 256
STEPS = (8, 16, 24, 32, 48)
Bytes = npt.NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, help="folder of <name>_sar.tif and <name>_opt.tif, 8-bit")
    parser.add_argument("--patches", type=int, default=368)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    patches = cut(options.pairs, options.patches, rng)
    threshold = ScreenRule().seam
    begun = time.process_time()
    figures: dict[str, Any] = {"dropped": share(patches, threshold)}
    figures["ms"] = round(1000 * (time.process_time() - begun) / len(patches), 1)
    print(f"{len(patches)} patches, {figures['dropped']:.1%} dropped as they are, {figures['ms']} ms each")
    print(f"{'grey levels':<14}{'grey':>8}{'hue':>8}")
    for step in STEPS:
        for name, spread in (("grey", 0.0), ("hue", 0.3)):
            laid = [(sar, with_step(optical, step, spread, rng)) for sar, optical in patches]
            figures[f"{name}_{step}"] = share(laid, threshold)
        print(f"{step:<14}{figures[f'grey_{step}']:>8.1%}{figures[f'hue_{step}']:>8.1%}", flush=True)
    print(json.dumps(figures))


def cut(folder: Path, count: int, rng: np.random.Generator) -> list[tuple[Bytes, Bytes]]:
    """Patches of all scenes in turn."""
    names = sorted(path.name.removesuffix("_sar.tif") for path in folder.glob("*_sar.tif"))
    if not names:
        raise SystemExit(f"{folder}: holds no <name>_sar.tif")
    patches = []
    for number, name in enumerate(names):
        sar, optical = to_gray(read_image(folder / f"{name}_sar.tif")), read_image(folder / f"{name}_opt.tif")
        for _ in range(number, count, len(names)):
            top, left = (int(rng.integers(0, length - SIDE_PX + 1)) for length in sar.shape)
            place = (slice(top, top + SIDE_PX), slice(left, left + SIDE_PX))
            patches.append((sar[place], optical[place]))
    return patches


def with_step(optical: Bytes, levels: float, spread: float, rng: np.random.Generator) -> Bytes:
    """A patch with a step along a line."""
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.25, 0.25) * SIDE_PX
    rows, columns = np.indices(optical.shape[:2]) - SIDE_PX / 2
    beyond = columns * np.cos(angle) + rows * np.sin(angle) > offset
    step = levels * rng.uniform(1 - spread, 1 + spread, 3)
    return np.clip(np.rint(optical + beyond[..., None] * step), 0, 255).astype(np.uint8)


def share(patches: list[tuple[Bytes, Bytes]], threshold: float) -> float:
    """Part of the patches that screening would drop."""
    return round(float(np.mean([seam_score(sar, optical) > threshold for sar, optical in patches])), 4)


if __name__ == "__main__":
    main()
