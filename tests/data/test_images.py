from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from osm.data.images import MAX_PIXELS, image_size, read_image, to_gray
from osm.errors import DataError

DRAWING = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.complex64])
@pytest.mark.parametrize("shape", [(7, 11), (7, 11, 3)])
def test_tiff_comes_back_as_stored(tmp_path: Path, dtype: type, shape: tuple[int, ...]) -> None:
    image = (DRAWING.random(shape) * 200).astype(dtype)
    photometric = "rgb" if len(shape) == 3 and dtype in (np.uint8, np.uint16) else "minisblack"
    tifffile.imwrite(
        tmp_path / "a.tif", image, photometric=photometric, planarconfig="contig" if image.ndim == 3 else None
    )
    back = read_image(tmp_path / "a.tif")
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)
    assert image_size(tmp_path / "a.tif") == (11, 7)


def test_bands_stored_one_after_the_other_come_last(tmp_path: Path) -> None:
    image = DRAWING.integers(0, 255, (4, 7, 11), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.moveaxis(image, 0, -1))
    assert image_size(tmp_path / "a.tif") == (11, 7)


def test_only_the_first_page_is_read(tmp_path: Path) -> None:
    image = DRAWING.integers(0, 255, (8, 12), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(image)
        writer.write(image[::2, ::2])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), image)


def test_an_image_one_pixel_wide_keeps_its_axes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((9, 1), dtype=np.uint8))
    assert read_image(tmp_path / "a.tif").shape == (9, 1)


@pytest.mark.parametrize(
    ("mode", "image"),
    [
        ("L", DRAWING.integers(0, 255, (5, 6), dtype=np.uint8)),
        ("RGB", DRAWING.integers(0, 255, (5, 6, 3), dtype=np.uint8)),
        ("RGBA", DRAWING.integers(0, 255, (5, 6, 4), dtype=np.uint8)),
        ("I;16", DRAWING.integers(0, 65535, (5, 6), dtype=np.uint16)),
    ],
)
def test_png_comes_back_as_stored(tmp_path: Path, mode: str, image: np.ndarray) -> None:
    Image.fromarray(image).save(tmp_path / "a.png")
    back = read_image(tmp_path / "a.png")
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


