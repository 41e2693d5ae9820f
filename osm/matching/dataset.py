"""Pairs as mmengine's loaders take them: uint8 as stored, in an order that (seed, epoch) alone decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS, DATASETS, FUNCTIONS
from torch.utils.data import Dataset

from osm.data.pairs import PairFolder, PairSplit, read_pairs, split_pairs
from osm.errors import OSMError
from osm.matching.draws import generator, partners

Item = int | tuple[int, int]

#: Tells the stream of partners from the other draws of a seed.
_PARTNERS = 1


@DATASETS.register_module()
class PairDataset(Dataset[dict[str, Any]]):
    """One part of a folder of pairs.

    Args:
        root: A folder for ``osm.data.pairs.read_pairs``.
        part: "train" or "test".
        split: Kind of split, for ``osm.data.pairs.split_pairs``.
        train_fraction: Part of the pairs for training.
        split_seed: Seed of the split.
    """

    metainfo: dict[str, Any] = {}  # noqa: RUF012  (mmengine asks every data set for one)

    def __init__(self, root: str, part: str, split: str, train_fraction: float, split_seed: int) -> None:
        folder = read_pairs(root)
        self._open(folder, split_pairs(folder, split, train_fraction, split_seed), part)

    @classmethod
    def of(cls, folder: PairFolder, split: PairSplit, part: str) -> PairDataset:
        """The same, from pairs and a split that are at hand."""
        dataset = cls.__new__(cls)
        dataset._open(folder, split, part)
        return dataset

    def _open(self, folder: PairFolder, split: PairSplit, part: str) -> None:
        self.folder = folder
        self.indices = {"train": split.train, "test": split.test}[part]

    def __len__(self) -> int:
        return len(self.indices)

    def names(self, numbers: Iterable[int]) -> list[str]:
        """File names of pairs, by their numbers within this part."""
        return [self.folder.names[int(self.indices[number])] for number in numbers]

    def __getitem__(self, item: Item) -> dict[str, Any]:
        """One pair.

        Args:
            item: Number of a pair within this part, or that and the number of its partner: another
                pair, whose optical patch does not match.

        Returns:
            ``sar`` (H, W) uint8, ``optical`` (H, W, 3) uint8, ``index`` and, with a partner,
            ``nonmatch`` (H, W, 3) uint8; or ``unreadable`` with the fields of the error.
        """
        first, partner = item if isinstance(item, tuple) else (item, None)
        try:
            sar, optical = self.folder.load(int(self.indices[first]))
            sample: dict[str, Any] = {"sar": sar, "optical": optical, "index": first}
            if partner is not None:
                sample["nonmatch"] = self.folder.load(int(self.indices[partner]))[1]
        except OSMError as error:
            return {
                "unreadable": {
                    "where": error.where,
                    "found": error.found,
                    "expected": error.expected,
                    "mend": error.mend,
                }
            }
        return sample


@FUNCTIONS.register_module()
def collate_pairs(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stack samples of ``PairDataset`` along a first axis; the first unreadable one stands for the batch."""
    for sample in samples:
        if "unreadable" in sample:
            return sample
    return {key: torch.from_numpy(np.stack([sample[key] for sample in samples])) for key in samples[0]}


@DATA_SAMPLERS.register_module()
class PairSampler(DefaultSampler):
    """mmengine's sampler, which shuffles by (seed, epoch), with a partner for each pair where wanted.

    Batch b of all processes together is batch b that one process would have had, were its batches that large. Pairs
    that do not divide evenly among processes are left out of the epoch.

    Args:
        dataset: The pairs.
        seed: Seed of order and partners.
        with_partners: Whether each number comes with that of another pair, drawn anew every epoch,
            uniformly over all others.
    """

    def __init__(self, dataset: PairDataset, seed: int, with_partners: bool = False) -> None:
        super().__init__(dataset, shuffle=True, seed=seed)
        self.with_partners = with_partners
        # mmengine repeats pairs where they do not divide evenly; a pair and its copy would be taken for a non-match
        self.num_samples = len(dataset) // self.world_size
        self.total_size = self.num_samples * self.world_size

    def __iter__(self) -> Iterator[Item]:
        if not self.with_partners:
            yield from super().__iter__()
            return
        other = partners(len(self.dataset), generator(self.seed, self.epoch, _PARTNERS)).tolist()
        for first in super().__iter__():
            yield first, other[first]
