"""Which image files may be opened: those that records name, and where they may lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from osm.errors import DataError


@dataclass(frozen=True)
class ImageFinder:
    """Finds the image that a record names, below ``homes`` and ``folders`` alone, links followed.

    Below ``folders`` it is looked for by the end of its name, the longest first, so that records that were written on
    another machine find theirs.

    Attributes:
        homes: Folders that are looked at, links resolved.
        folders: Folders of images that the user named, links resolved.
    """

    homes: tuple[Path, ...]
    folders: tuple[Path, ...] = ()

    def find(self, named: str, record: Path) -> Path:
        """The image, links resolved.

        Args:
            named: As the record has it; from the record's folder, or from the current one, if not absolute.
            record: The file that names it.

        Raises:
            DataError: It is not there, or lies where nothing may be opened.
        """
        refused: Path | None = None
        for candidate in self._candidates(Path(named), record):
            try:
                if not candidate.is_file():
                    continue
                real = candidate.resolve()
            except (OSError, ValueError):
                continue
            if self.allows(real):
                return real
            refused = refused or real
        if refused is not None:
            raise DataError(
                named,
                found=f"an image that lies outside of what is shown, in {refused.parent}",
                expected=f"one below {', '.join(map(str, (*self.homes, *self.folders)))}",
                mend=f"to see it, start again with --images {refused.parent}",
            )
        raise DataError(
            named,
            found="no such file",
            expected="the scene's image",
            mend="give the folder in which the images are now with --images",
        )

    def _candidates(self, named: Path, record: Path) -> list[Path]:
        stated = [named] if named.is_absolute() else [record.parent / named, Path.cwd() / named]
        parts = named.parts[1:] if named.is_absolute() else named.parts
        climbs = [index for index, part in enumerate(parts) if part == ".."]
        parts = parts[climbs[-1] + 1 :] if climbs else parts
        tails = [Path(*parts[index:]) for index in range(len(parts))]
        return stated + [folder / tail for folder in self.folders for tail in tails]

    def allows(self, place: Path) -> bool:
        """Whether a file or folder, links resolved, lies where images may be opened."""
        return any(place.is_relative_to(folder) for folder in (*self.homes, *self.folders))
