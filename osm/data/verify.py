"""Look at every file of a data set, and list everything that is wrong with it."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from osm.data.images import read_image, to_gray
from osm.data.packed import RECORD_NAME, PackedPairs, is_packed, read_packed
from osm.data.pairs import PairFolder, find_manifest, list_pairs, three_bands
from osm.data.parallel import Progress, in_parallel
from osm.data.scene import natural_key
from osm.data.scenes import READERS
from osm.data.screen import CONSTANT_OPTICAL, CONSTANT_SAR, DUPLICATE, Look, Screen, look_at
from osm.data.verify_scenes import verify_scenes
from osm.errors import ConfigError, DataError
from osm.files import sha256_file

KINDS = ("pairs", *READERS)
_SCREENED = (CONSTANT_SAR, CONSTANT_OPTICAL, DUPLICATE)


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


def verify(
    kind: str, path: str | Path, *, groups: str | Path | None = None, progress: Progress | None = None
) -> VerifyReport:
    """Read all files of a data set, every pixel of it, and go on after a problem.

    Args:
        kind: ``pairs`` or a kind of labelled scenes (``osm.data.scenes.READERS``).
        path: Its folder.
        groups: A list of groups of scenes (``osm.data.groups``), to be checked too.
        progress: Called now and then.

    Raises:
        ConfigError: An unknown kind, or groups of pairs.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind {kind!r}", found="no such kind", expected=" or ".join(KINDS), mend="correct it")
    if groups is not None and kind == "pairs":
        raise ConfigError("--groups", found="groups of pairs", expected="groups of scenes", mend="leave it out")
    problems: list[DataError] = []
    counts: dict[str, int] = {}
    try:
        if kind == "pairs":
            _verify_pairs(Path(path), counts, problems, progress)
        else:
            listed = None if groups is None else Path(groups)
            verify_scenes(kind, Path(path), counts, problems, progress, listed)
    except DataError as problem:
        # nothing to look at: no such folder, no files in it
        problems.append(problem)
    unique = {problem.line: problem for problem in problems}
    return VerifyReport(kind, Path(path), counts, tuple(sorted(unique.values(), key=lambda p: natural_key(p.where))))


def _verify_pairs(path: Path, counts: dict[str, int], problems: list[DataError], progress: Progress | None) -> None:
    if is_packed(path):
        _verify_packed(read_packed(path), counts, problems, progress)
        return
    folder, orphans = list_pairs(path, report=problems.append)
    problems += orphans
    counts.update({"pairs": len(folder), "patches without a partner": len(orphans)})
    sums = _expected_sums(folder)
    expected = _usual_size(folder)

    # sizes are judged patch by patch, so the screen has nothing to say about them
    screen = Screen(expected or (0, 0))
    counts.update(dict.fromkeys(_SCREENED, 0))

    def look(index: int) -> tuple[list[DataError], Look | None]:
        return _look_at_pair(folder, index, expected, sums)

    for name, (found, seen) in zip(folder.names, in_parallel(look, range(len(folder)), progress), strict=True):
        problems += found
        if seen is not None:
            _judge(screen, folder.sar_dir / name, name, seen, counts, problems)
    if folder.scenes is not None:
        counts["scenes they come from"] = len(set(folder.scenes))
    if expected is not None:
        counts.update({"width in pixels": expected[0], "height in pixels": expected[1]})
    if sums:
        counts["checksums compared"] = len(sums)


def _verify_packed(
    pairs: PackedPairs, counts: dict[str, int], problems: list[DataError], progress: Progress | None
) -> None:
    record = pairs.record
    counts.update({"pairs": len(pairs), "left out when packed": len(record.dropped), **dict.fromkeys(_SCREENED, 0)})
    counts.update({"width in pixels": record.width_px, "height in pixels": record.height_px})
    if pairs.scenes is not None:
        counts["scenes they come from"] = len(set(pairs.scenes))
    starts = range(0, len(pairs), record.chunk_pairs)
    files = ((pairs.sar_file, record.sar_sha256), (pairs.optical_file, record.optical_sha256))
    counts["checksums compared"] = len(files) * len(starts)
    screen = Screen(pairs.size_px, **record.settings)
    for number, start in enumerate(starts):
        if progress is not None:
            progress(start, len(pairs))
        rows = range(start, min(start + record.chunk_pairs, len(pairs)))
        sar, optical = (file.take(rows) for file, _ in files)
        for (file, sums), chunk in zip(files, (sar, optical), strict=True):
            if hashlib.sha256(chunk.data).hexdigest() != sums[number]:
                problems.append(
                    DataError(
                        file.path,
                        found=f"other pixels than were packed in pairs {rows[0] + 1} to {rows[-1] + 1} (SHA-256)",
                        expected=f"the checksum in {RECORD_NAME}",
                        mend="pack the pairs again with osm data pack --overwrite",
                    )
                )
        for row in rows:
            seen = look_at(sar[row - start], optical[row - start])
            _judge(screen, pairs.sar_file.path, pairs.names[row], seen, counts, problems)
    if progress is not None:
        progress(len(pairs), len(pairs))


def _judge(
    screen: Screen, where: Path, name: str, seen: Look, counts: dict[str, int], problems: list[DataError]
) -> None:
    """List a pair that must not be trained on."""
    dropped = screen.judge(name, seen)
    if dropped is None:
        return
    counts[dropped.reason] += 1
    problems.append(
        DataError(
            where,
            found=f"{dropped.detail} ({dropped.reason}, pair {name})",
            expected="a pair to learn from",
            mend="remove it, or leave it: osm pretrain and osm data pack leave it out",
        )
    )


def _look_at_pair(
    folder: PairFolder, index: int, expected: tuple[int, int] | None, sums: dict[Path, str]
) -> tuple[list[DataError], Look | None]:
    """What is wrong with the files of a pair; if nothing, what its pixels look like."""
    problems = []
    patches = []
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
            patches.append(to_gray(image, patch) if is_sar else three_bands(image))
            if patch in sums and sha256_file(patch) != sums[patch]:
                raise DataError(
                    patch,
                    found="other bytes than when the pairs were built (SHA-256 differs)",
                    expected="the checksum in the manifest",
                    mend="build the pairs again",
                )
        except DataError as problem:
            problems.append(problem)
    # a pair with a broken file is listed for that already
    return problems, None if problems else look_at(*patches)


def _usual_size(folder: PairFolder) -> tuple[int, int] | None:
    """The size that most patches have; None where no header can be read, which is listed with the pixels."""
    try:
        return folder.usual_size_px(at_most=None) if len(folder) else None
    except DataError:
        return None


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
