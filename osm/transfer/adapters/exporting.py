"""``osm export``: a backbone as another framework's users load it, proven before it has its name."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from osm.errors import ConfigError
from osm.files import atomic_path, sha256_file
from osm.transfer.adapters.base import TARGETS, Adapter, adapter
from osm.transfer.adapters.sidecars import RECORD_KEY, Record, card_path, sha256_line, sha256_path
from osm.transfer.adapters.verify import every_map, verify
from osm.transfer.card import Card, InputContract
from osm.transfer.certificate import is_counter
from osm.transfer.export import export_tensors, read_safetensors, write_safetensors
from osm.transfer.load import load_backbone
from osm.transfer.weights import SourceWeights, read_weights

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The file.
        beside: What lies beside it: its SHA-256, and its card where it is no safetensors file.
        framework: The adapter.
        sha256: Of the file.
        largest_difference: Between its features in the framework and ours.
        card: Of the weights.
        usage: How the framework's users load it.
    """

    path: Path
    beside: tuple[Path, ...]
    framework: str
    sha256: str
    largest_difference: float
    card: Card
    usage: str


def export_to(
    source: str | Path,
    framework: str,
    *,
    out: str | Path | None = None,
    architecture: str | None = None,
    card: Card | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a backbone for another framework, and prove it.

    The framework's own model is built and filled, strictly, from the file that was written; its features on an image
    must be ours. What fails leaves nothing behind.

    Args:
        source: Our export, or any file that ``read_weights`` reads.
        framework: One of ``TARGETS``.
        out: The file to write; beside the source if not given.
        architecture: Of the backbone; needed where there is no card.
        card: Of a source that has none in it.
        overwrite: Whether a file that is there already is replaced.

    Raises:
        ConfigError: The framework has no such backbone, or ``out`` does not suit it or is taken.
        EnvironmentProblem: The framework is not installed.
        WeightsError: The source is incomplete or unreadable, or the proof failed.
    """
    source = Path(source)
    if framework not in TARGETS:
        raise ConfigError(
            "--to", found=repr(framework), expected=f"one of {', '.join(TARGETS)}", mend="correct the option"
        )
    known = adapter(framework)
    weights = read_weights(source)
    if weights.card is None:
        weights = replace(weights, card=card)
    name = _architecture(weights, architecture)
    known.check(name)
    ending = "plain" if framework == "safetensors" else framework
    final = Path(out) if out is not None else source.with_name(f"{source.stem}_{ending}{known.suffixes[0]}")
    check_out(final, source, known.suffixes, overwrite=overwrite)

    ours = every_map(name)
    certificate = load_backbone(ours, source, architecture=name)
    card = weights.card or Card(
        name,
        InputContract.of(name),
        start={"source": source.name, "source_sha256": certificate.source_sha256, "coverage": 1.0},
    )
    tensors = {
        # counters carry nothing learned, so that loading leaves them; they are handed on all the same
        key: weights.tensors.get(key, value) if is_counter(key) else value
        for key, value in ours.state_dict().items()
    }
    keys = known.rename(name, list(tensors))
    tensors = {keys[key]: value for key, value in tensors.items()}

    sidecars = [sha256_path(final)] if final.suffix == ".safetensors" else [sha256_path(final), card_path(final)]
    with ExitStack() as stack:
        beside = [stack.enter_context(atomic_path(path)) for path in sidecars]
        temporary = stack.enter_context(atomic_path(final))
        model = known.build(name)
        record = Record(framework, card, source.name, str(certificate.source_sha256))
        _write(temporary, tensors, known, record)
        known.load(model, _read(temporary))
        difference = verify(name, ours, model, known, final)
        digest = sha256_file(temporary)
        beside[0].write_text(sha256_line(digest, final), encoding="utf-8")
        if len(beside) > 1:
            text = record.to_json(file=final.name, sha256=digest)
            beside[1].write_text(text + "\n", encoding="utf-8")
    return Exported(
        path=final,
        beside=tuple(sidecars),
        framework=framework,
        sha256=digest,
        largest_difference=difference,
        card=card,
        usage=known.usage(name, str(final)),
    )


def check_out(out: Path, source: Path, suffixes: tuple[str, ...], *, overwrite: bool) -> None:
    """Make sure that a file may be written.

    Raises:
        ConfigError: Its suffix is none of ``suffixes``, it is the source, or it is there and must not be replaced.
    """
    if out.suffix not in suffixes:
        raise ConfigError(
            out, found=f"suffix {out.suffix!r}", expected=" or ".join(suffixes), mend="give --out such a name"
        )
    if out.is_dir() or (out.exists() and source.exists() and out.samefile(source)):
        what = "a folder" if out.is_dir() else "the source itself"
        raise ConfigError(out, found=what, expected="a file to write", mend="give --out another name")
    if out.exists() and not overwrite:
        raise ConfigError(
            out, found="a file already there", expected="none", mend="give --overwrite, or --out another name"
        )


def _architecture(weights: SourceWeights, given: str | None) -> str:
    if weights.card is None:
        if given is None:
            raise ConfigError(
                weights.path,
                found="weights without a card",
                expected="to be told their architecture",
                mend="give --architecture, e.g. --architecture resnet50",
            )
        return given
    if given is not None and given != weights.card.architecture:
        raise ConfigError(
            "--architecture",
            found=given,
            expected=f"{weights.card.architecture}, as the card of {weights.path} says",
            mend="leave the option out",
        )
    return weights.card.architecture


def _write(path: Path, tensors: dict[str, Tensor], known: Adapter, record: Record) -> None:
    import torch

    if known.name == "safetensors":
        export_tensors(path, tensors, record.card)
    elif path.suffix == ".safetensors":
        write_safetensors(path, tensors, {RECORD_KEY: record.to_json()})
    else:
        apart = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
        # to a stream: to a path, the archive inside has the path's name, and the same weights another SHA-256
        with path.open("wb") as stream:
            torch.save(apart, stream)


def _read(path: Path) -> dict[str, Tensor]:
    import torch

    if path.suffix == ".safetensors":
        return read_safetensors(path)[0]
    found: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return found
