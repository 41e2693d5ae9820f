from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from osm.errors import DataError
from osm.files import sha256_file
from osm.matching.inspection.tiles import choose_images, most_varied, read_tile

DRAW = np.random.default_rng(0)


def image(path, height, width, high=256):
    Image.fromarray(DRAW.integers(0, high, (height, width), dtype=np.uint8)).save(path)
    return path


@pytest.mark.parametrize(("size", "tile"), [((70, 100), (64, 96)), ((300, 64), (128, 64)), ((32, 33), (32, 32))])
def test_the_middle_is_cut_in_multiples_of_32_at_the_size_of_its_pixels(tmp_path, size, tile):
    path = image(tmp_path / "a.png", *size)
    found = read_tile(path, 128)
    row, column = ((whole - part) // 2 for whole, part in zip(size, tile, strict=True))
    whole = np.asarray(Image.open(path))
    np.testing.assert_array_equal(found.pixels, whole[row : row + tile[0], column : column + tile[1]])
    assert (found.sha256, found.radiometry) == (sha256_file(path), "none")


def test_sixteen_bits_are_mapped_and_that_is_said(tmp_path):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", DRAW.integers(1, 9000, (64, 64), dtype=np.uint16))
    found = read_tile(tmp_path / "a.tif", 64)
    assert found.radiometry == "percentile:0.5,99.5"
    assert (found.pixels.min(), found.pixels.max()) == (0, 255)


def test_an_image_that_is_too_small_or_broken_is_named(tmp_path):
    with pytest.raises(DataError, match=r"a\.png: found an image of 40x31 pixels; expected at least 32x32"):
        read_tile(image(tmp_path / "a.png", 31, 40), 64)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"b\.png: found"):
        read_tile(tmp_path / "b.png", 64)


def test_some_of_many_are_spread_over_all_and_named_once(tmp_path):
    paths = [image(tmp_path / f"{number}.png", 4, 4) for number in range(1, 12)]
    chosen, given = choose_images([str(tmp_path), str(paths[3])], 3)
    assert ([path.name for path in chosen], given) == (["1.png", "6.png", "11.png"], 11)
    assert choose_images([str(tmp_path / "1*.png")], 9)[0] == [paths[0], paths[9], paths[10]]
    with pytest.raises(DataError, match=r"--images .*no file of this name"):
        choose_images([str(tmp_path / "*.jpg")], 3)


def test_constant_and_most_varied(tmp_path):
    flat, dim, bright = (read_tile(image(tmp_path / f"{high}.png", 32, 32, high), 32) for high in (1, 9, 256))
    assert (flat.constant, dim.constant) == (True, False)
    assert most_varied([flat, bright, dim]) is bright
