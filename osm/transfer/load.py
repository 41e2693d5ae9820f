"""Loading a backbone so that it cannot fail silently."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from osm.errors import WeightsError
from osm.files import sha256_file
from osm.transfer.card import InputContract
from osm.transfer.certificate import Certificate, Filled, backbone_digests, is_counter
from osm.transfer.contract import RANDOM, ContractCheck, check_contract
from osm.transfer.export import tensor_sha256
from osm.transfer.stages import stages_of
from osm.transfer.weights import SourceWeights, read_weights

if TYPE_CHECKING:
    import torch
    from torch import nn


def load_backbone(
    backbone: nn.Module,
    path: str | Path,
    *,
    architecture: str,
    min_coverage: float = 1.0,
    feeds: InputContract | None = None,
    allow_mismatch: bool = False,
    target: str = "",
) -> Certificate:
    """Fill a backbone from a file, and certify it.

    Only absence is tolerated, and only down to ``min_coverage``: a tensor of another shape, or a
    backbone key in the file that the target does not have, always stops. What the file lacks keeps
    its present (random) values.

    Args:
        backbone: Module whose state dict has the keys of torchvision's ResNet or mmdet's Darknet;
            changed in place, or not at all when this raises.
        path: Our ``.safetensors`` export, or a torchvision- or mmdet-keyed state dict.
        architecture: Name of the target backbone.
        min_coverage: Least fraction of the target's tensors (counters of batches left aside) to fill.
        feeds: What the network will be fed; 8-bit SAR with the statistics of the architecture if None.
        allow_mismatch: Whether weights that were trained on other input are loaded all the same.
        target: What the backbone is part of, for the certificate: a detector or a branch.

    Returns:
        The certificate.

    Raises:
        WeightsError: The file is unreadable, of another architecture, was trained on other input, or covers too
            little.
    """
    import torch

    source = read_weights(path)
    wanted = {key: value for key, value in backbone.state_dict().items() if not is_counter(key)}
    _check_fit(source, wanted, architecture)
    contract = check_contract(source.path, source.card, feeds or InputContract.of(architecture), allowed=allow_mismatch)
    found = {key: value for key, value in source.tensors.items() if not is_counter(key)}
    random = tuple(key for key in wanted if key not in found)
    coverage = len(found) / len(wanted)
    if coverage < min_coverage:
        raise WeightsError(
            source.path,
            found=f"{len(found)} of the {len(wanted)} tensors of {architecture} (coverage {coverage:.2f}); "
            f"{random[0]} is the first that is missing",
            expected=f"coverage of at least {min_coverage:.2f}",
            mend="use a complete file, or state the lower coverage as min_coverage in the config",
        )
    before = backbone_digests(backbone)
    with torch.no_grad():
        for key, tensor in wanted.items():
            if key in found:
                tensor.copy_(found[key])
    after = backbone_digests(backbone)
    for key, tensor in found.items():
        if after[key] != tensor_sha256(tensor.to(wanted[key].dtype)):
            raise WeightsError(
                source.path, found=f"{key} differs after loading", expected="equal values", mend="report this defect"
            )
    return Certificate(
        architecture=architecture,
        source=str(source.path),
        source_sha256=sha256_file(source.path),
        source_architecture=source.card.architecture if source.card else None,
        min_coverage=min_coverage,
        filled=tuple(
            Filled(key, source.source_keys[key], tuple(wanted[key].shape), before[key], after[key])
            for key in wanted
            if key in found
        ),
        random=random,
        unused=source.unused,
        backbone_sha256=after,
        target=target,
        stages=stages_of(backbone, set(found)),
        contract=contract,
    )


def fill(
    network: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    where: str | Path,
    *,
    of: str,
    expected: str,
    mend: str,
    assign: bool = False,
) -> None:
    """Fill a network from what was read of a file; nothing may be missing, left over or of another shape.

    Args:
        network: Changed in place.
        tensors: By the names of its state.
        where: The file, for the message.
        of: What they must fit, for the message: "the recipe", "its card".
        expected: What should have been there.
        mend: What to do.
        assign: Whether the tensors become those of the network, in place of being copied.

    Raises:
        WeightsError: Something is.
    """
    try:
        network.load_state_dict(tensors, strict=True, assign=assign)
    except RuntimeError as error:
        found = f"tensors that do not fit {of} ({' '.join(str(error).split())[:200]})"
        raise WeightsError(where, found=found, expected=expected, mend=mend) from error


def certify_random(
    backbone: nn.Module, *, architecture: str, feeds: InputContract | None = None, target: str = ""
) -> Certificate:
    """The certificate of a backbone that was left at its random start; arguments as of ``load_backbone``."""
    digests = backbone_digests(backbone)
    return Certificate(
        architecture=architecture,
        source=None,
        source_sha256=None,
        source_architecture=None,
        min_coverage=0.0,
        filled=(),
        random=tuple(digests),
        unused=(),
        backbone_sha256=digests,
        target=target,
        stages=stages_of(backbone, set()),
        contract=ContractCheck(None, RANDOM, feeds or InputContract.of(architecture)),
    )


def fits(path: str | Path, backbone: nn.Module, *, architecture: str) -> bool:
    """Whether a readable file holds weights of this architecture, however many.

    Raises:
        WeightsError: The file cannot be read.
    """
    source = read_weights(path)
    target = {key: value for key, value in backbone.state_dict().items() if not is_counter(key)}
    try:
        _check_fit(source, target, architecture)
    except WeightsError:
        return False
    return True


def _check_fit(source: SourceWeights, target: dict[str, torch.Tensor], architecture: str) -> None:
    expected = f"weights of {architecture}"
    if source.card is not None and source.card.architecture != architecture:
        raise WeightsError(
            source.path,
            found=f"a backbone of {source.card.architecture}",
            expected=expected,
            mend=f"give weights pretrained with a {architecture} branch",
        )
    for key, tensor in source.tensors.items():
        if is_counter(key):
            continue
        if key not in target:
            raise WeightsError(
                source.path,
                found=f"a tensor {source.source_keys[key]} that {architecture} does not have",
                expected=expected,
                mend=f"give weights of {architecture}",
            )
        if tensor.shape != target[key].shape:
            raise WeightsError(
                source.path,
                found=f"{source.source_keys[key]} of shape {tuple(tensor.shape)}",
                expected=f"shape {tuple(target[key].shape)} as in {architecture}",
                mend=f"give weights of {architecture}",
            )
        if not tensor.isfinite().all():
            raise WeightsError(
                source.path,
                found=f"NaN or infinity in {source.source_keys[key]}",
                expected="finite weights",
                mend="the training that wrote them diverged: train again",
            )
