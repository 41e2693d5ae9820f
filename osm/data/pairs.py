"""Pairs in the QXS-SAROPT layout: one folder of SAR and one of optical patches, joined by file name."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.images import IMAGE_SUFFIXES, image_size, read_image, to_gray
from osm.data.scene import Report, natural_key, raise_problem
from osm.errors import ConfigError, DataError

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

    def load(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Read one pair.

        Returns:
            SAR ``(H, W)`` and optical ``(H, W, 3)``, both uint8. A grey optical patch is repeated to 3 bands.

        Raises:
            DataError: A patch is missing, truncated, not 8-bit or of another size than the first pair.
        """
        name = self.names[index]
        sar_path, optical_path = self.sar_dir / name, self.optical_dir / name
        sar = to_gray(self._read(sar_path), sar_path)
        optical = self._read(optical_path)
        optical = np.stack([optical] * 3, axis=2) if optical.ndim == 2 else np.ascontiguousarray(optical[:, :, :3])
        return sar, optical

    def _read(self, path: Path) -> npt.NDArray[np.uint8]:
        image = read_image(path)
        self.check_patch(path, image)
        size_px = (image.shape[1], image.shape[0])
        if size_px != self.size_px:
            raise DataError(
                path,
                found=f"a patch of {size_px[0]}x{size_px[1]}",
                expected=f"{self.size_px[0]}x{self.size_px[1]}, as in {self.sar_dir / self.names[0]}",
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


@dataclass(frozen=True, eq=False)
class PairSplit:
    """Indices of pairs, in rising order.

    Args:
        train: ``(N,)`` int64.
        test: ``(M,)`` int64, disjoint from ``train``.
        kind: ``paper`` or ``scene``: how it was drawn.
    """

    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]
    kind: str


def read_pairs(root: str | Path) -> PairFolder:
    """List the pairs of a folder; no pixel is read.

    Args:
        root: A folder that holds ``QXSLAB_SAROPT``, or is it. The two folders of patches may have any names
            that begin with ``sar`` and ``opt``, if there is one of each.

    Raises:
        DataError: No such folders, no patches, a patch without its partner, or a manifest that does not fit.
    """
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


def split_pairs(folder: PairFolder, kind: str = "auto", train_fraction: float = 0.7, seed: int = 0) -> PairSplit:
    """Divide pairs into a training and a test part.

    Args:
        folder: The pairs.
        kind: ``paper``: drawn at random, as in the papers; neighbouring patches overlap, so it leaks.
            ``scene``: whole scenes are drawn, and none is in both parts. ``auto``: ``scene`` where a manifest
            names at least two scenes, else ``paper``.
        train_fraction: Part of the pairs for training; ``scene`` comes as close as whole scenes allow.
        seed: Seed of the drawing.

    Raises:
        ConfigError: An unknown kind, a fraction outside (0, 1), or ``scene`` without scenes.
        DataError: Fewer than two pairs.
    """
    if kind not in ("auto", "paper", "scene"):
        raise ConfigError(f"split {kind!r}", found="no such split", expected="auto, paper or scene", mend="correct it")
    if not 0 < train_fraction < 1:
        raise ConfigError(
            "train_fraction", found=str(train_fraction), expected="a fraction between 0 and 1", mend="correct it"
        )
    if len(folder) < 2:
        raise DataError(
            folder.root, found=f"{len(folder)} pair", expected="at least 2, to split them", mend="add pairs"
        )
    several = folder.scenes is not None and len(set(folder.scenes)) > 1
    if kind == "scene" and not several:
        raise ConfigError(
            "split 'scene'",
            found=f"no {MANIFEST_NAME} that names two or more scenes in {folder.root}",
            expected="the scene of every pair",
            mend="use the split 'paper', or cut the pairs with osm data build-pairs",
        )
    drawing = np.random.default_rng(seed)
    if kind == "paper" or not several:
        count = min(max(round(train_fraction * len(folder)), 1), len(folder) - 1)
        order = drawing.permutation(len(folder))
        return PairSplit(np.sort(order[:count]), np.sort(order[count:]), "paper")
    assert folder.scenes is not None
    ids, member = np.unique(np.asarray(folder.scenes), return_inverse=True)
    order = drawing.permutation(len(ids))
    sizes = np.cumsum(np.bincount(member)[order])
    # as many scenes as come closest to the fraction, and at least one on each side
    count = int(np.argmin(np.abs(sizes[:-1] - train_fraction * len(folder)))) + 1
    in_train = np.isin(member, order[:count])
    return PairSplit(np.flatnonzero(in_train), np.flatnonzero(~in_train), "scene")


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
