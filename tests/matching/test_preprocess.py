from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from osm.errors import ConfigError, DataError
from osm.matching.preprocess import PairPreprocessor, reduce_to

ALL = {
    "turn": True, "crop_px": 24, "speckle_looks": 4.0, "sar_gain_db": 3.0, "sar_gamma": 0.3, "sar_floor": 8.0,
    "brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "grey": 0.2,
}  # fmt: skip

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


def prepare(stored, step=0, training=True, **settings):
    preprocessor = PairPreprocessor(MEAN, STD, **{"size_px": 24, "augment": ALL, **settings})
    preprocessor.step = step
    return preprocessor(stored, training)


def with_nonmatch(size_px=32):
    stored = batch(size_px)
    return {**stored, "nonmatch": stored["optical"].flip(0)}


def same(first, second):
    return {key: torch.equal(first[key], second[key]) for key in ("sar", "optical", "nonmatch")}


def test_seed_and_step_alone_decide_an_augmented_batch():
    stored = with_nonmatch()
    before = {key: value.clone() for key, value in stored.items()}
    reference = prepare(stored, step=7, seed=3)
    torch.rand(10)  # moves the global generator, which must not matter
    assert all(same(reference, prepare(stored, step=7, seed=3)).values())
    assert not any(same(reference, prepare(stored, step=8, seed=3)).values())
    assert not any(same(reference, prepare(stored, step=7, seed=4)).values())
    assert all(torch.equal(stored[key], before[key]) for key in before)


def test_an_augmented_batch_has_the_form_of_any_other():
    ready = prepare(with_nonmatch(), size_px=12)
    for key in ("sar", "optical", "nonmatch"):
        assert ready[key].shape == (2, 3, 12, 12)
        assert ready[key].dtype == torch.float32
        assert ready[key].is_contiguous(memory_format=torch.channels_last)


def test_evaluation_is_the_middle_of_the_patches_whatever_the_step():
    stored = with_nonmatch()
    ready = prepare(stored, step=5, training=False)
    middle = {key: stored[key][:, 4:28, 4:28].contiguous() for key in ("sar", "optical", "nonmatch")}
    assert all(same(ready, PairPreprocessor(MEAN, STD, size_px=24)(middle)).values())


def test_augmentation_that_is_off_is_none():
    stored = with_nonmatch()
    off = prepare(stored, size_px=32, augment=dict.fromkeys(ALL, 0))
    assert all(same(off, prepare(stored, size_px=32, augment=None, training=False)).values())


def test_a_pair_is_seen_through_one_view_and_its_nonmatch_through_another():
    number, row, column = torch.meshgrid(torch.arange(6), torch.arange(32), torch.arange(32), indexing="ij")
    optical = torch.stack([row, column, number], dim=-1).byte()
    stored = {"sar": row.byte(), "optical": optical, "nonmatch": optical.clone()}
    preprocessor = PairPreprocessor((0.0,) * 3, (1.0,) * 3, size_px=24, augment={"turn": True, "crop_px": 24})
    ready = preprocessor(stored, True)
    assert torch.equal(ready["sar"][:, 0], ready["optical"][:, 0])
    assert torch.equal(ready["optical"][:, 2, 0, 0], torch.arange(6.0))
    assert not torch.equal(ready["optical"], ready["nonmatch"])


def test_speckle_falls_on_sar_alone_and_colour_on_optical_alone():
    stored, plain = with_nonmatch(), prepare(with_nonmatch(), augment={"crop_px": 24})
    assert same(plain, prepare(stored, augment={"crop_px": 24, "speckle_looks": 4})) == {
        "sar": False, "optical": True, "nonmatch": True,
    }  # fmt: skip
    assert same(plain, prepare(stored, augment={"crop_px": 24, "brightness": 0.3})) == {
        "sar": True, "optical": False, "nonmatch": False,
    }  # fmt: skip


def test_speckle_is_that_of_native_pixels():
    flat = {"sar": torch.full((8, 64, 64), 50, dtype=torch.uint8), "optical": torch.zeros(8, 64, 64, 3).byte()}
    preprocessor = PairPreprocessor((0.0,) * 3, (1.0,) * 3, size_px=16, augment={"speckle_looks": 16})
    ready = preprocessor(flat, True)["sar"][:, 0]
    # 16 pixels are averaged into one; the amplitude of L looks has a relative variance of 1/(4 L) nearly
    assert float((ready / 50).var()) == pytest.approx(1 / (4 * 16) / 16, rel=0.15)


def test_a_crop_beyond_the_patches_is_refused():
    with pytest.raises(ConfigError, match=r"augment\.crop_px: found 24 px for patches of 20x20 px.*=20"):
        prepare(batch(20), size_px=16)


def test_a_crop_that_would_have_to_be_enlarged_is_refused():
    with pytest.raises(ConfigError, match=r"augment\.crop_px: found 16; expected 0, or at least data\.size_px = 24"):
        PairPreprocessor(MEAN, STD, size_px=24, augment={"crop_px": 16})


@pytest.mark.parametrize("training", [True, False])
def test_one_modality_alone_is_prepared_as_within_a_pair(training):
    stored = with_nonmatch()
    whole = prepare(stored, training=training)
    for key in ("sar", "optical"):
        assert torch.equal(prepare({key: stored[key]}, training=training)[key], whole[key])
