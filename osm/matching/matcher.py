"""A trained bridge network as a file, and as something that matches patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from osm.errors import WeightsError
from osm.matching.branch import Branch
from osm.matching.distance import SPACES, embed
from osm.matching.evaluate import Embeddings
from osm.matching.network import BridgeNetwork, Verdict
from osm.matching.preprocess import PairPreprocessor
from osm.transfer.card import Card
from osm.transfer.export import export_tensors, read_export, tensors_sha256
from osm.transfer.load import fill

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]

MODALITIES = ("sar", "optical")
#: Patches that go through a branch at once; does not change what comes out.
BATCH = 32


@dataclass(frozen=True)
class Contract:
    """What it takes to match with two branches, beside their architecture and input contract.

    Attributes:
        dimensions: Length d of the embeddings.
        head_norm: Whether the heads end with batch norm.
        space: Where distances are measured, of ``osm.matching.distance.SPACES``.
        threshold: The network's own; a pair matches if its distance is at most this.
        chosen_threshold: That of highest accuracy on training pairs.
        threshold_pairs: Training pairs that chose it.
        patch_px: Side of the patches that it was trained on.
        size_px: Side to which they are reduced for the branches.
    """

    dimensions: int
    head_norm: bool
    space: str
    threshold: float
    chosen_threshold: float
    threshold_pairs: int
    patch_px: int
    size_px: int


def export_network(path: Path, network: BridgeNetwork, card: Card) -> None:
    """Write both branches of a trained network, with the contract in their card.

    Args:
        path: The ``.safetensors`` file to write.
        network: The network as it was judged.
        card: That of its SAR backbone: settings, data and figures are the same.
    """
    settings, chosen = card.config, card.metrics["at_chosen_threshold"]
    contract = Contract(
        dimensions=settings["model"]["dimensions"],
        head_norm=settings["model"]["head_norm"],
        space=network.space,
        threshold=network.threshold,
        chosen_threshold=chosen["threshold"],
        threshold_pairs=chosen["chosen_on_training_pairs"],
        patch_px=card.data["patch_px"][0],
        size_px=settings["data"]["size_px"],
    )
    branches = nn.ModuleDict({"sar": network.sar, "optical": network.optical})
    export_tensors(path, branches.state_dict(), replace(card, matching=asdict(contract)))


class Matcher:
    """Two trained branches: embeds patches of either modality, and says how far they are from each other.

    Attributes:
        card: What the file says of itself.
        contract: What it takes to match.
        sha256: Digest of all its tensors: which network this is.
        device: Where it runs.
    """

    def __init__(self, branches: nn.ModuleDict, card: Card, contract: Contract, sha256: str, device: str) -> None:
        self.card = card
        self.contract = contract
        self.sha256 = sha256
        self.device = torch.device(device)
        self._branches = branches.eval().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # a network that was trained on windows of patches is shown the middle one, as its evaluation was
        view = {"crop_px": card.config.get("augment", {}).get("crop_px", 0)}
        self._prepare = PairPreprocessor(card.input.mean, card.input.std, contract.size_px, view).to(self.device)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Matcher:
        """Read ``bridge_network.safetensors`` of a finished pretraining.

        Args:
            path: The file.
            device: A device of torch, e.g. "cpu" or "cuda".

        Raises:
            WeightsError: The file is missing, damaged, or no bridge network.
        """
        tensors, card = read_export(path)
        if not card.matching:
            raise WeightsError(
                path,
                found=f"a single {card.architecture} backbone",
                expected="both branches of a bridge network",
                mend="give bridge_network.safetensors of the same work folder",
            )
        contract = _contract(path, card.matching)
        with torch.device("meta"):  # nothing is drawn: every tensor is in the file
            branches = nn.ModuleDict(
                {name: Branch(card.architecture, contract.dimensions, contract.head_norm) for name in MODALITIES}
            )
        fill(
            branches,
            tensors,
            path,
            of="its card",
            expected=f"two branches of {card.architecture}",
            mend="pretrain again with this version",
            assign=True,
        )
        branches.requires_grad_(False)
        return cls(branches, card, contract, tensors_sha256(tensors), device)

    @property
    def threshold_said(self) -> str:
        """What ``contract.chosen_threshold``, the default of every verdict, is."""
        return f"chosen on {self.contract.threshold_pairs:,} training pairs; the network's own is " + (
            f"{self.contract.threshold:.3f}"
        )

    def embed_sar(self, patches: Sequence[Bytes] | Bytes) -> Rows:
        """Embeddings (N, d) of N SAR patches (H, W), H = W, uint8; of ``contract.patch_px`` as in training."""
        return self.embed(patches, "sar")

    def embed_optical(self, patches: Sequence[Bytes] | Bytes) -> Rows:
        """Embeddings (N, d) of N optical patches (H, W, 3), H = W, uint8; of ``contract.patch_px`` as in training."""
        return self.embed(patches, "optical")

    def embed(self, patches: Sequence[Bytes] | Bytes, modality: str) -> Rows:
        """The same, of the modality "sar" or "optical"."""
        if modality not in MODALITIES:
            raise ValueError(f"modality is {modality!r}; it must be sar or optical")
        rows = [np.empty((0, self.contract.dimensions), np.float32)]
        with torch.inference_mode():
            for begin in range(0, len(patches), BATCH):
                stored = torch.from_numpy(np.stack(list(patches[begin : begin + BATCH])))
                images = self._prepare({modality: stored})[modality]
                logits = self._branches[modality](images).logits
                rows.append(embed(logits, self.contract.space).float().cpu().numpy())
        return np.concatenate(rows)

    def distances(self, sar: Rows, optical: Rows) -> npt.NDArray[np.float64]:
        """Distance in [0, 1] of embeddings (N, d), row by row.

        Raises:
            ValueError: There are not as many of both.
        """
        if sar.shape != optical.shape:
            raise ValueError(f"embeddings of shape {sar.shape} and {optical.shape}; both must be (N, d)")
        return Embeddings(sar, optical, self.contract.space).distances()

    def compare(self, sar: Bytes, optical: Bytes, threshold: float | None = None) -> Verdict:
        """Judge one SAR patch (H, W) and one optical patch (H, W, 3).

        Args:
            sar: uint8.
            optical: uint8.
            threshold: They match if their distance is at most this; by default the one chosen on training pairs.
        """
        far = float(self.distances(self.embed_sar([sar]), self.embed_optical([optical]))[0])
        return Verdict(far, far <= (self.contract.chosen_threshold if threshold is None else threshold))


def _contract(path: str | Path, values: dict[str, Any]) -> Contract:
    try:
        contract = Contract(**values)
    except TypeError as error:
        raise WeightsError(
            path,
            found=f"a contract of matching that this version does not know ({error})",
            expected=f"{', '.join(Contract.__dataclass_fields__)}",
            mend="pretrain again with this version",
        ) from error
    if contract.space not in SPACES:
        raise WeightsError(
            path,
            found=f"distances in the space {contract.space!r}",
            expected=f"one of {', '.join(SPACES)}",
            mend="pretrain again with this version",
        )
    return contract
