from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from osm.errors import ConfigError, DataError
from osm.matching.preprocess import PairPreprocessor, reduce_to

MEAN, STD = (10.0, 20.0, 30.0), (2.0, 4.0, 8.0)


def batch(size_px: int = 8) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {
        "sar": torch.randint(256, (2, size_px, size_px), dtype=torch.uint8, generator=draw),
        "optical": torch.randint(256, (2, size_px, size_px, 3), dtype=torch.uint8, generator=draw),
        "index": torch.tensor([4, 5]),
    }


def test_values_are_those_of_the_formula():
    stored = batch()
    ready = PairPreprocessor(MEAN, STD, size_px=8)(stored)
    for channel in range(3):
        optical = (stored["optical"][..., channel].double() - MEAN[channel]) / STD[channel]
        sar = (stored["sar"].double() - MEAN[channel]) / STD[channel]
        torch.testing.assert_close(ready["optical"][:, channel].double(), optical, atol=1e-4, rtol=0)
        torch.testing.assert_close(ready["sar"][:, channel].double(), sar, atol=1e-4, rtol=0)
    assert ready["index"].tolist() == [4, 5]


def test_images_lie_channels_last_and_stored_ones_are_left_alone():
    stored = batch()
    before = {key: value.clone() for key, value in stored.items()}
    ready = PairPreprocessor(MEAN, STD, size_px=8)(stored)
    for key in ("sar", "optical"):
        assert ready[key].is_contiguous(memory_format=torch.channels_last)
        assert ready[key].dtype == torch.float32
        assert torch.equal(stored[key], before[key])


def test_a_whole_factor_averages_blocks():
    images = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert reduce_to(images, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


@pytest.mark.parametrize("size_px", [12, 20, 31])
def test_other_factors_agree_with_pillow(size_px):
    # both filter with a triangle as wide as the reduction
    pixels = np.random.default_rng(0).random((32, 32)).astype(np.float32)
    expected = Image.fromarray(pixels).resize((size_px, size_px), Image.Resampling.BILINEAR)
    ours = reduce_to(torch.from_numpy(pixels)[None, None], size_px)[0, 0].numpy()
    np.testing.assert_allclose(ours, np.asarray(expected), atol=1e-5)


def test_reduction_does_not_alias():
    stripes = torch.tensor([0.0, 255.0]).repeat(32).expand(1, 1, 64, 64)
    for size_px in (32, 24):
        assert reduce_to(stripes, size_px)[..., 2:-2].std() < 15  # single pixels would give 127


@pytest.mark.parametrize("size_px", [9, 256])
def test_enlarging_is_refused(size_px):
    with pytest.raises(ConfigError, match=r"set data\.size_px=8"):
        PairPreprocessor(MEAN, STD, size_px=size_px)(batch())


def test_an_unreadable_patch_becomes_the_error_it_was():
    fields = {"where": "sar/3.png", "found": "half a file", "expected": "a PNG", "mend": "copy it again"}
    with pytest.raises(DataError) as caught:
        PairPreprocessor(MEAN, STD)({"unreadable": fields})
    assert caught.value.line == "sar/3.png: found half a file; expected a PNG; copy it again"
