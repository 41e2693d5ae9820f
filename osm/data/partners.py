"""Scene pairs: which SAR and which optical file show the same place."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path

from osm.data.geotiff import offset_px, read_geotags
from osm.data.images import IMAGE_SUFFIXES, image_size
from osm.data.scene import natural_key
from osm.errors import DataError

_MAX_OFFSET_PX = 0.5


@dataclass(frozen=True)
class ScenePair:
    """One place in two images.

    Args:
        key: What the two file names have in common.
        sar_path: The SAR image.
        optical_path: The optical image.
    """

    key: str
    sar_path: Path
    optical_path: Path


def find_partners(sar: str, optical: str) -> tuple[list[ScenePair], list[DataError]]:
    """Join two sets of files by their keys.

    Args:
        sar: A glob, a folder or one file. The key of a file is the text that ``*`` stands for in the glob
            (several are joined by ``-``, a suffix ``.*`` does not count), or its stem in a folder. One file is the
            partner of one file.
        optical: The same for the optical images.

    Returns:
        The pairs in natural order of their keys, and one problem for each file without a partner.

    Raises:
        DataError: No file at all on one side, or two files of one key.
    """
    sar_files, optical_files = find_files("--sar", sar), find_files("--optical", optical)
    if Path(sar).is_file() and Path(optical).is_file():
        key = Path(sar).stem
        return [ScenePair(key, Path(sar), Path(optical))], []
    pairs, problems = [], []
    for key in sorted(sar_files.keys() | optical_files.keys(), key=natural_key):
        first, second = sar_files.get(key), optical_files.get(key)
        if first is not None and second is not None:
            pairs.append(ScenePair(key, first, second))
            continue
        side, pattern = ("optical", optical) if second is None else ("SAR", sar)
        problems.append(
            DataError(
                first or second or key,
                found=f"no {side} partner of key {key!r} in {pattern}",
                expected="two files for each scene",
                mend="add the missing file, correct the patterns, or leave such scenes out with --skip-unpaired",
            )
        )
    return pairs, problems


def check_alignment(pair: ScenePair) -> tuple[int, int]:
    """Check from the headers that two images share one pixel grid.

    Returns:
        Their common width and height in pixels.

    Raises:
        DataError: Sizes differ, or both are GeoTIFFs of different coordinate systems or of places more than
            half a pixel apart.
    """
    size, other = image_size(pair.sar_path), image_size(pair.optical_path)
    if size != other:
        raise DataError(
            pair.sar_path,
            found=f"{size[0]}x{size[1]} pixels, but {other[0]}x{other[1]} in {pair.optical_path}",
            expected="two images of one pixel grid",
            mend="resample one onto the other's grid, for example with gdalwarp -te and -ts",
        )
    sar, optical = read_geotags(pair.sar_path), read_geotags(pair.optical_path)
    if sar.epsg is not None and optical.epsg is not None and sar.epsg != optical.epsg:
        raise DataError(
            pair.sar_path,
            found=f"EPSG:{sar.epsg}, but EPSG:{optical.epsg} in {pair.optical_path}",
            expected="two images of one coordinate system",
            mend="project one into the other's system, for example with gdalwarp -t_srs",
        )
    offset = offset_px(sar, optical, *size)
    if offset is not None and offset > _MAX_OFFSET_PX:
        raise DataError(
            pair.sar_path,
            found=f"a place {offset:.1f} pixels away from that of {pair.optical_path}",
            expected=f"the same ground within {_MAX_OFFSET_PX} pixel",
            mend="resample one onto the other's grid, for example with gdalwarp -te and -ts",
        )
    return size


def find_files(option: str, pattern: str, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> dict[str, Path]:
    """Images (or files of other suffixes) of a glob, a folder or one file, by the key that ``find_partners`` explains.

    Args:
        option: What the pattern was given as, for the error.
        pattern: A glob, a folder or one file.
        suffixes: Which files of a folder count.

    Raises:
        DataError: No file, or two of one key.
    """
    folder = Path(pattern)
    if folder.is_dir():
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
        keys = [path.stem for path in paths]
    elif folder.is_file():
        paths, keys = [folder], [folder.stem]
    else:
        matcher = re.compile(_translate(pattern))
        matches = [(matcher.fullmatch(name), Path(name)) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
        found = [(match, path) for match, path in matches if match is not None and path.is_file()]
        paths = [path for _, path in found]
        keys = ["-".join(group for group in match.groups() if group) or path.stem for match, path in found]
    visible = [(key, path) for key, path in zip(keys, paths, strict=True) if not path.name.startswith(".")]
    if not visible:
        raise DataError(
            f"{option} {pattern}",
            found="an empty folder" if folder.is_dir() else "no file of this name",
            expected="a glob such as 'scenes/*_sar.tif' or a folder of PNG, JPEG or TIFF images"
            if suffixes == IMAGE_SUFFIXES
            else f"a glob such as 'tie_points/*{suffixes[0]}', a folder or a file",
            mend="check the path, and put the glob in quotes",
        )
    files: dict[str, Path] = {}
    for key, path in visible:
        if key in files:
            raise DataError(
                path,
                found=f"the key {key!r} a second time, beside {files[key]}",
                expected="one file a key",
                mend="write a narrower glob, or remove one of the two",
            )
        files[key] = path
    return files


def _translate(pattern: str) -> str:
    """A glob as a regular expression whose groups are what ``*`` stands for.

    ``**`` is any path and no group, nor is a suffix ``.*``: the partner of a TIFF may be a PNG.
    """
    suffix = ""
    if pattern.endswith(".*"):
        pattern, suffix = pattern[:-2], r"\.[^/.]*"
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "([^/]*)", "?": "[^/]"}
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", pattern, flags=re.DOTALL)
    whole = "".join(
        parts.get(token)
        or (token.replace("[!", "[^", 1) if token.startswith("[") and len(token) > 1 else re.escape(token))
        for token in tokens
    )
    return whole + suffix
