"""What a collection of pairs offers, whether it lies in folders of patches or in a packed store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from osm.data.screen import ScreenReport

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


class PairSource(Protocol):
    """Pairs in natural order of their names; all of one size, unless ``screened`` is None."""

    @property
    def root(self) -> Path:
        """The folder that was asked for."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pairs."""

    @property
    def scenes(self) -> tuple[str, ...] | None:
        """The scene that each pair was cut from, where that is known."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height that all patches have: those of the first."""

    @property
    def screened(self) -> ScreenReport | None:
        """What was left out when the pairs were screened; None where nobody has looked at them."""

    def __len__(self) -> int:
        """Number of pairs."""

    def load(self, index: int) -> tuple[Bytes, Bytes]:
        """SAR ``(H, W)`` and optical ``(H, W, 3)`` of one pair; a ``DataError`` where the size is not ``size_px``."""

    def read(self, index: int) -> tuple[Bytes, Bytes]:
        """The same, of whatever sizes they have."""

    def sar_patches(self, indices: Sequence[int]) -> Bytes:
        """SAR patches ``(n, H, W)`` of several pairs."""

    def optical_patches(self, indices: Sequence[int]) -> Bytes:
        """Optical patches ``(n, H, W, 3)`` of several pairs."""

    def select(self, indices: Indices) -> PairSource:
        """The pairs of these indices alone, in that order."""

    def usual_size_px(self) -> tuple[int, int]:
        """Width and height that most patches have."""

    def stamp(self) -> str:
        """A digest that changes with the pairs: of names and content, or of names, sizes and times of files."""


def names_sha256(pairs: PairSource) -> str:
    """SHA-256 of the names of all pairs, in their order: by it a folder is known again, whatever its place."""
    return hashlib.sha256("\n".join(pairs.names).encode()).hexdigest()
