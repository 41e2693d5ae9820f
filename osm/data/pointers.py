"""Vector files that are none: they point at other files, or at the network, and GDAL would follow."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from osm.errors import DataError

#: Bytes in which GDAL, too, looks for what a file is.
_HEAD = 4096
#: What XML with shapes in it begins with. A virtual layer (OGRVRTDataSource) or a service (OGRWFSDataSource) does not.
_SHAPES = (b"<kml", b"<gpx", b"<osm", b"featurecollection", b"opengis.net/gml")
_POINTERS = (b"<ogrvrt", b"<ogrwfs", b"<vrtdataset")


def refuse_pointers(path: Path) -> None:
    """Make sure that a vector file holds its shapes itself, whatever it is called, also inside a ZIP.

    Args:
        path: A file, or a folder of files (a shapefile's, a file geodatabase).

    Raises:
        DataError: It points elsewhere.
    """
    for name, head in _heads(path):
        text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().replace(b"\0", b"")
        # beside the layers of a folder or ZIP there may be pages and metadata, which nobody opens
        strange = not name and text.startswith((b"<", b"\xff\xfe", b"\xfe\xff"))
        if any(word in text for word in _POINTERS) or (strange and not any(word in text for word in _SHAPES)):
            raise DataError(
                path,
                found=f"XML that holds no shapes itself and may point elsewhere{name and f' ({name})'}",
                expected="a file with the shapes in it",
                mend="write the shapes to a file of their own, for example with ogr2ogr land.gpkg",
            )


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Where to read a vector file so that nothing is written beside it: GDAL keeps what it learned of a GML there."""
    head = b"" if path.is_dir() else next(_heads(path))[1]
    if b"<" not in head[:8] or b"<kml" in head.lower():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="osm-land-") as folder:
        for file in (path, path.with_suffix(".xsd"), path.with_suffix(".gfs")):
            if file.is_file():
                (Path(folder) / file.name).symlink_to(file.resolve())
        yield Path(folder) / path.name


def _heads(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.iterdir()):
            if file.is_file():
                with file.open("rb") as stream:
                    yield file.name, stream.read(_HEAD)
        return
    with path.open("rb") as stream:
        yield "", stream.read(_HEAD)
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    with archive.open(entry) as stream:
                        yield entry.filename, stream.read(_HEAD)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise DataError(
            path, found=f"a broken or encrypted ZIP ({error})", expected="a whole one", mend="download it again"
        ) from error
