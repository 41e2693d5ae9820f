"""``osm import``: another framework's file as one of ours, to start branches and detectors from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm.errors import ConfigError, WeightsError
from osm.files import atomic_path, sha256_file
from osm.transfer.adapters.base import SOURCES, Adapter, adapter
from osm.transfer.adapters.exporting import check_out
from osm.transfer.adapters.sidecars import Record, read_record, sha256_line, sha256_path
from osm.transfer.adapters.verify import every_map, verify
from osm.transfer.card import Card, InputContract
from osm.transfer.certificate import is_counter
from osm.transfer.export import export_tensors
from osm.transfer.initialise import initialise
from osm.transfer.load import load_backbone
from osm.transfer.weights import SourceWeights

if TYPE_CHECKING:
    from torch import Tensor


#: How many of the tensors that no backbone needs a card lists: a detector has hundreds.
SHOWN = 8


@dataclass(frozen=True)
class Imported:
    """What was written.

    Attributes:
        path: The file.
        beside: Its SHA-256, beside it.
        sha256: Of the file.
        coverage: Fraction of the backbone's tensors that the source had, counters of batches left aside.
        missing: Our keys of what it had not.
        unused: What it had that no backbone needs.
        largest_difference: Between the features of the source in its framework and ours.
        card: Of the weights.
    """

    path: Path
    beside: tuple[Path, ...]
    sha256: str
    coverage: float
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    largest_difference: float
    card: Card


def import_from(
    source: str | Path,
    framework: str,
    *,
    architecture: str,
    out: str | Path,
    allow_partial: bool = False,
    overwrite: bool = False,
) -> Imported:
    """Write another framework's backbone as one of our files, and prove it.

    The framework's own model is filled from the source, ours from the file that was written, each strictly; their
    features on an image must be the same. What a partial source lacks is the same random draw in both, and is not in
    the file. What fails leaves nothing behind.

    Args:
        source: A file that the framework reads: of a backbone, a classifier, or a detector that has it.
        framework: One of ``SOURCES``.
        architecture: Of the backbone.
        out: The ``.safetensors`` file to write.
        allow_partial: Whether tensors may be missing; the card says which.
        overwrite: Whether a file that is there already is replaced.

    Raises:
        ConfigError: The framework has no such backbone, or ``out`` does not suit or is taken.
        EnvironmentProblem: The framework is not installed.
        WeightsError: The source is unreadable, incomplete, of another network, ours already, or the proof failed.
    """
    source, final = Path(source), Path(out)
    if framework not in SOURCES:
        raise ConfigError(
            "--from", found=repr(framework), expected=f"one of {', '.join(SOURCES)}", mend="correct the option"
        )
    known = adapter(framework)
    known.check(architecture)
    check_out(final, source, (".safetensors",), overwrite=overwrite)
    weights = known.read(source)
    record = read_record(source)
    _check_origin(weights, record, known, architecture)

    start = every_map(architecture)
    initialise(start, seed=0)
    drawn = start.state_dict()
    keys = known.rename(architecture, list(drawn))
    found = _found(weights, drawn, keys, known, architecture)
    learned = [key for key in drawn if not is_counter(key)]
    missing = tuple(key for key in learned if key not in found)
    coverage = 1 - len(missing) / len(learned)
    if missing and (not allow_partial or len(missing) == len(learned)):
        raise WeightsError(
            source,
            found=f"{len(learned) - len(missing)} of the {len(learned)} tensors of {architecture} (coverage "
            f"{coverage:.2f}); {keys[missing[0]]} is the first that is missing",
            expected="all of them",
            mend="use a complete file, or give --allow-partial if some are to stay random",
        )
    card = _card(source, record, weights, known, architecture, coverage, missing)

    # published files may lack the counters of batches, which other frameworks then miss
    present = {key.rpartition(".")[0] for key in found}
    counters = {key: drawn[key] for key in drawn if is_counter(key) and key.rpartition(".")[0] in present}
    stored = {key: (counters | found)[key] for key in drawn if key in found or key in counters}
    theirs = known.build(architecture)
    known.load(theirs, {keys[key]: found.get(key, value) for key, value in drawn.items()})
    with atomic_path(sha256_path(final)) as beside, atomic_path(final) as temporary:
        export_tensors(temporary, stored, card)
        load_backbone(start, temporary, architecture=architecture, min_coverage=0.0)
        difference = verify(architecture, start, theirs, known, source)
        digest = sha256_file(temporary)
        beside.write_text(sha256_line(digest, final), encoding="utf-8")
    return Imported(
        path=final,
        beside=(sha256_path(final),),
        sha256=digest,
        coverage=coverage,
        missing=missing,
        unused=weights.unused,
        largest_difference=difference,
        card=card,
    )


def _check_origin(weights: SourceWeights, record: Record | None, known: Adapter, architecture: str) -> None:
    if weights.card is not None:
        raise WeightsError(
            weights.path,
            found="weights of ours, with a card",
            expected=f"a file of {known.name}",
            mend="use it as it is",
        )
    if record is not None and record.card.architecture != architecture:
        raise WeightsError(
            weights.path,
            found=f"a backbone of {record.card.architecture}",
            expected=architecture,
            mend=f"give --architecture {record.card.architecture}",
        )
    reason = (known.not_imported or {}).get(architecture)
    if record is None and reason:
        raise WeightsError(
            weights.path,
            found=f"weights of another network: {reason}",
            expected=f"a file that osm export --to {known.name} wrote",
            mend="import it from mmdet or from Darknet's own files",
        )


def _found(
    weights: SourceWeights, wanted: Mapping[str, Tensor], keys: Mapping[str, str], known: Adapter, architecture: str
) -> dict[str, Tensor]:
    """The source's tensors under our keys, in float32; each of them has to be one of the backbone's."""
    ours = {theirs: key for key, theirs in keys.items()}
    expected = f"weights of {architecture} as in {known.name}"
    mend = f"give weights of {architecture}, or the framework that the file is of"
    found = {}
    for theirs, tensor in weights.tensors.items():
        shown = weights.source_keys[theirs]
        if theirs not in ours:
            raise WeightsError(
                weights.path, found=f"a tensor {shown} that {architecture} does not have", expected=expected, mend=mend
            )
        key = ours[theirs]
        number = "integer" if is_counter(key) else "floating point"
        if tensor.shape != wanted[key].shape or tensor.is_floating_point() == is_counter(key):
            raise WeightsError(
                weights.path,
                found=f"{shown} of shape {tuple(tensor.shape)}, {tensor.dtype}",
                expected=f"shape {tuple(wanted[key].shape)}, {number}",
                mend=mend,
            )
        if not bool(tensor.isfinite().all()):
            raise WeightsError(
                weights.path,
                found=f"NaN or infinity in {shown}",
                expected="finite weights",
                mend="copy or download the file again",
            )
        found[key] = tensor.to(wanted[key].dtype)
    return found


def _card(
    source: Path,
    record: Record | None,
    weights: SourceWeights,
    known: Adapter,
    architecture: str,
    coverage: float,
    missing: Sequence[str],
) -> Card:
    facts: dict[str, Any] = {
        "imported_from": known.name,
        "source": source.name,
        "source_sha256": sha256_file(source),
        "coverage": coverage,
        "partial": bool(missing),
        "random": list(missing),
    }
    if weights.unused:
        more = [f"and {len(weights.unused) - SHOWN} more"] if len(weights.unused) > SHOWN else []
        facts["unused"] = [*weights.unused[:SHOWN], *more]
    if record is not None:
        # the same weights as before: what is known of their training stays known
        return replace(record.card, start={**record.card.start, "import": facts})
    return Card(architecture, InputContract.of(architecture), start=facts)
