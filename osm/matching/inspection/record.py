"""All numbers of an inspection as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from osm.matching.inspection.arms import Arm
from osm.matching.inspection.embeddings import Embedded
from osm.matching.inspection.filters import COLOUR_ONLY, DEAD, Filters
from osm.matching.inspection.inspection import Inspection
from osm.matching.inspection.maps import StageActivation
from osm.matching.inspection.tiles import Tile
from osm.matching.results import SIMULATION_NAME

FORMAT = 1


def to_json(found: Inspection) -> dict[str, Any]:
    """The content of ``inspect.json``."""
    wanted = found.wanted
    return {
        "format": FORMAT,
        "architecture": wanted.architecture,
        "arms": [_arm(arm) for arm in found.arms],
        "images": {
            "given": found.images_given,
            "left_out_as_constant": [str(path) for path in found.constant],
            "simulated": images_simulated(found),
            "tile_px": wanted.tile_px,
            "radiometry": wanted.radiometry,
            "tiles": [_tile(tile) for tile in found.tiles],
        },
        "cka": {
            "kind": "linear, in feature space, centred, float64",
            "cells": found.cells,
            "channels": found.channels,
            "seed": wanted.seed,
            "between_arms": [asdict(one) for one in found.between_arms],
            "between_stages": [asdict(one) for one in found.between_stages],
        },
        "first_layer": {
            "dead_below_part_of_median": DEAD,
            "colour_only_below": COLOUR_ONLY,
            "arms": {letter: _filters(filters) for letter, filters in found.filters.items()},
        },
        "activations": {
            "tile": _tile(found.shown),
            "arms": {letter: [_stage(stage) for stage in stages] for letter, stages in found.activations.items()},
        },
        "embeddings": [_embedded(one) for one in found.embedded],
        "pairs": str(wanted.pairs) if wanted.pairs is not None else None,
        "pairs_simulated": pairs_simulated(found),
    }


def images_simulated(found: Inspection) -> bool:
    """Whether any image lies in a folder of ``osm simulate``, as its record says."""
    return any(_in_simulation(tile.path) for tile in found.tiles)


def pairs_simulated(found: Inspection) -> bool | None:
    """Whether the pairs do; None without pairs."""
    return None if found.wanted.pairs is None else _in_simulation(found.wanted.pairs / "pairs")


def _in_simulation(path: Path) -> bool:
    # simulate writes the record at the root, images lie at most two folders below
    return any((folder / SIMULATION_NAME).is_file() for folder in list(path.absolute().parents)[:3])


def _arm(arm: Arm) -> dict[str, Any]:
    card = arm.card
    return {
        "letter": arm.letter,
        "label": arm.label,
        "kind": arm.kind,
        "path": str(arm.path) if arm.path is not None else None,
        "sha256": arm.sha256,
        "coverage": arm.coverage,
        "seed": arm.seed,
        "added": arm.added,
        "card": None if card is None else {"start": card.start, "data": card.data, "metrics": card.metrics},
    }


def _tile(tile: Tile) -> dict[str, Any]:
    height_px, width_px = tile.pixels.shape
    return {
        "path": str(tile.path), "sha256": tile.sha256, "width_px": width_px, "height_px": height_px,
        "radiometry": tile.radiometry,
    }  # fmt: skip


def _filters(filters: Filters) -> dict[str, Any]:
    return {
        "filters": len(filters.weights),
        "dead": np.flatnonzero(filters.dead).tolist(),
        "colour_only": np.flatnonzero(filters.colour_only).tolist(),
        "norms": filters.norms.tolist(),
        "batch_norm_gain": None if filters.gain is None else filters.gain.tolist(),
        "grey_share": filters.grey_share.tolist(),
    }


def _stage(stage: StageActivation) -> dict[str, Any]:
    return {
        "stage": stage.stage,
        "largest_mean_abs": float(stage.mean_abs.max()),
        "strongest_channels": list(stage.channels),
        "standard_deviations": list(stage.deviations),
    }


def _embedded(one: Embedded) -> dict[str, Any]:
    scenes = one.chosen.scenes
    return {
        "network": str(one.path),
        "sha256": one.sha256,
        "network_trained_on_simulated_pairs": bool(one.card.data.get("simulated")),
        "pairs": list(one.names),
        "scenes": None if scenes is None else list(scenes),
        "chosen_from": one.chosen.of,
        "test_part_alone": one.chosen.test,
        "sar_to_optical": asdict(one.to_optical),
        "optical_to_sar": asdict(one.to_sar),
        "tsne": None
        if one.points is None
        else {
            "perplexity": one.perplexity,
            "seed": one.seed,
            "divergence": one.divergence,
            "sar": one.points[0].tolist(),
            "optical": one.points[1].tolist(),
        },
    }
