"""The bridge network: two unshared branches and a distance between their embeddings."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import Tensor, nn

from osm.matching.branch import Branch
from osm.matching.distance import distance
from osm.matching.draws import derangement, generator
from osm.matching.gather import gather_rows, own_rows
from osm.matching.objectives import Encoded, EncodedPairs, Objective, build_objective
from osm.matching.preprocess import PairPreprocessor
from osm.transfer.architectures import ARCHITECTURES, out_channels
from osm.transfer.card import InputContract
from osm.transfer.certificate import Certificate
from osm.transfer.initialise import initialise
from osm.transfer.load import certify_random, load_backbone

#: In-batch: the optical patches of the batch, deranged; no pass more. Reference: for each pair a
#: partner drawn anew every epoch from all pairs, in a pass of its own.
NEGATIVES = ("in-batch", "reference")

#: Tells the draw of a placebo from the other draws of a step.
_PLACEBO = 3
#: Likewise the draw of partners among tiles.
_VIEWS = 4


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
    """The bridge network (Xu et al., AAAI 2019; Huang et al., QXS-SAROPT §III-A), open to other objectives.

    Args:
        architecture: Backbone of both branches, a name of ``osm.transfer.architectures``.
        loss: Registry config of the objective.
        negatives: One of ``NEGATIVES``.
        dimensions: Length d of the embeddings.
        threshold: A pair matches if its distance is at most this.
        head_norm: Whether the heads end with batch norm; the paper's do not.
        placebo: Whether every SAR patch is shown with the optical patch of another place, drawn anew every step:
            all is seen that pretraining sees, and nothing can be matched. What pretraining gains beyond its
            placebo, it gains by matching. Several processes exchange their optical patches for it.
        frozen: Modules, by name (``optical.backbone``, ``sar.backbone.layer1``), that keep their start: no
            gradient reaches them and their batch norm uses its running statistics.
        target_loss: Registry config of an objective over two views of each tile of the detectors' domain
            (``osm.matching.target``); None where there are no such tiles.
        target_weight: Its weight beside the objective over pairs.
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
        head_norm: bool = False,
        placebo: bool = False,
        frozen: Sequence[str] = (),
        target_loss: dict[str, Any] | None = None,
        target_weight: float = 1.0,
        seed: int = 0,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        check_options(negatives, dimensions, threshold)
        known = ARCHITECTURES[architecture]
        super().__init__(data_preprocessor=data_preprocessor or PairPreprocessor(known.mean, known.std))
        self.architecture = architecture
        self.negatives = negatives
        self.threshold = threshold
        self.placebo = placebo
        self.seed = seed
        self.step = 0
        self.objective: Objective = build_objective(
            loss or {"type": "BridgeLoss"}, channels=out_channels(architecture), dimensions=dimensions
        )
        self.space = self.objective.space
        levels = set(self.objective.levels)
        self.target_objective: Objective | None = None
        self.target_weight = target_weight
        if target_loss is not None:
            self.target_objective = build_objective(
                target_loss, channels=out_channels(architecture), dimensions=dimensions
            )
            if self.target_objective.key_momentum is not None:
                raise ValueError("target.loss cannot be a momentum queue: tiles have no key branch")
            levels |= set(self.target_objective.levels)
        self.sar = Branch(architecture, dimensions, head_norm, tuple(levels))
        self.optical = Branch(architecture, dimensions, head_norm, tuple(levels))
        self.keys = self._slow_copies() if self.objective.key_momentum is not None else None
        self.frozen = tuple(self._named(name) for name in frozen)
        for module in self.frozen:
            module.requires_grad_(False)

    def start(
        self,
        init: Path | None = None,
        min_coverage: float = 1.0,
        *,
        sar_radiometry: str = "none",
        allow_contract_mismatch: bool = False,
    ) -> tuple[Certificate, Certificate]:
        """Draw the random start, then fill both backbones from one file where there is one.

        The backbones share their draw, as they share a checkpoint; the heads do not.

        Args:
            init: Weights for both backbones.
            min_coverage: Least fraction of a backbone's tensors that the file must fill.
            sar_radiometry: How SAR values became the 8 bits of the patches.
            allow_contract_mismatch: Whether weights that were trained on other input are taken all the same; those
                of a SAR backbone were, for the optical branch with its three bands.

        Returns:
            The certificates of the SAR and of the optical backbone.

        Raises:
            WeightsError: The file does not fit.
        """
        certificates = []
        sar_input = InputContract.of(self.architecture, radiometry=sar_radiometry)
        optical_input = replace(sar_input, bands=3, radiometry="none")
        both = ((self.sar, "SAR branch", sar_input), (self.optical, "optical branch", optical_input))
        for offset, (branch, target, feeds) in enumerate(both):
            initialise(branch.backbone, self.seed)
            initialise(branch.head, self.seed + 1 + offset)
            if init is None:
                certificates.append(
                    certify_random(branch.backbone, architecture=self.architecture, feeds=feeds, target=target)
                )
            else:
                certificates.append(
                    load_backbone(
                        branch.backbone,
                        init,
                        architecture=self.architecture,
                        min_coverage=min_coverage,
                        feeds=feeds,
                        allow_mismatch=allow_contract_mismatch,
                        target=target,
                    )
                )
        initialise(self.objective, self.seed + 3)
        if self.target_objective is not None:
            initialise(self.target_objective, self.seed + 4)
        self.align_keys()
        # after the draw: a draw fills memory in order, and must not depend on the layout
        self.to(memory_format=torch.channels_last)
        return certificates[0], certificates[1]

    def align_keys(self) -> None:
        """Make the slowly moving copies, where there are any, equal to the branches."""
        if self.keys is not None:
            for key, branch in zip(self.keys, (self.sar, self.optical), strict=True):
                key.load_state_dict(branch.state_dict())

    def init_weights(self) -> None:
        """Nothing: ``start`` drew the weights, and mmengine's Runner must not draw them again."""

    def train(self, mode: bool = True) -> BridgeNetwork:
        """Set the mode; what is frozen stays in evaluation."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def forward(
        self,
        sar: Tensor,
        optical: Tensor,
        nonmatch: Tensor | None = None,
        target: Tensor | None = None,
        index: Tensor | None = None,
        mode: str = "tensor",
    ) -> Any:
        """Run both branches.

        Args:
            sar: Normalised patches (N, 3, H, W).
            optical: Normalised patches (N, 3, H, W) of the same places.
            nonmatch: Normalised optical patches of other places; given with reference sampling only.
            target: Normalised tiles (2·T, 3, H, W) of the detectors' domain: T first views, then the second ones.
            index: (N,) numbers of the pairs; unused.
            mode: "loss", "predict" or "tensor".

        Returns:
            "loss": ``loss`` (with tiles ``loss_pairs`` and ``loss_target``, to be added up) and the mean distances
            of matches and non-matches. "predict": one verdict
            a pair. "tensor": the embeddings of both, (N, d) each.
        """
        if mode == "loss":
            return self._loss(sar, optical, nonmatch, target)
        first, second = (branch(images).at(self.space) for branch, images in self._both(sar, optical))
        if mode == "tensor":
            return first, second
        if mode == "predict":
            far = distance(first, second, self.space)
            return [Verdict(h, h <= self.threshold) for h in far.tolist()]
        raise ValueError(f"mode is {mode!r}; it must be loss, predict or tensor")

    def _loss(self, sar: Tensor, optical: Tensor, nonmatch: Tensor | None, target: Tensor | None) -> dict[str, Tensor]:
        if self.placebo:
            optical = self._strangers(optical)
        if target is None:
            near, views = _gathered(self.sar(sar)), None
        else:
            # in one pass, so that batch norm knows one mixture of both domains
            half = len(target) // 2
            near, *views = map(_gathered, _split(self.sar(torch.cat([sar, target])), (len(sar), half, half)))
        far = _gathered(self.optical(optical))
        order = self._order(len(near.logits), 0)
        # the SAR half of a negative pair would be the same pass again: its embedding is at hand
        elsewhere = far.rows(order) if nonmatch is None else _gathered(self.optical(nonmatch))
        keys = self._keys(sar, optical) if self.keys is not None else None
        pairs = EncodedPairs(near, far, elsewhere, order, self.step, self.seed, keys)
        with torch.autocast(sar.device.type, enabled=False):
            losses = {"loss": self.objective(pairs)}
            if views:
                # mmengine adds up whatever is called a loss
                losses = {"loss_pairs": losses["loss"], "loss_target": self._between(*views)}
            with torch.no_grad():
                first, second, third = (encoded.at(self.space) for encoded in (near, far, elsewhere))
                match = distance(first, second, self.space).mean()
                apart = distance(first, third, self.space).mean()
        return {**losses, "distance_match": match, "distance_nonmatch": apart}

    def _between(self, first: Encoded, second: Encoded) -> Tensor:
        """The weighted objective over two views of each tile."""
        assert self.target_objective is not None
        order = self._order(len(first.logits), _VIEWS)
        views = EncodedPairs(first, second, second.rows(order), order, self.step, self.seed)
        loss: Tensor = self.target_weight * self.target_objective(views)
        return loss

    def _strangers(self, optical: Tensor) -> Tensor:
        """For each pair the optical patch of another, out of the batch over all processes.

        Patches change places before they are encoded, and not embeddings after it: maps are changed too then, and
        the cells of an objective that reads them are those of one place in both patches still.
        """
        whole = gather_rows(optical)
        order = own_rows(derangement(len(whole), generator(self.seed, self.step, 0, _PLACEBO)))
        return whole[order.to(whole.device)].contiguous(memory_format=torch.channels_last)

    def _order(self, count: int, stream: int) -> Tensor:
        return derangement(count, generator(self.seed, self.step, stream))

    def _both(self, sar: Tensor, optical: Tensor) -> tuple[tuple[Branch, Tensor], tuple[Branch, Tensor]]:
        return (self.sar, sar), (self.optical, optical)

    def _slow_copies(self) -> nn.ModuleList:
        copies = nn.ModuleList([copy.deepcopy(self.sar), copy.deepcopy(self.optical)])
        copies.requires_grad_(False)
        return copies

    @torch.no_grad()
    def _keys(self, sar: Tensor, optical: Tensor) -> tuple[Encoded, Encoded]:
        """Move the copies on by a step, and encode with them."""
        assert self.keys is not None
        assert self.objective.key_momentum is not None
        encoded = []
        for slow, (branch, images) in zip(self.keys, self._both(sar, optical), strict=True):
            if self.training and self.step:
                share = 1 - self.objective.key_momentum
                for key, parameter in zip(slow.parameters(), branch.parameters(), strict=True):
                    key.lerp_(parameter, share)
            encoded.append(_gathered(slow(images)))
        return encoded[0], encoded[1]

    def _named(self, name: str) -> nn.Module:
        modules: dict[str, nn.Module] = dict(self.named_modules())
        if not name.startswith(("sar.", "optical.")) or name not in modules:
            raise ValueError(f"frozen names {name!r}; it must be a module of a branch, such as optical.backbone")
        return modules[name]


def _gathered(encoded: Encoded) -> Encoded:
    """The logits of the batch over all processes; the maps stay where they are."""
    return Encoded(gather_rows(encoded.logits), encoded.maps)


def _split(encoded: Encoded, counts: tuple[int, ...]) -> list[Encoded]:
    """Rows and their maps in parts of so many."""
    maps = {level: whole.split(counts) for level, whole in encoded.maps.items()}
    return [
        Encoded(logits, {level: parts[place] for level, parts in maps.items()})
        for place, logits in enumerate(encoded.logits.split(counts))
    ]
