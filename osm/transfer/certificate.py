"""The certificate: which tensor of a backbone came from where, and proof that it arrived and was there at step 0."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm.errors import DataError, WeightsError
from osm.files import check_seal, read_json, write_sealed
from osm.transfer.contract import ContractCheck
from osm.transfer.export import tensor_sha256
from osm.transfer.stages import Stage, stages_of

if TYPE_CHECKING:
    from torch import nn

#: Name of the schema that ``to_json`` follows; the file is in ``osm/transfer/schemas``.
SCHEMA = "osm-certificate-1"
#: ``format`` of certificates from before there was a schema.
EARLIER = 1
#: What is estimated from data and may be estimated anew before a training starts.
STATISTICS = ("running_mean", "running_var")


def percent(fraction: float) -> str:
    """A part that was filled, in percent: what is just below 1 is not rounded to all."""
    return f"{int(1000 * fraction) / 10:g} %"


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
class Step0:
    """A backbone at the last moment before its first training step.

    Attributes:
        sha256: As ``Certificate.sha256``, of what was there.
        changed: Keys whose values are not those that were loaded.
        reestimated: Whether statistics of batch norm were estimated anew, as the config asked: those may differ.
    """

    sha256: str
    changed: tuple[str, ...]
    reestimated: bool = False

    @property
    def equal(self) -> bool:
        """Whether everything is as it was loaded."""
        return not self.changed

    @property
    def unexpected(self) -> tuple[str, ...]:
        """What changed and was not meant to."""
        return tuple(key for key in self.changed if not (self.reestimated and key.endswith(STATISTICS)))


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
        target: What the backbone is part of: a detector or a branch.
        stages: Coverage stage by stage, and what is frozen: as loaded, and from ``at_step0`` on as trained.
        contract: What the weights were trained on beside what the network is fed.
        step0: What was found at the first training step; None before it.
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
    target: str = ""
    stages: tuple[Stage, ...] = ()
    contract: ContractCheck | None = None
    step0: Step0 | None = None

    @property
    def coverage(self) -> float:
        """Fraction of the target's tensors that were filled, counters of batches left aside."""
        total = len(self.filled) + len(self.random)
        return len(self.filled) / total if total else 0.0

    @property
    def value_coverage(self) -> float:
        """Fraction of the values that can be trained that were filled: few large tensors may hold most of them."""
        total = sum(stage.parameters for stage in self.stages)
        return sum(stage.parameters_filled for stage in self.stages) / total if total else self.coverage

    @property
    def complete(self) -> bool:
        """Whether every tensor was filled."""
        return not self.random

    @property
    def sha256(self) -> str:
        """One SHA-256 over names and hashes of all tensors after loading."""
        return _digest(self.backbone_sha256)

    def to_json(self) -> dict[str, Any]:
        """The certificate as JSON values, by the schema ``SCHEMA``; the seal is put in when it is written."""
        values = asdict(self)
        del values["contract"], values["step0"]
        step0 = self.step0
        return {
            "schema": SCHEMA,
            "coverage": self.coverage,
            **json.loads(json.dumps(values)),
            "sha256_at_load": self.sha256,
            "contract": self.contract.to_json() if self.contract else None,
            "step0": None if step0 is None else {**asdict(step0), "changed": list(step0.changed), "equal": step0.equal},
        }

    def write(self, path: str | Path) -> None:
        """Write ``certificate.json`` with the SHA-256 of its content inside, atomically."""
        write_sealed(path, json.loads(json.dumps(self.to_json(), allow_nan=False)))

    def at_step0(self, backbone: nn.Module, *, reestimated: bool = False) -> Certificate:
        """This certificate with what a backbone holds now, at the first training step; see ``confirm``.

        Args:
            backbone: In the mode it is trained in.
            reestimated: Whether statistics of batch norm were estimated anew on purpose.
        """
        now = backbone_digests(backbone)
        changed = tuple(key for key, digest in self.backbone_sha256.items() if now.get(key) != digest)
        stages = stages_of(backbone, {entry.target for entry in self.filled})
        return replace(self, stages=stages, step0=Step0(_digest(now), changed, reestimated))

    def confirm(self) -> None:
        """Make sure that ``at_step0`` found what was loaded.

        Raises:
            WeightsError: A tensor changed since; the line names the first one.
        """
        wrong = self.step0.unexpected if self.step0 else ()
        if wrong:
            raise WeightsError(
                self.source or "random start",
                found=f"{len(wrong)} of {len(self.backbone_sha256)} backbone tensors changed before the "
                f"first step ({wrong[0]} first)",
                expected="the weights that were loaded",
                mend="something re-initialised the detector after loading; report this as a defect",
            )

    def check(self, backbone: nn.Module) -> None:
        """Make sure that the backbone still holds what was loaded, without writing it down.

        Raises:
            WeightsError: A tensor changed since; the line names the first one.
        """
        self.at_step0(backbone).confirm()

    def resumed(self, path: str | Path) -> Certificate:
        """This certificate with the ``step0`` of an earlier session of the same run, if one was written.

        A resumed run has moved on from its start, which can be looked at no more.

        Args:
            path: The certificate of that session; it may be missing.

        Raises:
            DataError: The file is damaged.
        """
        if not Path(path).is_file():
            return self
        earlier = read_certificate(path)
        found = earlier.get("step0")
        if not found or earlier["backbone_sha256"] != self.backbone_sha256:
            return self
        stages = tuple(Stage(**stage) for stage in earlier["stages"])
        return replace(self, stages=stages, step0=Step0(found["sha256"], tuple(found["changed"]), found["reestimated"]))


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what ``Certificate.write`` writes."""
    text = (
        resources.files("osm.transfer").joinpath("schemas").joinpath("certificate-1.json").read_text(encoding="utf-8")
    )
    content: dict[str, Any] = json.loads(text)
    return content


def read_certificate(path: str | Path) -> dict[str, Any]:
    """The JSON values of a certificate, its SHA-256 checked.

    Certificates of format 1, from before there was a schema, have neither hash nor contract, stages or step 0; they
    are handed over as they are.

    Raises:
        DataError: The file is missing, no certificate, damaged, or of a version that this one does not know.
    """
    content = read_json(path)
    if isinstance(content, dict) and content.get("schema") == SCHEMA:
        check_seal(path, content)
        return dict(content)
    earlier = isinstance(content, dict) and "schema" not in content and content.get("format") == EARLIER
    if earlier and "backbone_sha256" in content:
        return dict(content)
    named = content.get("schema", "no certificate") if isinstance(content, dict) else "no certificate"
    raise DataError(
        path, found=str(named), expected=f"a certificate ({SCHEMA})", mend="check the path, or read it with its version"
    )


def is_counter(key: str) -> bool:
    """Whether a key is batch norm's count of batches, which carries nothing that was learned."""
    return key.endswith("num_batches_tracked")


def backbone_digests(backbone: nn.Module) -> dict[str, str]:
    """SHA-256 of every tensor of a backbone but the counters of batches."""
    return {key: tensor_sha256(value) for key, value in backbone.state_dict().items() if not is_counter(key)}


def _digest(digests: Mapping[str, str]) -> str:
    lines = "".join(f"{key} {digests[key]}\n" for key in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()
