"""Embeddings of paired patches: how well partners find each other, and a picture of them in two dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.pair_source import Indices, PairSource
from osm.data.split import SplitRule, split_pairs
from osm.errors import DataError, OSMError
from osm.files import sha256_file
from osm.matching.examples import spread
from osm.matching.matcher import Matcher, Rows
from osm.matching.results import data_facts
from osm.matching.retrieval import Retrieval, ranks, retrieval
from osm.transfer.card import Card

#: Scenes that are shown, as many as there are colours that can be told apart; and pairs of each.
SCENES, PAIRS_A_SCENE = 7, 24
#: t-SNE needs at least so many points to be asked for neighbours.
_LEAST_PAIRS = 4
#: Words for the pairs that are shown.
SEEN = {
    True: "pairs of the network's own test part: it was not trained on them",
    False: "of all pairs given; the network may have been trained on some of them, so this is no test of it",
}


@dataclass(frozen=True, eq=False)
class Chosen:
    """The pairs that are shown.

    Attributes:
        indices: (N,) numbers of the pairs.
        scenes: Scene of each; None where nobody knows.
        of: How many there were to choose from.
        test: Whether all are of the test part of the network.
    """

    indices: Indices
    scenes: tuple[str, ...] | None
    of: int
    test: bool


@dataclass(frozen=True, eq=False)
class Embedded:
    """Paired patches as a network embeds them.

    Attributes:
        path: The network.
        sha256: Of that file.
        card: What the file says of itself.
        names: (N,) names of the pairs.
        chosen: Which pairs they are.
        to_optical: Finding the optical partner among the N.
        to_sar: The other way.
        points: (2, N, 2) t-SNE of the SAR and of the optical patches; None without scikit-learn.
        perplexity: Of t-SNE.
        seed: Of t-SNE.
        divergence: Kullback-Leibler divergence that t-SNE ended with.
    """

    path: Path
    sha256: str
    card: Card
    names: tuple[str, ...]
    chosen: Chosen
    to_optical: Retrieval
    to_sar: Retrieval
    points: npt.NDArray[np.float64] | None
    perplexity: float
    seed: int
    divergence: float | None


def embed_pairs(path: Path, pairs: PairSource, seed: int, device: str = "cpu") -> Embedded:
    """Embed some pairs with a network.

    Args:
        path: ``bridge_network.safetensors``.
        pairs: The pairs to choose from.
        seed: Seed of t-SNE.
        device: A device of torch.

    Raises:
        WeightsError: The file is no bridge network.
        DataError: There are fewer than 4 pairs, they are smaller than the network's patches, or one cannot be read.
    """
    matcher = Matcher.load(path, device)
    chosen = choose_pairs(pairs, matcher.card)
    if len(chosen.indices) < _LEAST_PAIRS:
        raise DataError(
            pairs.root, found=f"{len(chosen.indices)} pairs", expected=f"at least {_LEAST_PAIRS}", mend="add pairs"
        )
    patch_px = matcher.contract.patch_px
    if pairs.size_px != (patch_px, patch_px):
        raise DataError(
            pairs.root,
            found=f"patches of {pairs.size_px[0]}x{pairs.size_px[1]} pixels",
            expected=f"{patch_px}x{patch_px}, which {path} was trained on",
            mend="give pairs of that size, or leave --pairs out",
        )
    indices = chosen.indices.tolist()
    sar = matcher.embed_sar(pairs.sar_patches(indices))
    optical = matcher.embed_optical(pairs.optical_patches(indices))
    to_optical, to_sar = ranks(sar, optical)
    perplexity = float(min(30, (2 * len(indices) - 1) // 3))
    points, divergence = project(sar, optical, perplexity, seed)
    names = tuple(pairs.names[index] for index in indices)
    return Embedded(
        path, sha256_file(path), matcher.card, names, chosen, retrieval(to_optical), retrieval(to_sar), points,
        perplexity, seed, divergence,
    )  # fmt: skip


def choose_pairs(pairs: PairSource, card: Card) -> Chosen:
    """Evenly spread pairs: at most ``PAIRS_A_SCENE`` of each of at most ``SCENES`` scenes.

    Those of the network's test part alone, where these are the pairs that it was trained on.

    Args:
        pairs: To choose from.
        card: That of the network.
    """
    test = test_part(pairs, card)
    among = np.arange(len(pairs)) if test is None else test
    if pairs.scenes is None:
        return Chosen(spread(among, SCENES * PAIRS_A_SCENE), None, len(among), test is not None)
    scene_of = np.asarray(pairs.scenes)[among]
    ids = np.unique(scene_of)
    shown = ids[spread(np.arange(len(ids)), SCENES)]
    indices = np.sort(np.concatenate([spread(among[scene_of == scene], PAIRS_A_SCENE) for scene in shown]))
    return Chosen(indices, tuple(pairs.scenes[index] for index in indices.tolist()), len(among), test is not None)


def test_part(pairs: PairSource, card: Card) -> Indices | None:
    """The pairs that a network was judged on; None where these are not the pairs that it was trained on.

    The split is made again from the settings in the card, and counts only if it has the digest that the card names. A
    split by overlaps is not made again: that takes minutes.
    """
    settings, said = card.config.get("data", {}), card.data
    kind = said.get("split")
    if kind not in ("paper", "scene") or len(pairs) != said.get("pairs"):
        return None
    try:
        judged, unused = (tuple(settings.get(name, ())) for name in ("test_scenes", "unused_scenes"))
        rule = SplitRule(kind, settings["train_fraction"], settings["split_seed"], judged, unused)
        split = split_pairs(pairs, rule)
    except (OSMError, KeyError):
        # other pairs, or settings of another version: nothing is known of what it has seen
        return None
    same: Any = data_facts(pairs, split)["names_and_split_sha256"] == said.get("names_and_split_sha256")
    return split.test if same else None


def project(
    sar: Rows, optical: Rows, perplexity: float, seed: int
) -> tuple[npt.NDArray[np.float64] | None, float | None]:
    """t-SNE (van der Maaten and Hinton, 2008) of both modalities in one picture.

    Args:
        sar: (N, d).
        optical: (N, d).
        perplexity: Below 2·N.
        seed: Of what is random.

    Returns:
        (2, N, 2) points and the divergence in the end; None twice where scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        return None, None
    rows = np.concatenate([sar, optical]).astype(np.float64)
    model = TSNE(n_components=2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    points = np.asarray(model.fit_transform(rows), dtype=np.float64)
    return np.stack([points[: len(sar)], points[len(sar) :]]), float(model.kl_divergence_)
