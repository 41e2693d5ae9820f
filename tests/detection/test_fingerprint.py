"""By what finished runs are known again."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from osm.data.scene import Scene
from osm.detection.fingerprint import digest_scenes


def scene(path, values):
    Image.fromarray(values).save(path)
    return Scene("1", path, 40, 30, np.array([[1.0, 2, 9, 8]], dtype=np.float32), np.zeros(1, dtype=bool))


def test_other_pixels_are_other_data_though_nothing_else_differs(tmp_path):
    """A file of the same name, size and labels, and even of the same time to the second."""
    path = tmp_path / "1.bmp"
    values = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    before = digest_scenes([scene(path, values)])
    size, changed = path.stat().st_size, path.stat().st_mtime_ns
    assert digest_scenes([scene(path, values)]) == before
    after = scene(path, values[::-1])
    os.utime(path, ns=(changed + 1, changed + 1))
    assert path.stat().st_size == size
    assert digest_scenes([after]) != before
