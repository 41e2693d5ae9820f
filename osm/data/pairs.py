"""Pairs in the QXS-SAROPT layout: one folder of SAR and one of optical patches, joined by file name."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.images import IMAGE_SUFFIXES, image_size, read_image, to_gray
from osm.data.packed import is_packed, read_packed
from osm.data.pair_source import Bytes, Indices, PairSource
from osm.data.scene import Report, natural_key, raise_problem
from osm.data.split import PairSplit, SplitRule, split_pairs
from osm.errors import DataError

__all__ = [
    "PairFolder",
    "PairSource",
    "PairSplit",
    "SplitRule",
    "find_manifest",
    "list_pairs",
    "read_pairs",
    "split_pairs",
]

BASE_NAME = "QXSLAB_SAROPT"
SAR_NAME = "sar_256_oc_0.2"
OPTICAL_NAME = "opt_256_oc_0.2"
MANIFEST_NAME = "manifest.csv"
_LAYOUT = f"{BASE_NAME}/{SAR_NAME} and {BASE_NAME}/{OPTICAL_NAME} (or the two folders themselves)"


@dataclass(frozen=True)
class PairFolder:
    """The pairs of one folder, in natural order of their names.

    Args:
        root: The folder that was asked for.
        sar_dir: Folder of the SAR patches.
        optical_dir: Folder of the optical patches.
        names: File names, the same in both folders.
        scenes: The scene that each pair was cut from, where a manifest says so.
    """

    root: Path
    sar_dir: Path
    optical_dir: Path
    names: tuple[str, ...]
    scenes: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def size_px(self) -> tuple[int, int]:
        """Width and height that all patches have: that of the first SAR patch."""
        return image_size(self.sar_dir / self.names[0])

    @property
    def screened(self) -> None:
        """Nobody has looked at the pixels of a folder."""

    def load(self, index: int) -> tuple[Bytes, Bytes]:
        """Read one pair.

        Returns:
            SAR ``(H, W)`` and optical ``(H, W, 3)``, both uint8. A grey optical patch is repeated to 3 bands.

        Raises:
            DataError: A patch is missing, truncated, not 8-bit or of another size than the first pair.
        """
        return self._sar(index, self.size_px), self._optical(index, self.size_px)

    def read(self, index: int) -> tuple[Bytes, Bytes]:
        """The same, of whatever sizes the two patches have."""
        return self._sar(index, None), self._optical(index, None)

    def sar_patches(self, indices: Sequence[int]) -> Bytes:
        """SAR patches ``(n, H, W)``; errors as for ``load``."""
        return np.stack([self._sar(index, self.size_px) for index in indices])

    def optical_patches(self, indices: Sequence[int]) -> Bytes:
        """Optical patches ``(n, H, W, 3)``; errors as for ``load``."""
        return np.stack([self._optical(index, self.size_px) for index in indices])

    def select(self, indices: Indices) -> PairFolder:
        """The pairs of these indices alone."""
        chosen = indices.tolist()
        return replace(
            self,
            names=tuple(self.names[index] for index in chosen),
            scenes=None if self.scenes is None else tuple(self.scenes[index] for index in chosen),
        )

    def usual_size_px(self, at_most: int | None = 101) -> tuple[int, int]:
        """Width and height that most SAR patches have, by their headers; the first one may be the odd one out.

        Args:
            at_most: Look at so many patches, evenly spaced; None for all.

        Raises:
            DataError: No header can be read.
        """
        some = np.linspace(0, len(self) - 1, min(at_most or len(self), len(self))).round().astype(int)
        sizes: Counter[tuple[int, int]] = Counter()
        unreadable = None
        for index in some.tolist():
            try:
                sizes[image_size(self.sar_dir / self.names[index])] += 1
            except DataError as problem:
                # raised or listed when its pixels are read
                unreadable = problem
        if not sizes and unreadable is not None:
            raise unreadable
        return sizes.most_common(1)[0][0]

    def stamp(self) -> str:
        """SHA-256 of the names, sizes and times of change of all files; no pixel is read."""
        digest = hashlib.sha256()
        for folder in (self.sar_dir, self.optical_dir):
            with os.scandir(folder) as entries:
                found = {entry.name: entry.stat() for entry in entries}
            for name in self.names:
                # a file that went away meanwhile gets its own error where it is read
                entry = found.get(name)
                digest.update(f"{name}\n{entry and (entry.st_size, entry.st_mtime_ns)}\n".encode())
        return digest.hexdigest()

    def _sar(self, index: int, size_px: tuple[int, int] | None) -> Bytes:
        path = self.sar_dir / self.names[index]
        return to_gray(self._read(path, size_px), path)

    def _optical(self, index: int, size_px: tuple[int, int] | None) -> Bytes:
        return three_bands(self._read(self.optical_dir / self.names[index], size_px))

    def _read(self, path: Path, expected_px: tuple[int, int] | None) -> Bytes:
        image = read_image(path)
        self.check_patch(path, image)
        size_px = (image.shape[1], image.shape[0])
        if expected_px is not None and size_px != expected_px:
            raise DataError(
                path,
                found=f"a patch of {size_px[0]}x{size_px[1]}",
                expected=f"{expected_px[0]}x{expected_px[1]}, as in {self.sar_dir / self.names[0]}",
                mend="remove this pair or write it again",
            )
        return image

    @staticmethod
    def check_patch(path: Path, image: npt.NDArray[Any]) -> None:
        """Check that a patch has 8 bits, and one, three or four bands.

        Raises:
            DataError: It has not.
        """
        if image.dtype != np.uint8 or (image.ndim == 3 and image.shape[2] not in (3, 4)):
            bands = image.shape[2] if image.ndim == 3 else 1
            raise DataError(
                path,
                found=f"a patch of {bands} bands of {image.dtype}",
                expected="1 or 3 bands of 8 bits",
                mend="cut the patches with osm data build-pairs, which maps scenes to 8 bits",
            )


def three_bands(image: Bytes) -> Bytes:
    """An optical patch as ``(H, W, 3)``: grey is repeated, a fourth band is taken for alpha and dropped."""
    return np.stack([image] * 3, axis=2) if image.ndim == 2 else np.ascontiguousarray(image[:, :, :3])


def read_pairs(root: str | Path) -> PairSource:
    """List the pairs of a folder, or those of a packed store; no pixel is read.

    Args:
        root: A folder that holds ``QXSLAB_SAROPT``, or is it, or what ``osm data pack`` wrote. The two folders
            of patches may have any names that begin with ``sar`` and ``opt``, if there is one of each.

    Raises:
        DataError: No such folders, no patches, a patch without its partner, or a manifest that does not fit;
            a packed store that is not whole.
    """
    return read_packed(Path(root)) if is_packed(root) else read_pair_folder(root)


def read_pair_folder(root: str | Path) -> PairFolder:
    """List the pairs of a folder of patches; errors as for ``read_pairs``."""
    folder, orphans = list_pairs(root)
    if orphans:
        raise orphans[0] if len(orphans) == 1 else _many_orphans(folder, orphans)
    return folder


def list_pairs(root: str | Path, report: Report = raise_problem) -> tuple[PairFolder, list[DataError]]:
    """The whole pairs of a folder, and one problem for every patch without a partner.

    A manifest that does not fit goes to ``report``.
    """
    root = Path(root)
    base = root / BASE_NAME if (root / BASE_NAME).is_dir() else root
    if not base.is_dir():
        raise DataError(root, found="no such folder", expected=_LAYOUT, mend="check the path")
    sar_dir, optical_dir = (_only_folder(root, base, prefix) for prefix in ("sar", "opt"))
    sar, optical = _patches(sar_dir), _patches(optical_dir)
    names = tuple(sorted(sar & optical, key=natural_key))
    if not sar and not optical:
        raise DataError(
            sar_dir,
            found="an empty folder",
            expected="patches as PNG",
            mend="unpack the data set again, or build pairs with osm data build-pairs",
        )
    orphans = []
    for name in sorted(sar ^ optical, key=natural_key):
        have, lack = (sar_dir, optical_dir) if name in sar else (optical_dir, sar_dir)
        orphans.append(
            DataError(
                lack / name,
                found="no such file",
                expected=f"the partner of {have / name}",
                mend="add the missing patch or remove its partner",
            )
        )
    folder = PairFolder(root, sar_dir, optical_dir, names)
    manifest = find_manifest(root)
    if manifest is not None and names:
        try:
            folder = replace(folder, scenes=_read_manifest(manifest, names))
        except DataError as problem:
            report(problem)
    return folder, orphans


def find_manifest(root: Path) -> Path | None:
    """The manifest of a folder of pairs; also that beside ``QXSLAB_SAROPT`` when this folder was given."""
    places = [root, root / BASE_NAME] + ([root.parent] if root.name == BASE_NAME else [])
    return next((place / MANIFEST_NAME for place in places if (place / MANIFEST_NAME).is_file()), None)


def _only_folder(root: Path, base: Path, prefix: str) -> Path:
    found = sorted(path for path in base.iterdir() if path.is_dir() and path.name.lower().startswith(prefix))
    exact = [path for path in found if path.name in (SAR_NAME, OPTICAL_NAME)]
    if len(exact) == 1:
        return exact[0]
    if len(found) != 1:
        names = ", ".join(path.name for path in found)
        raise DataError(
            root,
            found=f"several folders {names}" if found else f"no folder {prefix}* in {base}",
            expected=_LAYOUT,
            mend="check the path, or name the folders so",
        )
    return found[0]


def _patches(folder: Path) -> set[str]:
    return {
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    }


def _read_manifest(path: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            scenes = {row["name"]: row["scene"] for row in csv.DictReader(stream)}
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            path, found=f"a broken manifest ({error})", expected="columns name and scene", mend="build the pairs again"
        ) from error
    missing = [name for name in names if not scenes.get(name)]
    if missing:
        raise DataError(
            path,
            found=f"no scene for {len(missing)} pairs, first {missing[0]}",
            expected="a row for every pair",
            mend="build the pairs again, or remove the manifest",
        )
    return tuple(scenes[name] for name in names)


def _many_orphans(folder: PairFolder, orphans: list[DataError]) -> DataError:
    shown = ", ".join(problem.where for problem in orphans[:3])
    return DataError(
        folder.root,
        found=f"{len(orphans)} patches without a partner; missing: {shown}, …",
        expected="the same file names in both folders",
        mend=f"run osm data verify pairs {folder.root} for the whole list, then add or remove files",
    )
