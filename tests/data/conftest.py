"""Tiny data sets in the true layouts, written by code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

Boxes = Sequence[Sequence[float]]


def voc_xml(
    width_px: int | None, height_px: int | None, boxes: Boxes, difficult: Sequence[int] = (), extra: str = ""
) -> str:
    size = "" if width_px is None else f"<size><width>{width_px}</width><height>{height_px}</height></size>"
    objects = "".join(
        "<object><name>ship</name>"
        + (f"<difficult>{difficult[i]}</difficult>" if i < len(difficult) else "")
        + f"<bndbox><xmin>{b[0]}</xmin><ymin>{b[1]}</ymin><xmax>{b[2]}</xmax><ymax>{b[3]}</ymax></bndbox></object>"
        for i, b in enumerate(boxes)
    )
    return f"<annotation>{extra}{size}{objects}</annotation>"


@pytest.fixture(scope="session")
def write_voc() -> Callable[..., Path]:
    def write(path: Path, *args: object, **kwargs: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(voc_xml(*args, **kwargs), encoding="utf-8")  # type: ignore[arg-type]
        return path

    return write


@pytest.fixture
def ssdd(tmp_path: Path, write_voc: Callable[..., Path]) -> Path:
    """Four scenes of 60x40 pixels, one ship each; the second also has a difficult one."""
    root = tmp_path / "ssdd"
    (root / "JPEGImages").mkdir(parents=True)
    drawing = np.random.default_rng(0)
    for number in (1, 2, 10, 19):
        name = f"{number:06d}"
        grey = drawing.integers(0, 255, (40, 60), dtype=np.uint8)
        Image.fromarray(grey).convert("RGB").save(root / "JPEGImages" / f"{name}.jpg")
        boxes, difficult = [(5, 6, 20, 16)], [0]
        if number == 2:
            boxes, difficult = [*boxes, (0, 0, 60, 40)], [0, 1]
        write_voc(root / "Annotations" / f"{name}.xml", 60, 40, boxes, difficult)
    return root


@pytest.fixture
def write_airsarship(tmp_path: Path, write_voc: Callable[..., Path]) -> Callable[..., Path]:
    """Write scenes of AIR-SARShip-1.0 in one of its folder forms."""

    def write(form: str, numbers: Sequence[int], width_px: int = 50, height_px: int = 30) -> Path:
        root = tmp_path / f"air-{form}"
        for number in numbers:
            stem = f"SARShip-1.0-{number}"
            image = np.full((height_px, width_px), 100 * number, dtype=np.uint16)
            folders = {
                "apart": (root / "AIR-SARShip-1.0-data", root / "AIR-SARShip-1.0-xml"),
                "together": (root / stem, root / stem),
                "mbrect": (root / "images", root / "labels"),
            }[form]
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            if form == "mbrect":
                Image.fromarray((image >> 8).astype(np.uint8)).save(folders[0] / f"{stem}.png")
                (folders[1] / f"{stem}.mbrect").write_text("10 5 20 8 18 14 8 11 ship 0\n", encoding="utf-8")
            else:
                tifffile.imwrite(folders[0] / f"{stem}.tiff", image)
                write_voc(folders[1] / f"{stem}-label.xml", width_px, height_px, [(8, 5, 20, 14)])
        return root

    return write


@pytest.fixture
def write_pairs(tmp_path: Path) -> Callable[..., Path]:
    """Write pairs of 16x16 in the layout of QXS-SAROPT."""

    def write(names: Sequence[str], root: Path | None = None, size_px: int = 16) -> Path:
        root = tmp_path / "pairs" if root is None else root
        drawing = np.random.default_rng(1)
        for folder, bands in (("sar_256_oc_0.2", ()), ("opt_256_oc_0.2", (3,))):
            (root / "QXSLAB_SAROPT" / folder).mkdir(parents=True, exist_ok=True)
            for name in names:
                patch = drawing.integers(0, 255, (size_px, size_px, *bands), dtype=np.uint8)
                Image.fromarray(patch).save(root / "QXSLAB_SAROPT" / folder / name)
        return root

    return write


@pytest.fixture
def write_geotiff() -> Callable[..., Path]:
    """Write a north-up GeoTIFF of 10 m pixels."""

    def write(
        path: Path,
        image: np.ndarray,
        x_m: float = 500_000,
        y_m: float = 4_000_000,
        epsg: int = 32610,
        nodata: str | None = None,
        point: bool = False,
    ) -> Path:
        keys = (1, 1, 0, 2, 1025, 0, 1, 2 if point else 1, 3072, 0, 1, epsg)
        tags = [
            (33550, "d", 3, (10.0, 10.0, 0.0), True),
            (33922, "d", 6, (0.0, 0.0, 0.0, x_m, y_m, 0.0), True),
            (34735, "H", len(keys), keys, True),
        ]
        if nodata is not None:
            tags.append((42113, "s", 0, nodata, True))  # type: ignore[arg-type]
        photometric = "rgb" if image.ndim == 3 and image.shape[2] == 3 else "minisblack"
        tifffile.imwrite(path, image, extratags=tags, photometric=photometric)
        return path

    return write


@pytest.fixture
def scene_pairs(tmp_path: Path, write_geotiff: Callable[..., Path]) -> Path:
    """Two scene pairs of 100x70 pixels: ``a_sar.tif`` with ``a_opt.tif``, and b."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    drawing = np.random.default_rng(2)
    for number, key in enumerate("ab"):
        sar = drawing.integers(1, 255, (70, 100), dtype=np.uint8)
        optical = drawing.integers(1, 255, (70, 100, 3), dtype=np.uint8)
        write_geotiff(folder / f"{key}_sar.tif", sar, x_m=500_000 + 1000 * number)
        write_geotiff(folder / f"{key}_opt.tif", optical, x_m=500_000 + 1000 * number)
    return folder


