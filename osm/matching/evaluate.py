"""Matching figures of a trained network on pairs it did not see."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

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
        optical = self.optical if order is None else self.optical[order]
        squared = (self.sar.astype(np.float64) - optical) ** 2
        diameter = squared_diameter(self.sar.shape[1], self.space)
        root: npt.NDArray[np.float64] = np.sqrt(squared.sum(axis=1) / diameter)
        return root


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
    """

    fixed: Verdicts
    chosen: Verdicts
    auc: float
    mean_match: float
    mean_nonmatch: float
    pairs: int
    threshold_pairs: int


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
    near, far = _match_and_nonmatch(
        embed(network, Subset(train, some.tolist()), batch_size=batch_size, workers=workers), seed
    )
    match, nonmatch = _match_and_nonmatch(embed(network, test, batch_size=batch_size, workers=workers), seed)
    return Evaluation(
        fixed=verdicts(match, nonmatch, network.threshold),
        chosen=verdicts(match, nonmatch, best_threshold(near, far)),
        auc=auc(match, nonmatch),
        mean_match=float(match.mean()),
        mean_nonmatch=float(nonmatch.mean()),
        pairs=len(match),
        threshold_pairs=len(some),
    )


def _match_and_nonmatch(embeddings: Embeddings, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    order = derangement(len(embeddings.sar), generator(seed)).numpy()
    return embeddings.distances(), embeddings.distances(order)
