"""Pairs as mmengine's loaders take them: uint8 as stored, in an order that (seed, epoch) alone decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS, DATASETS, FUNCTIONS
from torch.utils.data import Dataset

from osm.data.pairs import PairSource, PairSplit, SplitRule, read_pairs, split_pairs
from osm.data.parallel import Step, named
from osm.data.screen import Dropped, ScreenReport, counts, usable
from osm.errors import DataError, OSMError
from osm.matching.draws import generator, partners

Item = int | tuple[int, int]

#: Tells the stream of partners from the other draws of a seed.
_PARTNERS = 1

#: Why a pair that overlaps with both parts of a blocked split is in neither.
SEAM = "seam"


@dataclass(frozen=True, eq=False)
class OpenedPairs:
    """The pairs that a run sees.

    Attributes:
        folder: The usable pairs.
        split: Their parts.
        screen: What was left out as not usable.
    """

    folder: PairSource
    split: PairSplit
    screen: ScreenReport

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        """Every pair that is in neither part, and why."""
        seam = (self.folder.names[index] for index in self.split.seam.tolist())
        return (*self.screen.dropped, *(Dropped(name, SEAM, "overlaps with both parts of the split") for name in seam))


def open_pairs(
    root: str | Path, rule: SplitRule, *, cache: Path | None = None, progress: Step | None = None
) -> OpenedPairs:
    """List pairs, leave out what must not be trained on, and divide the others.

    Args:
        root: A folder or packed store for ``osm.data.pairs.read_pairs``.
        rule: How they are divided.
        cache: Folder for what was found in the pixels; without one, every call reads them anew.
        progress: Called now and then while pixels are read.

    Raises:
        DataError: The pairs are at fault.
        ConfigError: The split is.
    """
    listed = read_pairs(root)
    good, screen = usable(listed, cache, named(progress, "screen pairs"))
    if len(good) < 2 <= len(listed):
        raise DataError(
            root,
            found=f"{len(good)} usable of {len(listed)} pairs (left out: {counts(screen.dropped)})",
            expected="at least 2",
            mend=f"run osm data verify pairs {root} for the whole list, and mend or add pairs",
        )
    folder = listed if len(good) == len(listed) else listed.select(good)
    parts = split_pairs(folder, rule, cache=cache, progress=named(progress, "search overlaps"))
    return OpenedPairs(folder, parts, screen)


@DATASETS.register_module()
class PairDataset(Dataset[dict[str, Any]]):
    """One part of a folder of pairs.

    Args:
        root: As for ``open_pairs``.
        part: "train" or "test".
        split: The rule for ``open_pairs``, or what ``dataclasses.asdict`` makes of it.
        cache: As for ``open_pairs``.
    """

    metainfo: dict[str, Any] = {}  # noqa: RUF012  (mmengine asks every data set for one)

    def __init__(
        self,
        root: str,
        part: str,
        split: SplitRule | Mapping[str, Any],
        cache: str | None = None,
    ) -> None:
        rule = split if isinstance(split, SplitRule) else SplitRule.of(split)
        opened = open_pairs(root, rule, cache=None if cache is None else Path(cache))
        self._open(opened.folder, opened.split, part)

    @classmethod
    def of(cls, folder: PairSource, split: PairSplit, part: str) -> PairDataset:
        """The same, from pairs and a split that are at hand."""
        dataset = cls.__new__(cls)
        dataset._open(folder, split, part)
        return dataset

    def _open(self, folder: PairSource, split: PairSplit, part: str) -> None:
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
        batch = self.__getitems__([item])
        return batch if "unreadable" in batch else {key: values[0] for key, values in batch.items()}

    def __getitems__(self, items: Sequence[Item]) -> dict[str, Any]:
        """A batch in one go; torch's loader asks for batches by this name.

        Args:
            items: As for one pair; all with a partner, or none.

        Returns:
            The same keys as for one pair, stacked along a first axis; or ``unreadable``.
        """
        firsts = np.array([item[0] if isinstance(item, tuple) else item for item in items], dtype=np.int64)
        others = np.array([item[1] for item in items if isinstance(item, tuple)], dtype=np.int64)
        chosen = self.indices[firsts].tolist()
        try:
            batch: dict[str, Any] = {
                "sar": self.folder.sar_patches(chosen),
                "optical": self.folder.optical_patches(chosen),
                "index": firsts,
            }
            if len(others):
                batch["nonmatch"] = self.folder.optical_patches(self.indices[others].tolist())
        except OSMError as error:
            return {
                "unreadable": {
                    "where": error.where,
                    "found": error.found,
                    "expected": error.expected,
                    "mend": error.mend,
                }
            }
        return batch


@FUNCTIONS.register_module()
def collate_pairs(samples: Mapping[str, Any] | Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Make tensors of a batch of ``PairDataset``, or of its samples one by one.

    The first unreadable sample stands for the batch.
    """
    if isinstance(samples, Mapping):
        if "unreadable" in samples:
            return dict(samples)
        return {key: torch.as_tensor(values) for key, values in samples.items()}
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