@pytest.fixture
def write_mosaic(tmp_path: Path) -> Callable[..., tuple[Path, np.ndarray]]:
    """Cut random scenes into overlapping pairs of 64x64, under names that say nothing of their place.

    Takes columns and rows of patches of each scene, and the grey levels by which each patch is disturbed; returns
    the folder, and scene, column and row of each pair in its natural order.
    """
    from scipy.ndimage import gaussian_filter

    size_px, overlap_px = 64, 13
    stride_px = size_px - overlap_px

    def write(scenes: Sequence[tuple[int, int]], noise: float = 0.0) -> tuple[Path, np.ndarray]:
        root = tmp_path / "mosaic"
        sar_dir, optical_dir = root / "sar", root / "opt"
        sar_dir.mkdir(parents=True)
        optical_dir.mkdir()
        drawing = np.random.default_rng(4)
        places = [(n, c, r) for n, (columns, rows) in enumerate(scenes) for c in range(columns) for r in range(rows)]
        images = []
        for columns, rows in scenes:
            shape = (rows * stride_px + overlap_px, columns * stride_px + overlap_px)
            land = gaussian_filter(drawing.standard_normal(shape), 8) * 8
            speckle = drawing.gamma(4, 0.25, shape)
            colour = land[..., None] * 30 + drawing.normal(0, 4, (*shape, 3))
            images.append(((60 + 20 * land) * speckle, 110 + colour))
        order = drawing.permutation(len(places))
        for number, index in enumerate(order.tolist(), start=1):
            scene, column, row = places[index]
            window = tuple(slice(at * stride_px, at * stride_px + size_px) for at in (row, column))
            for folder, image in zip((sar_dir, optical_dir), images[scene], strict=True):
                patch = image[window].clip(0, 255).astype(np.uint8)
                disturbed = (patch + drawing.normal(0, noise, patch.shape)).clip(0, 255).astype(np.uint8)
                Image.fromarray(disturbed).save(folder / f"{number}.png")
        return root, np.array(places)[order]

    return write
