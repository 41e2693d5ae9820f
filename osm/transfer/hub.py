"""Exports as folders in the layout of Hugging Face, and backbones from such folders or from the hub itself."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm import __version__
from osm.errors import ConfigError, DataError, EnvironmentProblem, WeightsError
from osm.files import check_seal, read_json, sha256_file, write_sealed, write_text
from osm.transfer.card import Card
from osm.transfer.export import read_export
from osm.transfer.model_card import model_card

if TYPE_CHECKING:
    from torch import nn

    from osm.transfer.certificate import Certificate

CONFIG = "config.json"
MODEL = "model.safetensors"
README = "README.md"
#: All that is in a folder; ``write_hub_folder`` replaces no folder that holds anything else.
FILES = (CONFIG, MODEL, README)
FORMAT = 1
#: A repository on the hub: an organisation or a person, and a name.
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A backbone that was loaded, with what is known of it.

    Attributes:
        backbone: In evaluation mode; from (N, 3, H, W), normalised as ``card.input`` says, to a tuple of maps.
        card: The card in its file.
        certificate: Proof that every tensor arrived.
        path: The file.
    """

    backbone: nn.Module
    card: Card
    certificate: Certificate
    path: Path


def write_hub_folder(
    path: str | Path,
    export_file: str | Path,
    *,
    licence: str | None = None,
    name: str | None = None,
    usages: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write ``config.json``, ``model.safetensors`` and ``README.md``: a folder that is whole or absent.

    The file of weights is copied byte by byte, card and digests included. Before the folder gets its name, the
    backbone is loaded from it.

    Args:
        path: The folder; to push it, ``hf upload ORGANISATION/NAME path``.
        export_file: A ``.safetensors`` file of one backbone with a card.
        licence: As of ``model_card``; "unknown" is written where it is None.
        name: Headline of the page.
        usages: As of ``model_card``.
        overwrite: Whether a folder that this function wrote earlier is replaced.

    Returns:
        The folder.

    Raises:
        ConfigError: Something is there already.
        WeightsError: The file is damaged, has no card, or holds more than one backbone.
    """
    final = Path(path)
    _, card = read_export(export_file)
    if card.matching:
        raise WeightsError(
            export_file,
            found="both branches of a bridge network",
            expected="one backbone",
            mend="give sar_backbone.safetensors, which lies beside it",
        )
    _check_place(final, overwrite=overwrite)
    with _atomic_folder(final) as folder:
        shutil.copyfile(export_file, folder / MODEL)
        digest = sha256_file(folder / MODEL)
        page = model_card(card, sha256=digest, file=MODEL, licence=licence, name=name, usages=usages)
        write_text(folder / README, page)
        write_sealed(folder / CONFIG, json.loads(json.dumps(_config(card, digest, licence))))
        load_pretrained(folder)
    return final


def load_pretrained(
    name_or_folder: str | Path,
    *,
    revision: str | None = None,
    levels: Sequence[int] | None = None,
    cache_dir: str | Path | None = None,
) -> Pretrained:
    """Load a backbone from a folder of ``write_hub_folder``, or from a repository of the hub.

    Nothing but ``config.json`` and ``model.safetensors`` is read or downloaded, and nothing in them is run.

    Args:
        name_or_folder: A folder, else ``ORGANISATION/NAME``.
        revision: Branch, tag or commit of the repository.
        levels: Maps to return, as of ``osm.transfer.architectures.build_backbone``; the last alone by default.
        cache_dir: Where downloads are kept, in place of the hub's own cache.

    Raises:
        ConfigError: It is neither a folder nor the name of a repository.
        EnvironmentProblem: A repository is named, and ``huggingface_hub`` is not installed.
        WeightsError: The folder is incomplete or damaged, or the repository cannot be had.
    """
    from osm.transfer.architectures import build_backbone
    from osm.transfer.load import load_backbone

    config_file, model_file = _files(name_or_folder, revision, cache_dir)
    config = _read_config(config_file)
    found = sha256_file(model_file)
    if found != config["model_sha256"]:
        raise WeightsError(
            model_file,
            found=f"a file with SHA-256 {found[:12]}…",
            expected=f"{config['model_sha256'][:12]}…, as its config.json says",
            mend="the file was changed or damaged: copy or download the folder again",
        )
    _, card = read_export(model_file)
    backbone = build_backbone(card.architecture, levels)
    certificate = load_backbone(backbone, model_file, architecture=card.architecture)
    backbone.eval()
    return Pretrained(backbone, card, certificate, model_file)


def _config(card: Card, digest: str, licence: str | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "model_type": "osm-backbone",
        "library_name": "osm-ssd",
        "osm_ssd_version": __version__,
        "architecture": card.architecture,
        "input": asdict(card.input),
        "license": licence,
        "simulated": bool(card.data.get("simulated")),
        "model_sha256": digest,
    }


def _read_config(path: Path) -> dict[str, Any]:
    expected = {"expected": f"a config of osm-ssd, format {FORMAT}", "mend": "write or download the folder again"}
    try:
        content = read_json(path)
        check_seal(path, content)
    except DataError as error:
        raise WeightsError(path, found=error.found, expected=error.expected, mend=error.mend) from error
    if content.get("format") != FORMAT or not isinstance(content.get("model_sha256"), str):
        raise WeightsError(path, found=f"format {content.get('format')!r}", **expected)
    return dict(content)


def _files(name: str | Path, revision: str | None, cache_dir: str | Path | None) -> tuple[Path, Path]:
    folder = Path(name)
    if folder.is_dir():
        for wanted in (CONFIG, MODEL):
            if not (folder / wanted).is_file():
                raise WeightsError(
                    folder, found=f"no {wanted}", expected=f"{CONFIG} and {MODEL}", mend="give a folder of osm export"
                )
        return folder / CONFIG, folder / MODEL
    if not _REPOSITORY.fullmatch(str(name)):
        raise ConfigError(
            name, found="no such folder", expected="a folder, or ORGANISATION/NAME on the hub", mend="correct the name"
        )
    try:
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise EnvironmentProblem(
            name,
            found="no such folder, and no huggingface_hub to look on the hub",
            expected="one of them",
            mend="pip install 'osm-ssd[hub]'",
        ) from error
    try:
        config, model = (
            Path(huggingface_hub.hf_hub_download(str(name), wanted, revision=revision, cache_dir=cache_dir))
            for wanted in (CONFIG, MODEL)
        )
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(
            name,
            found=f"no such folder, and nothing from the hub ({type(error).__name__}: {reason})",
            expected=f"{CONFIG} and {MODEL}, in the cache or by the network",
            mend="check the name, the revision and the connection, or download the folder elsewhere and give its path",
        ) from error
    return config, model


def _check_place(final: Path, *, overwrite: bool) -> None:
    if not final.exists() and not final.is_symlink():
        return
    strange = [] if not final.is_dir() else sorted({entry.name for entry in final.iterdir()} - set(FILES))
    if overwrite and final.is_dir() and not final.is_symlink() and not strange:
        return
    holds = f"a folder that holds {strange[0]}" if strange else "a folder" if final.is_dir() else "a file"
    mend = "choose another path" + ("" if overwrite else ", or --overwrite to replace a folder written before")
    raise ConfigError(final, found=holds, expected="a new folder", mend=mend)


@contextmanager
def _atomic_folder(final: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``final`` that takes its name, and its place, when the block succeeds."""
    final.parent.mkdir(parents=True, exist_ok=True)
    above = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    # inside one that is private; it has itself the permissions of any other new folder
    folder, before = above / "new", above / "before"
    folder.mkdir()
    try:
        yield folder
        if final.exists():
            final.rename(before)
        try:
            folder.rename(final)
        except OSError:
            if before.exists():
                before.rename(final)
            raise
    finally:
        shutil.rmtree(above, ignore_errors=True)
