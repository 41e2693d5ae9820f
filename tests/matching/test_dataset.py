from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset

from osm.data.pack import pack_pairs
from osm.data.pairs import SplitRule, read_pairs, split_pairs
from osm.errors import DataError
from osm.matching.dataset import PairDataset, PairSampler, collate_pairs, open_pairs
from osm.matching.preprocess import PairPreprocessor


@pytest.fixture
def train(pairs_root):
    return PairDataset(str(pairs_root), "train", SplitRule("paper"))


def loader(dataset, workers=0, sampler=None):
    return DataLoader(dataset, batch_size=4, num_workers=workers, collate_fn=collate_pairs, sampler=sampler)


def test_it_holds_the_pixels_of_the_folder(pairs_root, train):
    folder = read_pairs(pairs_root)
    split = split_pairs(folder, SplitRule("paper"))
    assert len(train) == len(split.train) == 15
    sample = train[3]
    sar, optical = folder.load(int(split.train[3]))
    assert np.array_equal(sample["sar"], sar)
    assert np.array_equal(sample["optical"], optical)
    assert np.array_equal(train[3, 7]["nonmatch"], folder.load(int(split.train[7]))[1])
    assert np.array_equal(train[3, 7]["sar"], sar)


def test_parts_are_disjoint_and_whole(pairs_root):
    folder = read_pairs(pairs_root)
    split = split_pairs(folder)
    parts = [PairDataset.of(folder, split, part).indices.tolist() for part in ("train", "test")]
    assert sorted(parts[0] + parts[1]) == list(range(len(folder)))


def test_batches_are_uint8_and_the_same_with_workers(train):
    alone, helped = list(loader(train)), list(loader(train, workers=2))
    assert alone[0]["sar"].shape == (4, 64, 64)
    assert alone[0]["optical"].shape == (4, 64, 64, 3)
    assert alone[0]["sar"].dtype == alone[0]["optical"].dtype == torch.uint8
    for first, second in zip(alone, helped, strict=True):
        assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("with_partners", [False, True])
def test_order_and_partners_depend_on_seed_and_epoch_alone(train, with_partners):
    def draw(seed, epoch):
        sampler = PairSampler(train, seed=seed, with_partners=with_partners)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert draw(0, 3) == draw(0, 3)
    assert draw(0, 3) != draw(0, 4)
    assert draw(0, 3) != draw(1, 3)
    firsts = [item[0] if with_partners else item for item in draw(0, 3)]
    assert sorted(firsts) == list(range(15))


def test_partners_are_others_and_change_every_epoch(train):
    sampler = PairSampler(train, seed=0, with_partners=True)
    seen = Counter()
    for epoch in range(400):
        sampler.set_epoch(epoch)
        drawn = dict(sampler)
        assert all(first != partner for first, partner in drawn.items())
        seen[drawn[0]] += 1
    assert set(seen) == set(range(1, 15))
    assert max(seen.values()) < 60  # 29 expected


def test_partners_arrive_in_the_batch(train):
    sampler = PairSampler(train, seed=0, with_partners=True)
    batch = next(iter(loader(train, sampler=sampler)))
    (first, partner), *_ = sampler
    assert np.array_equal(batch["nonmatch"][0].numpy(), train[partner]["optical"])
    assert batch["index"][0] == first


@pytest.mark.parametrize("workers", [0, 1])
def test_a_truncated_patch_in_the_middle_of_an_epoch_names_its_file(own_pairs, workers):
    dataset = PairDataset(str(own_pairs), "train", SplitRule("paper"))
    victim = dataset.folder.optical_dir / dataset.folder.names[dataset.indices[6]]
    victim.write_bytes(victim.read_bytes()[:300])
    preprocess = PairPreprocessor((0.0,) * 3, (1.0,) * 3, size_px=64)
    with pytest.raises(DataError) as caught:
        list(map(preprocess, loader(dataset, workers)))
    assert caught.value.where == str(victim)


@pytest.fixture
def spoilt(own_pairs):
    """The pairs, of which 3 is black and 9 repeats 5."""
    folder = read_pairs(own_pairs)
    Image.new("L", (64, 64)).save(folder.sar_dir / "3.png")
    for side in (folder.sar_dir, folder.optical_dir):
        (side / "9.png").write_bytes((side / "5.png").read_bytes())
    return own_pairs


def test_where_hardly_a_pair_is_usable_the_reasons_are_counted(own_pairs):
    folder = read_pairs(own_pairs)
    for name in folder.names[1:]:
        Image.new("L", (64, 64)).save(folder.sar_dir / name)
    with pytest.raises(DataError, match=r"found 1 usable of 22 pairs \(left out: 21 constant SAR\); .*osm data verify"):
        open_pairs(own_pairs, SplitRule("paper"))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("split", ["paper", "blocked"])
def test_a_packed_store_gives_the_batches_of_the_folder_bit_for_bit(spoilt, tmp_path, workers, split):
    pack_pairs(spoilt, tmp_path / "packed")
    epochs = []
    for root in (spoilt, tmp_path / "packed"):
        dataset = PairDataset(str(root), "train", SplitRule(split))
        sampler = PairSampler(dataset, seed=3, with_partners=True)
        sampler.set_epoch(2)
        epochs.append(list(loader(dataset, workers, sampler)))
    assert len(epochs[0]) == 4
    for first, second in zip(*epochs, strict=True):
        assert first.keys() == second.keys() == {"sar", "optical", "nonmatch", "index"}
        assert all(torch.equal(first[key], second[key]) and first[key].dtype == second[key].dtype for key in first)


def test_a_batch_in_one_go_is_the_batch_of_its_samples(train):
    items = [(3, 1), (0, 4), (14, 2)]
    at_once, one_by_one = collate_pairs(train.__getitems__(items)), collate_pairs([train[item] for item in items])
    assert at_once.keys() == one_by_one.keys()
    assert all(torch.equal(at_once[key], one_by_one[key]) for key in at_once)
    part = next(iter(loader(Subset(train, [5, 2, 7, 1]))))
    assert part["index"].tolist() == [5, 2, 7, 1]


def test_what_must_not_be_trained_on_is_in_no_part(spoilt, tmp_path):
    opened = open_pairs(spoilt, SplitRule("paper"), cache=tmp_path / "cache")
    assert [(entry.name, entry.reason) for entry in opened.dropped] == [
        ("3.png", "constant SAR"),
        ("9.png", "duplicate"),
    ]
    assert len(opened.folder) == len(opened.split.train) + len(opened.split.test) == 20
    assert not {"3.png", "9.png"} & set(opened.folder.names)
    # the data set of the loader, which is built anew from its config, sees the same
    rule = asdict(SplitRule("paper"))
    again = PairDataset(str(spoilt), "test", rule, cache=str(tmp_path / "cache"))
    assert again.folder.names == opened.folder.names
    assert np.array_equal(again.indices, opened.split.test)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_packed_store_that_is_cut_short_in_the_middle_of_an_epoch_is_named(own_pairs, tmp_path, workers):
    pack_pairs(own_pairs, tmp_path / "packed")
    dataset = PairDataset(str(tmp_path / "packed"), "train", SplitRule("paper"))
    victim = tmp_path / "packed" / "optical.npy"
    with victim.open("r+b") as stream:
        stream.truncate(victim.stat().st_size // 2)
    preprocess = PairPreprocessor((0.0,) * 3, (1.0,) * 3, size_px=64)
    with pytest.raises(DataError, match="ends in pair") as caught:
        list(map(preprocess, loader(dataset, workers)))
    assert caught.value.where == str(victim)
