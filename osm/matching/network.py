"""The bridge network: two unshared branches and a distance between their embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import Tensor

from osm.matching.branch import Branch
from osm.matching.distance import distance
from osm.matching.draws import derangement, generator
from osm.matching.objectives import EncodedPairs, Objective, build_objective
from osm.matching.preprocess import PairPreprocessor
from osm.transfer.architectures import ARCHITECTURES
from osm.transfer.certificate import Certificate
from osm.transfer.initialise import initialise
from osm.transfer.load import certify_random, load_backbone

#: In-batch: the optical patches of the batch, deranged; no pass more. Reference: for each pair a
#: partner drawn anew every epoch from all pairs, in a pass of its own.
NEGATIVES = ("in-batch", "reference")


def check_options(negatives: str, dimensions: int, threshold: float) -> None:
    """Check options of the network before it is built.

    Raises:
        ValueError: One of them is unknown or out of range.
    """
    if negatives not in NEGATIVES:
        raise ValueError(f"negatives is {negatives!r}; it must be one of {', '.join(NEGATIVES)}")
    if dimensions != int(dimensions) or dimensions < 1:
        raise ValueError(f"dimensions is {dimensions!r}; it must be a whole number of at least 1")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold!r}; distances lie between 0 and 1")


@dataclass(frozen=True)
class Verdict:
    """What the network says of one SAR and one optical patch.

    Attributes:
        distance: h in [0, 1].
        match: Whether h is at most the threshold.
    """

    distance: float
    match: bool


@MODELS.register_module()
class BridgeNetwork(BaseModel):
    """The bridge network (Xu et al., AAAI 2019; Huang et al., QXS-SAROPT §III-A).

    Args:
        architecture: Backbone of both branches, a name of ``osm.transfer.architectures``.
        loss: Registry config of the objective.
        negatives: One of ``NEGATIVES``.
        dimensions: Length d of the embeddings.
        threshold: A pair matches if its distance is at most this.
        seed: Seed of the random start and of the negatives.
        data_preprocessor: Registry config of what turns stored patches into input.
    """

    def __init__(
        self,
        architecture: str,
        loss: dict[str, Any] | None = None,
        negatives: str = "in-batch",
        dimensions: int = 20,
        threshold: float = 0.38,
        seed: int = 0,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        check_options(negatives, dimensions, threshold)
        known = ARCHITECTURES[architecture]
        super().__init__(data_preprocessor=data_preprocessor or PairPreprocessor(known.mean, known.std))
        self.architecture = architecture
        self.negatives = negatives
        self.threshold = threshold
        self.seed = seed
        self.step = 0
        self.sar = Branch(architecture, dimensions)
        self.optical = Branch(architecture, dimensions)
        self.objective: Objective = build_objective(loss or {"type": "BridgeLoss"})

    def start(self, init: Path | None = None, min_coverage: float = 1.0) -> tuple[Certificate, Certificate]:
        """Draw the random start, then fill both backbones from one file where there is one.

        The backbones share their draw, as they share a checkpoint; the heads do not.

        Args:
            init: Weights for both backbones.
            min_coverage: Least fraction of a backbone's tensors that the file must fill.

        Returns:
            The certificates of the SAR and of the optical backbone.

        Raises:
            WeightsError: The file does not fit.
        """
        certificates = []
        for offset, branch in enumerate((self.sar, self.optical)):
            initialise(branch.backbone, self.seed)
            initialise(branch.head, self.seed + 1 + offset)
            if init is None:
                certificates.append(certify_random(branch.backbone, architecture=self.architecture))
            else:
                certificates.append(
                    load_backbone(branch.backbone, init, architecture=self.architecture, min_coverage=min_coverage)
                )
        # after the draw: a draw fills memory in order, and must not depend on the layout
        self.to(memory_format=torch.channels_last)
        return certificates[0], certificates[1]

    def init_weights(self) -> None:
        """Nothing: ``start`` drew the weights, and mmengine's Runner must not draw them again."""

    def forward(
        self,
        sar: Tensor,
        optical: Tensor,
        nonmatch: Tensor | None = None,
        index: Tensor | None = None,
        mode: str = "tensor",
    ) -> Any:
        """Run both branches.

        Args:
            sar: Normalised patches (N, 3, H, W).
            optical: Normalised patches (N, 3, H, W) of the same places.
            nonmatch: Normalised optical patches of other places; given with reference sampling only.
            index: (N,) numbers of the pairs; unused.
            mode: "loss", "predict" or "tensor".

        Returns:
            "loss": ``loss`` and the mean distances of matches and non-matches. "predict": one verdict
            a pair. "tensor": the embeddings of both, (N, d) each.
        """
        encoded_sar, encoded_optical = self.sar(sar), self.optical(optical)
        if mode == "tensor":
            return encoded_sar.embedding, encoded_optical.embedding
        if mode == "predict":
            far = distance(encoded_sar.embedding, encoded_optical.embedding)
            return [Verdict(h, h <= self.threshold) for h in far.tolist()]
        if mode != "loss":
            raise ValueError(f"mode is {mode!r}; it must be loss, predict or tensor")
        if nonmatch is None:
            order = derangement(len(sar), generator(self.seed, self.step, get_rank()))
            encoded_nonmatch = encoded_optical.rows(order)
        else:
            # the SAR half of a negative pair would be the same pass again: its embedding is at hand
            encoded_nonmatch = self.optical(nonmatch)
        pairs = EncodedPairs(encoded_sar, encoded_optical, encoded_nonmatch)
        with torch.autocast(sar.device.type, enabled=False):
            loss = self.objective(pairs)
            with torch.no_grad():
                near = distance(pairs.sar.embedding, pairs.optical.embedding).mean()
                far = distance(pairs.sar.embedding, pairs.nonmatch.embedding).mean()
        return {"loss": loss, "distance_match": near, "distance_nonmatch": far}
