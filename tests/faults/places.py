"""Small and read-only disks, and files that vanish or are cut short."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

PAGE_BYTES = 4096


def used_bytes(folder: Path) -> int:
    """What a folder takes on a tmpfs: whole pages, and one for each name."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(-(-path.stat().st_size // PAGE_BYTES) + 1 for path in files) * PAGE_BYTES


class Disk:
    """A tmpfs of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, size_bytes: int) -> None:
        """Give it room for so much."""
        self._mount(f"remount,rw,size={size_bytes}")

    def read_only(self, wanted: bool) -> None:
        """Allow or forbid writing to it."""
        self._mount(f"remount,{'ro' if wanted else 'rw'}")

    def _mount(self, options: str) -> None:
        subprocess.run(["mount", "-o", options, str(self.folder)], check=True, capture_output=True)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Disk]:
    """Mount a tmpfs on a new folder; the test is skipped where that is not allowed."""
    folder.mkdir()
    size_bytes = max(16 * PAGE_BYTES, size_bytes)
    options = ["-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    done = subprocess.run(["mount", *options], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here ({done.stderr.strip()})")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Damage:
    """Files that are spoiled, and can be made whole again, with their times."""

    def __init__(self, paths: Sequence[Path], kind: str) -> None:
        self._before = [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
        for path, content, _ in self._before:
            if kind == "vanishes":
                path.unlink()
            else:
                path.write_bytes(content[: len(content) // 2])

    def mend(self) -> None:
        """Put back what was there."""
        for path, content, time_ns in self._before:
            path.write_bytes(content)
            os.utime(path, ns=(time_ns, time_ns))


def put_nan(path: Path) -> None:
    """Make a quarter of a single-band GeoTIFF NaN."""
    import rasterio

    with rasterio.open(path) as file:
        profile, pixels = file.profile, file.read().astype(np.float32)
    height, width = pixels.shape[1:]
    pixels[:, : height // 2, : width // 2] = np.nan
    profile.update(dtype="float32", count=len(pixels))
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)


def broken_files(folder: Path) -> list[str]:
    """Files under their final name that cannot be read to the end, by what their suffix says they are."""
    return [f"{path}: {error}" for path in sorted(folder.rglob("*")) if (error := _broken(path))]


def _broken(path: Path) -> str:
    import csv
    import json

    from PIL import Image
    from safetensors import safe_open

    if "vis_data" in path.parts:  # mmengine's curves: JSON by line, appended, read by nobody
        return ""
    if path.name.startswith(".") or not path.is_file() or any(part.startswith(".") for part in path.parts[1:]):
        return ""
    try:
        if path.suffix in (".json", ".geojson"):
            json.loads(path.read_text())
        elif path.suffix == ".safetensors":
            with safe_open(path, "np") as file:
                for name in file.keys():  # noqa: SIM118  (it is no mapping)
                    file.get_tensor(name)
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        elif path.suffix == ".csv":
            rows = list(csv.reader(path.read_text().splitlines()))
            if {len(row) for row in rows} != {len(rows[0])}:
                return "rows of several lengths"
        elif path.suffix == ".pth":
            import torch

            torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # noqa: BLE001  (whatever it is: the file is not whole)
        return f"{type(error).__name__}: {error}"
    return ""
