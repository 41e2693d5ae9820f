"""The certificate: which tensor of a backbone came from where, and proof that it arrived."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm.errors import WeightsError
from osm.files import write_json
from osm.transfer.export import tensor_sha256

if TYPE_CHECKING:
    from torch import nn

FORMAT = 1


@dataclass(frozen=True)
class Filled:
    """One tensor of the target that was filled.

    Attributes:
        target: Key in the backbone.
        source: Key in the file.
        shape: Shape of both.
        sha256_before: Of the values that were there (the random start).
        sha256_after: Of the values that are there now, equal to those of the file.
    """

    target: str
    source: str
    shape: tuple[int, ...]
    sha256_before: str
    sha256_after: str


@dataclass(frozen=True)
class Certificate:
    """What was loaded where.

    Attributes:
        architecture: Name of the target backbone.
        source: File the weights came from; None when everything stayed at its random start.
        source_sha256: SHA-256 of that file.
        source_architecture: What the source's card says, where it has one.
        min_coverage: Threshold that had to be met.
        filled: One entry a tensor.
        random: Keys of the target that stayed at their random start.
        unused: Keys of the file that were not needed (a classifier, say).
        backbone_sha256: Key → SHA-256 of every tensor of the backbone after loading.
    """

    architecture: str
    source: str | None
    source_sha256: str | None
    source_architecture: str | None
    min_coverage: float
    filled: tuple[Filled, ...]
    random: tuple[str, ...]
    unused: tuple[str, ...]
    backbone_sha256: dict[str, str]

    @property
    def coverage(self) -> float:
        """Fraction of the target's tensors that were filled, counters of batches left aside."""
        total = len(self.filled) + len(self.random)
        return len(self.filled) / total if total else 0.0

    @property
    def complete(self) -> bool:
        """Whether every tensor was filled."""
        return not self.random

    def to_json(self) -> dict[str, Any]:
        """The certificate as JSON values, ``format`` and ``coverage`` included."""
        return {"format": FORMAT, "coverage": self.coverage, **asdict(self)}

    def write(self, path: str | Path) -> None:
        """Write ``certificate.json``, atomically."""
        write_json(path, self.to_json())

    def check(self, backbone: nn.Module) -> None:
        """Make sure that the backbone still holds what was loaded, e.g. at the first training step.

        Raises:
            WeightsError: A tensor changed since; the line names the first one.
        """
        now = backbone_digests(backbone)
        changed = [key for key, digest in self.backbone_sha256.items() if now.get(key) != digest]
        if changed:
            raise WeightsError(
                self.source or "random start",
                found=f"{len(changed)} of {len(self.backbone_sha256)} backbone tensors changed before the "
                f"first step ({changed[0]} first)",
                expected="the weights that were loaded",
                mend="something re-initialised the detector after loading; report this as a defect",
            )


def is_counter(key: str) -> bool:
    """Whether a key is batch norm's count of batches, which carries nothing that was learned."""
    return key.endswith("num_batches_tracked")


def backbone_digests(backbone: nn.Module) -> dict[str, str]:
    """SHA-256 of every tensor of a backbone but the counters of batches."""
    return {key: tensor_sha256(value) for key, value in backbone.state_dict().items() if not is_counter(key)}
