"""Arms: the ways to initialise a detector, and where their weights are."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from osm.errors import ConfigError, WeightsError
from osm.transfer.card import OSD, OSM, SAR_DETECTOR, Card

KINDS = ("scratch", "imagenet", "osm", "osd")
#: Of these, the ones whose weights somebody pretrained and gives as a file.
PRETRAINED = ("osm", "osd")


@dataclass(frozen=True)
class Init:
    """How a detector's backbone starts.

    Attributes:
        kind: ``scratch``, ``imagenet``, ``osm`` (pretrained by matching) or ``osd`` (as an optical ship detector).
        path: The file of weights; None for ``scratch``, and for ``imagenet`` where it is to be downloaded.
    """

    kind: str
    path: Path | None = None

    def __str__(self) -> str:
        return self.kind if self.path is None else f"{self.kind}:{self.path}"


def parse_init(text: str) -> Init:
    """Read ``scratch``, ``imagenet``, ``imagenet:PATH``, ``osm:PATH`` or ``osd:PATH``.

    Raises:
        ConfigError: It is none of these.
    """
    kind, _, path = text.partition(":")
    bad = kind not in KINDS or (kind == "scratch" and path) or (kind in PRETRAINED and not path)
    if bad:
        raise ConfigError(
            "--init",
            found=repr(text),
            expected="scratch, imagenet, imagenet:PATH, osm:PATH or osd:PATH",
            mend="correct the option",
        )
    return Init(kind, Path(path) if path else None)


def check_kind(kind: str, path: Path, card: Card | None) -> None:
    """Make sure that weights are called what their card says: as ``osd`` those of an optical ship detector alone.

    Args:
        kind: Of the start.
        path: The file, for the error.
        card: Its card, where it has one.

    Raises:
        WeightsError: The kind and the card disagree: files were swapped.
    """
    made = None if card is None else card.pretrained
    if kind == OSD:
        if made != OSD:
            was = {None: "without a card", OSM: "that no detector was trained with"}.get(made, f"of a {made}")
            raise WeightsError(
                path,
                found=f"weights {was}, for a start of the kind osd",
                expected="the backbone of a detector of optical ships",
                mend="train one on optical scenes with `osm finetune`, then `osm export RUN --to safetensors`",
            )
    elif made == OSD:
        raise WeightsError(
            path,
            found=f"the backbone of a detector of optical ships, for a start of the kind {kind}",
            expected="weights that no detector was trained with",
            mend=f"give it as --arm osd={path} (osm compare), or as osd:{path}",
        )
    elif made == SAR_DETECTOR:
        raise WeightsError(
            path,
            found=f"the backbone of a {made}, for a start of the kind {kind}",
            expected="weights that no detector was trained with",
            mend="leave it out: labels of SAR ships that only one arm has seen are no fair start",
        )


def imagenet_url(architecture: str) -> str | None:
    """Where the publishers keep the ImageNet weights of a backbone; None if nobody publishes any."""
    if architecture in ("resnet18", "resnet50"):
        from torchvision.models import get_model_weights

        return str(get_model_weights(architecture)["IMAGENET1K_V1"].url)
    if architecture == "darknet53":
        from mmengine.runner.checkpoint import get_external_models

        return str(get_external_models()["darknet53"])
    return None


def imagenet_weights(architecture: str) -> Path:
    """The ImageNet weights of a backbone, from torch's cache or downloaded into it.

    Raises:
        WeightsError: None are published, or they cannot be downloaded; the line names the file and
            the folder to put it in.
    """
    from torch import hub

    url = imagenet_url(architecture)
    if url is None:
        raise WeightsError(
            f"imagenet weights of {architecture}",
            found="none published",
            expected="published weights",
            mend="leave the arm out for this detector, or give a file as imagenet:PATH",
        )
    name = url.rsplit("/", 1)[1]
    path = Path(hub.get_dir()) / "checkpoints" / name
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    # the publishers end a file's name with the first characters of its SHA-256
    prefix = name.rsplit("-", 1)[1].split(".")[0]
    try:
        with _patience(seconds=20):
            hub.download_url_to_file(url, str(path), hash_prefix=prefix, progress=os.isatty(2))
    except (URLError, OSError, RuntimeError) as error:
        raise WeightsError(
            name,
            found=f"not on this machine, and the download failed ({error})",
            expected=f"ImageNet weights of {architecture}",
            mend=f"fetch {url} elsewhere and put it at {path}, or give a file as imagenet:PATH",
        ) from error
    return path


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
