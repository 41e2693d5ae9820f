"""Look at every file of a data set, and list everything that is wrong with it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from osm.data.images import image_size, read_image, to_gray
from osm.data.pairs import PairFolder, find_manifest, list_pairs
from osm.data.scene import SceneFiles, natural_key
from osm.data.scenes import READERS, find_scenes, load_scene
from osm.errors import ConfigError, DataError
from osm.files import sha256_file

KINDS = ("pairs", *READERS)
_THREADS = 2
_BATCH = 64
_Item = TypeVar("_Item")
_Found = TypeVar("_Found")

Progress = Callable[[int, int], None]
"""Called with how many files are done, and how many there are."""


@dataclass(frozen=True)
class VerifyReport:
    """What is there, and what is wrong with it.

    Args:
        kind: Kind of the data set.
        path: Its folder.
        counts: Numbers for people, by what they count.
        problems: Everything that is wrong, in natural order of the files.
    """

    kind: str
    path: Path
    counts: dict[str, int]
    problems: tuple[DataError, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(kind: str, path: str | Path, *, progress: Progress | None = None) -> VerifyReport:
    """Read all files of a data set, every pixel of it, and go on after a problem.

    Args:
        kind: ``pairs`` or a kind of labelled scenes (``osm.data.scenes.READERS``).
        path: Its folder.
        progress: Called now and then.

    Raises:
        ConfigError: An unknown kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind {kind!r}", found="no such kind", expected=" or ".join(KINDS), mend="correct it")
    problems: list[DataError] = []
    counts: dict[str, int] = {}
    try:
        if kind == "pairs":
            _verify_pairs(Path(path), counts, problems, progress)
        else:
            _verify_scenes(kind, Path(path), counts, problems, progress)
    except DataError as problem:
        # nothing to look at: no such folder, no files in it
        problems.append(problem)
    unique = {problem.line: problem for problem in problems}
    return VerifyReport(kind, Path(path), counts, tuple(sorted(unique.values(), key=lambda p: natural_key(p.where))))


def _verify_pairs(path: Path, counts: dict[str, int], problems: list[DataError], progress: Progress | None) -> None:
    folder, orphans = list_pairs(path, report=problems.append)
    problems += orphans
    counts.update({"pairs": len(folder), "patches without a partner": len(orphans)})
    sums = _expected_sums(folder)
    expected = _usual_size(folder)

    def look(index: int) -> list[DataError]:
        return _look_at_pair(folder, index, expected, sums)

    for found in _in_parallel(look, range(len(folder)), progress):
        problems += found
    if folder.scenes is not None:
        counts["scenes they come from"] = len(set(folder.scenes))
    if expected is not None:
        counts.update({"width in pixels": expected[0], "height in pixels": expected[1]})
    if sums:
        counts["checksums compared"] = len(sums)


def _look_at_pair(
    folder: PairFolder, index: int, expected: tuple[int, int] | None, sums: dict[Path, str]
) -> list[DataError]:
    problems = []
    for directory, is_sar in ((folder.sar_dir, True), (folder.optical_dir, False)):
        patch = directory / folder.names[index]
        try:
            image = read_image(patch)
            size = (image.shape[1], image.shape[0])
            if size != expected and expected is not None:
                raise DataError(
                    patch,
                    found=f"a patch of {size[0]}x{size[1]}",
                    expected=f"{expected[0]}x{expected[1]}, the size of most",
                    mend="remove this pair or write it again",
                )
            folder.check_patch(patch, image)
            if is_sar:
                to_gray(image, patch)
            if patch in sums and sha256_file(patch) != sums[patch]:
                raise DataError(
                    patch,
                    found="other bytes than when the pairs were built (SHA-256 differs)",
                    expected="the checksum in the manifest",
                    mend="build the pairs again",
                )
        except DataError as problem:
            problems.append(problem)
    return problems


def _usual_size(folder: PairFolder) -> tuple[int, int] | None:
    """The size that most patches have; the first one may be the odd one out."""
    sizes: Counter[tuple[int, int]] = Counter()
    for name in folder.names:
        try:
            sizes[image_size(folder.sar_dir / name)] += 1
        except DataError:
            # listed when its pixels are read
            continue
    return sizes.most_common(1)[0][0] if sizes else None


def _expected_sums(folder: PairFolder) -> dict[Path, str]:
    manifest = find_manifest(folder.root)
    if manifest is None or folder.scenes is None:
        return {}
    sums = {}
    with manifest.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            for directory, column in ((folder.sar_dir, "sar_sha256"), (folder.optical_dir, "optical_sha256")):
                if row.get(column):
                    sums[directory / row["name"]] = row[column]
    return sums


def _verify_scenes(
    kind: str, path: Path, counts: dict[str, int], problems: list[DataError], progress: Progress | None
) -> None:
    files = find_scenes(kind, path, report=problems.append)
    counts.update({"scenes": len(files), "ships": 0, "boxes to ignore": 0, "scenes with a problem": 0})

    def look(entry: SceneFiles) -> tuple[int, int, list[DataError]]:
        found: list[DataError] = []
        scene = load_scene(entry, found.append)
        try:
            to_gray(read_image(entry.image_path), entry.image_path)
        except DataError as problem:
            found.append(problem)
        ignored = 0 if scene is None else int(scene.ignore.sum())
        return (0 if scene is None else len(scene.boxes) - ignored), ignored, found

    for ships, ignored, found in _in_parallel(look, files, progress):
        counts["ships"] += ships
        counts["boxes to ignore"] += ignored
        counts["scenes with a problem"] += bool(found)
        problems += found


def _in_parallel(
    look: Callable[[_Item], _Found], items: Sequence[_Item], progress: Progress | None
) -> Iterator[_Found]:
    """Results in order, batch by batch, so that an interrupt does not wait for a whole data set."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(items), _BATCH):
            if progress is not None:
                progress(start, len(items))
            yield from pool.map(look, items[start : start + _BATCH])
    if progress is not None:
        progress(len(items), len(items))