def test_png_of_16_bit_colour_keeps_its_low_bytes(tmp_path: Path) -> None:
    from imagecodecs import png_encode

    image = DRAWING.integers(0, 65535, (5, 6, 3), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png_encode(image))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def test_palette_and_bilevel_pngs_become_colours_and_bytes(tmp_path: Path) -> None:
    grey = np.asarray([[0, 255], [255, 0]], dtype=np.uint8)
    Image.fromarray(grey).convert("1").save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_image(tmp_path / "1.png"), grey)
    Image.fromarray(np.stack([grey] * 3, axis=2)).convert("P").save(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png").shape == (2, 2, 3)


def test_the_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    image = DRAWING.integers(0, 255, (5, 6), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image)
    (tmp_path / "a.tif").rename(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def _noise(path: Path, compression: str | None = None) -> None:
    image = DRAWING.integers(0, 255, (64, 64), dtype=np.uint8)
    if path.suffix == ".tif":
        tifffile.imwrite(path, image, compression=compression, rowsperstrip=8)
    else:
        Image.fromarray(image).save(path)


@pytest.mark.parametrize(
    ("name", "compression"),
    [("a.png", None), ("a.jpg", None), ("a.tif", None), ("a.tif", "zlib"), ("a.tif", "jpeg"), ("a.tif", "lzw")],
)
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_a_truncated_image_is_one_error_that_names_it(
    tmp_path: Path, name: str, compression: str | None, keep: float
) -> None:
    path = tmp_path / name
    _noise(path, compression)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert caught.value.where == str(path)
    assert "truncated" in caught.value.line
    assert "write this file again" in caught.value.line
    assert "\n" not in caught.value.line


def test_a_tiff_that_lost_the_list_of_its_strips_is_not_filled_up_with_black(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    _noise(path, "zlib")
    with tifffile.TiffFile(path) as tiff:
        entry = tiff.pages.first.tags["StripByteCounts"].offset
    content = bytearray(path.read_bytes())
    content[entry : entry + 2] = struct.pack("<H", 65000)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="broken"):
        read_image(path)


def test_a_broken_tiff_says_nothing_beside_its_error(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    _noise(path, "zlib")
    path.write_bytes(path.read_bytes()[:200])
    script = "import sys\nfrom osm.data.images import read_image\nread_image(sys.argv[1])"
    run = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("Traceback")
    assert "TiffTag" not in run.stderr.split("Traceback")[0]


@pytest.mark.parametrize(
    "magic", [b"", b"II*\x00", b"MM\x00*\x00\x00", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"hello"]
)
def test_what_is_no_image_is_a_data_error(tmp_path: Path, magic: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(magic)
    for read in (read_image, image_size):
        with pytest.raises(DataError, match=r"a\.tif"):
            read(path)


def test_missing_files_and_folders_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(DataError, match="unreadable"):
        read_image(tmp_path)


def _png_header(width_px: int, height_px: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_a_header_that_claims_too_much_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(_png_header(2**20, 2**20))
    for read in (read_image, image_size):
        with pytest.raises(DataError, match="1048576x1048576") as caught:
            read(path)
        assert f"{MAX_PIXELS:,}" in caught.value.expected


def test_scenes_beyond_the_limit_of_pil_are_not_refused(tmp_path: Path) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "large.png"
    path.write_bytes(_png_header(20_000, 20_000))
    assert image_size(path) == (20_000, 20_000)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_to_gray_keeps_one_band_and_takes_one_of_equal_ones() -> None:
    grey = DRAWING.integers(0, 65535, (5, 6), dtype=np.uint16)
    np.testing.assert_array_equal(to_gray(grey), grey)
    np.testing.assert_array_equal(to_gray(grey[:, :, None]), grey)
    np.testing.assert_array_equal(to_gray(np.stack([grey] * 3, axis=2)), grey)
    np.testing.assert_array_equal(to_gray(np.stack([grey, grey, grey, np.zeros_like(grey)], axis=2)), grey)


def test_to_gray_averages_bands_that_jpeg_made_differ() -> None:
    grey = np.full((5, 6), 100, dtype=np.uint8)
    np.testing.assert_array_equal(to_gray(np.stack([grey - 2, grey, grey + 3], axis=2)), grey)


def test_to_gray_refuses_colour_and_two_bands() -> None:
    colour = np.zeros((5, 6, 3), dtype=np.uint8)
    colour[:, :, 0] = 200
    with pytest.raises(DataError, match=r"x\.png: found three bands that differ") as caught:
        to_gray(colour, "x.png")
    assert "swapped" in caught.value.mend
    with pytest.raises(DataError, match="shape"):
        to_gray(np.zeros((5, 6, 2), dtype=np.float32))


def test_real_jpeg_scenes_are_grey_and_real_optical_scenes_are_not(shared_data: Path) -> None:
    for path in sorted((shared_data / "ssdd-train" / "JPEGImages").iterdir())[60:70]:
        assert to_gray(read_image(path), path).ndim == 2
    for path in sorted((shared_data / "sentinel-pairs").glob("*_opt.tif"))[:2]:
        with pytest.raises(DataError):
            to_gray(read_image(path), path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_a_gap_in_equal_bands_changes_no_other_pixel(dtype: type) -> None:
    grey = np.random.default_rng(0).gamma(1, 60, (40, 30)).astype(dtype)
    grey[3:5] = np.nan
    np.testing.assert_array_equal(to_gray(np.stack([grey] * 3, axis=2)), grey)


def test_large_whole_numbers_are_averaged_exactly() -> None:
    grey = np.full((20, 20), 2**30 + 1, np.uint32)
    grey[0] = 0
    bands = np.stack([grey] * 3, axis=2)
    bands[5, 5] = [2**30, 2**30 + 1, 2**30 + 2]
    np.testing.assert_array_equal(to_gray(bands), grey)
