"""Matching figures of a trained network on pairs it did not see."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from mmengine.logging import print_log
from torch.utils.data import DataLoader, Subset

from osm.matching.dataset import PairDataset, collate_pairs
from osm.matching.distance import squared_diameter
from osm.matching.draws import derangement, generator
from osm.matching.metrics import Verdicts, auc, best_threshold, verdicts
from osm.matching.network import BridgeNetwork
from osm.matching.retrieval import Retrieval, ranks, retrieval

#: At most so many training pairs choose the threshold: more would not move it and cost a pass each.
THRESHOLD_PAIRS = 4096
_REPORT_EVERY_S = 5.0


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of N pairs: row i of both belongs to pair i.

    Attributes:
        sar: (N, d) float32.
        optical: (N, d) float32.
        space: Where distances are measured, of ``osm.matching.distance.SPACES``.
    """

    sar: npt.NDArray[np.float32]
    optical: npt.NDArray[np.float32]
    space: str = "cube"

    def distances(self, order: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float64]:
        """Distance of SAR patch i from optical patch ``order[i]``, from its own by default; (N,)."""
        own = np.arange(len(self.sar))
        return self.between(own, own if order is None else order)

    def between(self, sar: npt.NDArray[np.int64], optical: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Distance of SAR patch ``sar[k]`` from optical patch ``optical[k]``; (K,)."""
        squared = (self.sar[sar].astype(np.float64) - self.optical[optical]) ** 2
        diameter = squared_diameter(self.sar.shape[1], self.space)
        root: npt.NDArray[np.float64] = np.sqrt(squared.sum(axis=1) / diameter)
        return root


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the figures were computed from.

    Attributes:
        embeddings: Of the N test pairs.
        partners: (N,) for SAR patch i the optical patch that made its non-match.
        match: (N,) distances of the matches.
        nonmatch: (N,) distances of the non-matches.
    """

    embeddings: Embeddings
    partners: npt.NDArray[np.int64]
    match: npt.NDArray[np.float64]
    nonmatch: npt.NDArray[np.float64]

    @classmethod
    def draw(cls, embeddings: Embeddings, seed: int) -> Evidence:
        """Draw one non-match for each match by a seed."""
        partners = derangement(len(embeddings.sar), generator(seed)).numpy()
        return cls(embeddings, partners, embeddings.distances(), embeddings.distances(partners))


@dataclass(frozen=True)
class Evaluation:
    """Figures on the test part, one non-match for each match.

    Attributes:
        fixed: At the network's own threshold.
        chosen: At the threshold of highest accuracy on training pairs.
        auc: Area under the ROC curve.
        mean_match: Mean distance of matches.
        mean_nonmatch: Mean distance of non-matches.
        pairs: Number of matches; as many non-matches were judged.
        threshold_pairs: Number of training pairs that chose the threshold.
        sar_to_optical: Finding the optical partner of a SAR patch among all of the test part.
        optical_to_sar: Finding the SAR partner of an optical patch.
        evidence: What all this was computed from; no part of a comparison.
    """

    fixed: Verdicts
    chosen: Verdicts
    auc: float
    mean_match: float
    mean_nonmatch: float
    pairs: int
    threshold_pairs: int
    sar_to_optical: Retrieval
    optical_to_sar: Retrieval
    evidence: Evidence = field(compare=False, repr=False)


def embed(
    network: BridgeNetwork, dataset: PairDataset | Subset[dict[str, object]], *, batch_size: int, workers: int
) -> Embeddings:
    """Embed pairs in their order, in evaluation mode and float32.

    Args:
        network: On the device to use; its mode is restored.
        dataset: The pairs.
        batch_size: Pairs a pass; does not change the figures.
        workers: Processes that read.

    Raises:
        DataError: A patch cannot be read.
    """
    loader = DataLoader(dataset, batch_size=batch_size, num_workers=workers, collate_fn=collate_pairs)
    was_training = network.training
    network.eval()
    rows: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]] = []
    said_s = time.monotonic()
    with torch.inference_mode():
        for number, stored in enumerate(loader, start=1):
            batch = network.data_preprocessor(stored, False)
            sar, optical = network(batch["sar"], batch["optical"], mode="tensor")
            rows.append((sar.float().cpu().numpy(), optical.float().cpu().numpy()))
            if time.monotonic() - said_s > _REPORT_EVERY_S:
                said_s = time.monotonic()
                print_log(f"embedded {number} of {len(loader)} batches", logger="current", level=logging.INFO)
    if was_training:
        network.train()
    sar_rows, optical_rows = (np.concatenate(part) for part in zip(*rows, strict=True))
    return Embeddings(sar_rows, optical_rows, network.space)


def evaluate(
    network: BridgeNetwork, train: PairDataset, test: PairDataset, *, batch_size: int, workers: int, seed: int
) -> Evaluation:
    """Judge the test part, with non-matches drawn once by the seed.

    Args:
        network: The trained network.
        train: Pairs that choose the second threshold.
        test: Pairs to judge, at least 2.
        batch_size: Pairs a pass.
        workers: Processes that read.
        seed: Seed of the non-matches.

    Raises:
        DataError: A patch cannot be read.
    """
    # evenly spaced, so that every scene is among them
    some = np.unique(np.linspace(0, len(train) - 1, min(len(train), THRESHOLD_PAIRS)).round().astype(int))
    train_embeddings = embed(network, Subset(train, some.tolist()), batch_size=batch_size, workers=workers)
    chosen_on = Evidence.draw(train_embeddings, seed)
    test_embeddings = embed(network, test, batch_size=batch_size, workers=workers)
    judged = Evidence.draw(test_embeddings, seed)
    threshold = best_threshold(chosen_on.match, chosen_on.nonmatch)
    to_optical, to_sar = ranks(test_embeddings.sar, test_embeddings.optical)
    return Evaluation(
        fixed=verdicts(judged.match, judged.nonmatch, network.threshold),
        chosen=verdicts(judged.match, judged.nonmatch, threshold),
        auc=auc(judged.match, judged.nonmatch),
        mean_match=float(judged.match.mean()),
        mean_nonmatch=float(judged.nonmatch.mean()),
        pairs=len(judged.match),
        threshold_pairs=len(some),
        sar_to_optical=retrieval(to_optical),
        optical_to_sar=retrieval(to_sar),
        evidence=judged,
    )
