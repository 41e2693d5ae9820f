"""An index: the embeddings of a folder of images, computed once and searched with the other modality."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.data.parallel import Step
from osm.data.partners import find_files
from osm.errors import ConfigError, DataError, EnvironmentProblem
from osm.matching.distance import squared_diameter
from osm.matching.match_images import embed_images
from osm.matching.matcher import MODALITIES, Matcher
from osm.matching.patch import PatchRule
from osm.matching.retrieval import nearest
from osm.transfer.export import read_safetensors, require_digest, write_safetensors

FORMAT = 1
INDEX_KEY = "osm.index"
#: Up to so many embeddings are searched by numpy and scipy; more by faiss, exactly too.
PLAIN = 100_000


@dataclass(frozen=True)
class IndexFacts:
    """What an index says of itself.

    Attributes:
        network_sha256: Digest of the network that made it.
        modality: "sar" or "optical".
        space: Where distances are measured.
        names: The images by row, relative to the folder.
        fit: How images became patches (``osm.matching.patch``).
        radiometry: How their values became 8 bits.
        format: Version of this record.
    """

    network_sha256: str
    modality: str
    space: str
    names: tuple[str, ...]
    fit: str
    radiometry: str
    format: int = FORMAT


@dataclass(frozen=True, eq=False)
class Index:
    """Embeddings with their names.

    Attributes:
        facts: What they are.
        embeddings: (N, d) float32.
    """

    facts: IndexFacts
    embeddings: npt.NDArray[np.float32]

    def write(self, path: Path) -> None:
        """Write it as one ``.safetensors`` file with a digest, atomically."""
        import torch

        tensors = {"embeddings": torch.from_numpy(self.embeddings)}
        write_safetensors(path, tensors, {INDEX_KEY: json.dumps(asdict(self.facts))})

    @classmethod
    def read(cls, path: Path, network_sha256: str) -> Index:
        """Read an index for use with a network.

        Args:
            path: The file.
            network_sha256: Digest of the network that will make the queries.

        Raises:
            WeightsError: The file is missing or damaged.
            DataError: It is no index, or one that another network made.
        """
        tensors, metadata = read_safetensors(path)
        again = "make it with osm match index"
        if INDEX_KEY not in metadata or "embeddings" not in tensors:
            raise DataError(path, found="a file that is no index", expected="an index", mend=again)
        require_digest(path, tensors, metadata)
        try:
            values = json.loads(metadata[INDEX_KEY])
            facts = IndexFacts(**{**values, "names": tuple(values["names"])})
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                path, found=f"an index with a broken record ({error!r})", expected=f"format {FORMAT}", mend=again
            ) from error
        if facts.network_sha256 != network_sha256:
            raise DataError(
                path,
                found=f"an index of the network {facts.network_sha256[:12]}…",
                expected=f"one of the network {network_sha256[:12]}…, since embeddings of two cannot be compared",
                mend="give the network that made it, or make it again with osm match index",
            )
        return cls(facts, tensors["embeddings"].numpy())

    def search(
        self, queries: npt.NDArray[np.float32], count: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The nearest images to embeddings of the other modality, exactly.

        Args:
            queries: (Q, d).
            count: How many to find, at least 1; fewer where the index has fewer.

        Returns:
            (Q, min(count, N)) rows, nearest first, and their distances in [0, 1].

        Raises:
            EnvironmentProblem: It holds more than ``PLAIN`` embeddings, and faiss is not installed.
        """
        search = nearest if len(self.embeddings) <= PLAIN else nearest_by_faiss
        places, squared = search(queries, self.embeddings, count)
        return places, np.sqrt(squared / squared_diameter(self.embeddings.shape[1], self.facts.space))


def build_index(
    matcher: Matcher,
    images: str,
    modality: str,
    rule: PatchRule,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Step | None = None,
) -> tuple[Index, dict[str, int]]:
    """Embed images and write their index.

    Args:
        matcher: The network.
        images: A folder, a glob or one file.
        modality: What they are, "sar" or "optical".
        rule: How an image becomes a patch.
        out: The ``.safetensors`` file to write.
        overwrite: Whether an index that is there already is replaced.
        progress: Called after every batch.

    Returns:
        The index, and what was done to how many images.

    Raises:
        ConfigError: Another modality, or another suffix.
        DataError: No images, one that cannot be read, or a file that is there already.
    """
    if modality not in MODALITIES:
        raise ConfigError(
            "--modality", found=repr(modality), expected=f"one of {', '.join(MODALITIES)}", mend="correct it"
        )
    if out.suffix != ".safetensors":
        raise ConfigError("--out", found=str(out), expected="a .safetensors file", mend=f"write {out}.safetensors")
    if out.exists() and not overwrite:
        raise DataError(
            out, found="a file", expected="a new name", mend="choose another --out, or replace it with --overwrite"
        )
    paths = list(find_files("IMAGES", images).values())
    rows, notes = embed_images(matcher, paths, modality, rule, progress)
    facts = IndexFacts(
        network_sha256=matcher.sha256,
        modality=modality,
        space=matcher.contract.space,
        names=tuple(path.name if Path(images).is_dir() else str(path) for path in paths),
        fit=rule.fit,
        radiometry=rule.sar_radiometry if modality == "sar" else rule.optical_radiometry,
    )
    index = Index(facts, rows)
    index.write(out)
    return index, dict(notes)


def nearest_by_faiss(
    queries: npt.NDArray[np.float32], gallery: npt.NDArray[np.float32], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """What ``osm.matching.retrieval.nearest`` gives, by faiss's exact search.

    Faiss compares in float32; what it finds is measured again in float64 and put in order. Candidates that
    float32 cannot tell apart may change places at the end of the list.

    Raises:
        EnvironmentProblem: faiss is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise EnvironmentProblem(
            "osm match",
            found=f"an index of {len(gallery):,} images and no faiss",
            expected=f"faiss for more than {PLAIN:,}",
            mend="install it with pip install 'osm-ssd[index]'",
        ) from error
    flat = faiss.IndexFlatL2(gallery.shape[1])
    flat.add(np.ascontiguousarray(gallery))
    _, places = flat.search(np.ascontiguousarray(queries), min(count, len(gallery)))
    squared = ((queries[:, None].astype(np.float64) - gallery[places]) ** 2).sum(axis=2)
    order = np.lexsort((places, squared), axis=1)
    return np.take_along_axis(places, order, 1), np.take_along_axis(squared, order, 1)
