"""What the two branches are trained for. Each objective is a module in a registry: one line of a config."""

from osm.matching.objectives.base import OBJECTIVES, Encoded, EncodedPairs, Objective, build_objective
from osm.matching.objectives.bridge import BridgeLoss
from osm.matching.objectives.combine import Sum, Warmup
from osm.matching.objectives.contrast import InfoNCE, MomentumQueue
from osm.matching.objectives.dense import Dense
from osm.matching.objectives.redundancy import BarlowTwins, VICReg

__all__ = [
    "OBJECTIVES",
    "BarlowTwins",
    "BridgeLoss",
    "Dense",
    "Encoded",
    "EncodedPairs",
    "InfoNCE",
    "MomentumQueue",
    "Objective",
    "Sum",
    "VICReg",
    "Warmup",
    "build_objective",
]
