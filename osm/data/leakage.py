"""Leakage: whether what judges a network was seen while it learned, by name, by place and by pixels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.cache import cached_json
from osm.data.footprints import Footprint, footprint_of, overlaps
from osm.data.images import read_image
from osm.data.landmarks import Landmarks, Texture, agreement, as_grey, find_landmarks, same_places, texture
from osm.data.pair_source import PairSource
from osm.data.parallel import Progress, in_parallel
from osm.data.scene import Scene, natural_key
from osm.errors import DataError
from osm.files import sha256_file

_FORMAT = 1
_HELD_PX = 40e6  # of textures, on either side
# landmarks of a test image: as many as keep the comparison within minutes for thousands of images
_FEWEST, _MOST, _PRODUCTS = 24, 96, 2e11
_LANDMARKS_A_MPX = 1200

NAME, PLACE, PIXELS = "name", "place", "pixels"


@dataclass(frozen=True, eq=False)
class Picture:
    """An image that judges or trains.

    Attributes:
        name: How findings call it.
        stamp: Changes with its content.
        size_px: Width and height.
        read: Its pixels as they are stored.
        path: The file, where it is one that may carry a position.
    """

    name: str
    stamp: str
    size_px: tuple[int, int]
    read: Callable[[], npt.NDArray[Any]]
    path: Path | None = None


@dataclass(frozen=True)
class Finding:
    """A test image that was seen in training.

    Attributes:
        kind: ``name``, ``place`` or ``pixels``.
        test: Name of the test image.
        train: Name of the training image.
        evidence: What is alike, in words.
    """

    kind: str
    test: str
    train: str
    evidence: str

    @property
    def line(self) -> str:
        """In one line."""
        return f"{self.test} and {self.train}: {self.evidence}"


@dataclass(frozen=True)
class Leakage:
    """What a look for leaks found.

    Attributes:
        findings: Each pair of images once a kind, in natural order.
        notes: What could not be compared.
    """

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def test(self) -> tuple[str, ...]:
        """Test images that leak."""
        return tuple(sorted({finding.test for finding in self.findings}, key=natural_key))

    @property
    def train(self) -> tuple[str, ...]:
        """Training images that give one away."""
        return tuple(sorted({finding.train for finding in self.findings}, key=natural_key))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"findings": [asdict(finding) for finding in self.findings], "notes": list(self.notes)}


def scene_pictures(scenes: Sequence[Scene]) -> list[Picture]:
    """Labelled scenes as pictures; every file is read once for its digest."""

    def picture(scene: Scene) -> Picture:
        path = scene.image_path
        size = (scene.width_px, scene.height_px)
        return Picture(scene.scene_id, sha256_file(path), size, lambda: read_image(path), path)

    return list(in_parallel(picture, scenes, None))


def pair_pictures(pairs: PairSource) -> list[Picture]:
    """The SAR patches of pairs as pictures, named by scene and patch."""
    stamp = pairs.stamp()

    def picture(index: int) -> Picture:
        name = pairs.names[index]
        shown = name if pairs.scenes is None else f"{pairs.scenes[index]} ({name})"
        return Picture(shown, f"{stamp} {index}", pairs.size_px, lambda: pairs.sar_patches([index])[0])

    return [picture(index) for index in range(len(pairs))]


def find_leaks(
    test: Sequence[Picture],
    train: Sequence[Picture],
    *,
    same_data_set: bool,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Leakage:
    """Look for test images among training images.

    By name: stems that agree apart from case, leading zeros, marks of a copy and DOTA's marks of a crop. By place:
    GeoTIFFs whose footprints overlap. By pixels: the same ones, or landmarks (``osm.data.landmarks``) that show a copy,
    a crop, an overlap, a re-encoded or a brighter image; turned, mirrored or resampled ones are not found.

    Args:
        test: What judges.
        train: What trains.
        same_data_set: Whether both have their names from one source. If not, names that are mere numbers say nothing.
        cache: Folder for what was found, by the content of the images.
        progress: Called now and then, with training images done.

    Raises:
        DataError: An image cannot be read.
    """

    def key() -> str:
        parts = [f"{picture.name} {picture.stamp}" for group in (test, train) for picture in (*group, _BORDER)]
        return "\n".join([str(_FORMAT), str(same_data_set), *parts])

    def compute() -> dict[str, Any]:
        places, notes = _by_place(test, train)
        found = [*_by_name(test, train, same_data_set), *places, *_by_pixels(test, train, progress)]
        found.sort(key=lambda finding: (natural_key(finding.test), natural_key(finding.train), finding.kind))
        return Leakage(tuple(found), tuple(notes)).to_json()

    values = cached_json(cache, "leakage", key, compute)
    return Leakage(tuple(Finding(**entry) for entry in values["findings"]), tuple(values["notes"]))


def refuse(leakage: Leakage, where: str | Path, mend: str) -> None:
    """Stop at leaks.

    Raises:
        DataError: There are any; the line counts them and shows the first.
    """
    if leakage.findings:
        raise DataError(
            where,
            found=f"{len(leakage.test)} test scenes that {len(leakage.train)} training images show, first "
            f"{leakage.findings[0].line}",
            expected="test scenes that nothing was trained on",
            mend=mend,
        )


def plain_name(name: str) -> str:
    """What of a name tells images apart."""
    stem = re.sub(r"\.(png|jpe?g|tiff?)$", "", Path(name).name.casefold())
    stem = re.sub(r"__\d+(\.\d+)?__\d+___\d+$", "", stem)
    stem = re.sub(r"([ _-]*\(\d+\)|[ _-]+copy\d*)+$", "", stem)
    stem = re.sub(r"\d+", lambda match: match[0].lstrip("0") or "0", stem)
    return re.sub(r"[\s_.-]+", "-", stem).strip("-")


_BORDER = Picture("", "", (0, 0), lambda: np.zeros((0, 0)))


def _by_name(test: Sequence[Picture], train: Sequence[Picture], same_data_set: bool) -> list[Finding]:
    def names(picture: Picture) -> set[str]:
        # "scene (patch)": either may be the name of a scene elsewhere
        parts = {plain_name(picture.name), *map(plain_name, re.split(r" \((?=[^)]*\.)", picture.name.rstrip(")")))}
        return parts if same_data_set else {part for part in parts if len(part) >= 5 and re.search("[a-z]", part)}

    known: dict[str, list[Picture]] = {}
    for picture in train:
        for name in names(picture):
            known.setdefault(name, []).append(picture)
    found = {
        (picture.name, other.name): Finding(NAME, picture.name, other.name, f"both are called {name}")
        for picture in test
        for name in sorted(names(picture))
        for other in known.get(name, [])
    }
    return list(found.values())


def _by_place(test: Sequence[Picture], train: Sequence[Picture]) -> tuple[list[Finding], list[str]]:
    notes: list[str] = []

    def footprints(pictures: Sequence[Picture]) -> list[Footprint]:
        found = []
        for picture in pictures:
            if picture.path is None or picture.path.suffix.lower() not in (".tif", ".tiff"):
                continue
            try:
                footprint = footprint_of(picture.name, picture.path)
            except DataError as error:
                notes.append(f"no position could be read: {error.line}")
                continue
            if footprint is not None:
                found.append(footprint)
        return found

    mine, theirs = footprints(test), footprints(train)
    found, apart = overlaps(mine, theirs) if mine and theirs else ([], 0)
    if apart:
        notes.append(
            f"{apart} pairs of georeferenced images could not be compared by place: their coordinate systems differ "
            "and pyproj is not installed, or one is not stated (pip install 'osm-ssd[geo]')"
        )
    return [Finding(PLACE, a, b, f"their footprints share {share:.0%} of the smaller") for a, b, share in found], notes


def _by_pixels(test: Sequence[Picture], train: Sequence[Picture], progress: Progress | None) -> list[Finding]:
    if not test or not train:
        return []
    # only what is small is kept of the test images
    looks = [(look.landmarks, look.digest) for look in in_parallel(_look, test, None)]
    total = sum(map(_pixels, train)) / 1e6 * _LANDMARKS_A_MPX
    count = int(np.clip(_PRODUCTS / max(len(test) * total, 1), _FEWEST, _MOST))
    mine, owners = _joined([marks.first(count) for marks, _ in looks])
    digests: dict[str, list[int]] = {}
    for index, (_, digest) in enumerate(looks):
        if digest is not None:
            digests.setdefault(digest, []).append(index)

    # candidates come test image by test image
    @lru_cache(maxsize=max(1, int(_HELD_PX / np.mean([_pixels(picture) for picture in test]))))
    def test_texture(index: int) -> Texture:
        return texture(as_grey(test[index].read())).compact()

    found: list[Finding] = []
    for start, batch in _batches(train):
        if progress is not None:
            progress(start, len(train))
        theirs = list(in_parallel(_look, batch, None))
        same = {(i, j) for j, look in enumerate(theirs) for i in digests.get(look.digest or "", [])}
        found += [Finding(PIXELS, test[i].name, batch[j].name, "the same pixels") for i, j in sorted(same)]
        marks, others = _joined([look.landmarks for look in theirs])
        for i, j, column, row in same_places(mine, owners, marks, others):
            if (i, j) in same:
                continue
            seen = agreement(test_texture(i), theirs[j].texture, column, row)
            if seen is not None and seen.same:
                evidence = (
                    f"they share {seen.share:.0%} of the smaller image at an offset of {column}, {row} px "
                    f"(correlation {seen.correlation:.2f})"
                )
                found.append(Finding(PIXELS, test[i].name, batch[j].name, evidence))
    if progress is not None:
        progress(len(train), len(train))
    return found


def _batches(pictures: Sequence[Picture]) -> Iterator[tuple[int, Sequence[Picture]]]:
    """Runs of pictures whose textures can be held together, with the place of the first."""
    start, held = 0, 0
    for index, picture in enumerate(pictures):
        if index > start and held + _pixels(picture) > _HELD_PX:
            yield start, pictures[start:index]
            start, held = index, 0
        held += _pixels(picture)
    if start < len(pictures):
        yield start, pictures[start:]


def _pixels(picture: Picture) -> int:
    return picture.size_px[0] * picture.size_px[1]


@dataclass(frozen=True, eq=False)
class _Look:
    landmarks: Landmarks
    texture: Texture
    digest: str | None


def _look(picture: Picture) -> _Look:
    """What tells an image; no digest of one that is all one value."""
    grey = as_grey(picture.read())
    digest = None
    if grey.size and grey.min() < grey.max():
        digest = hashlib.sha256(f"{grey.shape}".encode() + np.ascontiguousarray(grey).data).hexdigest()
    seen = texture(grey)
    return _Look(find_landmarks(seen), seen.compact(), digest)


def _joined(parts: Sequence[Landmarks]) -> tuple[Landmarks, npt.NDArray[np.int64]]:
    owners = np.repeat(np.arange(len(parts), dtype=np.int64), [len(part.points) for part in parts])
    points = np.concatenate([part.points for part in parts])
    return Landmarks(points, np.concatenate([part.vectors for part in parts])), owners
