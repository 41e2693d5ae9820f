from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.matching.augment import TURNS, View, centre_view, cut, disturb_sar, draw_view, recolour, speckle
from osm.matching.draws import RowDraws, generator
from osm.matching.settings import AugmentSettings

OFF = AugmentSettings()


def view(turns, side_px, top=0, left=0) -> View:
    turn = torch.as_tensor(turns)
    return View(turn, torch.full_like(turn, top), torch.full_like(turn, left), side_px)


def places(count, height, width) -> tuple[torch.Tensor, torch.Tensor]:
    """A pair that says in its pixels where each of them lies: SAR the row, optical row, column and patch."""
    number, row, column = torch.meshgrid(*(torch.arange(size) for size in (count, height, width)), indexing="ij")
    return row.byte(), torch.stack([row, column, number], dim=-1).byte()


def turned(image, turn):
    return cut(view([turn], image.shape[0]), image[None])[0][0]


# geometry


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        (0, [[1, 2], [3, 4]]),
        (1, [[3, 4], [1, 2]]),
        (2, [[2, 1], [4, 3]]),
        (3, [[4, 3], [2, 1]]),
        (4, [[1, 3], [2, 4]]),
        (5, [[3, 1], [4, 2]]),
        (6, [[2, 4], [1, 3]]),
        (7, [[4, 2], [3, 1]]),
    ],
)
def test_each_turn_of_a_patch_of_four_pixels(turn, expected):
    assert turned(torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8), turn).tolist() == expected


def test_turns_are_the_group_of_the_square():
    image = torch.arange(9, dtype=torch.uint8).reshape(3, 3)
    all_turned = [turned(image, turn).tolist() for turn in range(TURNS)]
    assert len({str(rows) for rows in all_turned}) == TURNS
    for first, second in product(range(TURNS), repeat=2):
        assert turned(turned(image, first), second).tolist() in all_turned
    quarter = [turned(image, turn).tolist() for turn in (5, 6)]
    assert sorted(quarter) == sorted(torch.rot90(image, times).tolist() for times in (1, 3))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), size_px=st.integers(1, 9), count=st.integers(1, 5), seed=st.integers(0, 2**40))
def test_pixels_of_a_pair_stay_registered_and_inside_their_window(data, size_px, count, seed):
    crop_px = data.draw(st.integers(0, size_px))
    drawn = draw_view(count, size_px, AugmentSettings(turn=True, crop_px=crop_px), RowDraws((seed,)))
    sar, optical = cut(drawn, *places(count, size_px, size_px))
    side_px = crop_px or size_px
    assert sar.shape == (count, side_px, side_px)
    assert optical.shape == (count, side_px, side_px, 3)
    assert torch.equal(sar, optical[..., 0])
    for number in range(count):
        top, left = int(drawn.top_px[number]), int(drawn.left_px[number])
        seen = {tuple(pixel) for pixel in optical[number].flatten(0, 1).tolist()}
        assert seen == {(top + i, left + j, number) for i in range(side_px) for j in range(side_px)}


def test_every_turn_and_every_place_is_drawn_equally_often():
    drawn = draw_view(8000, 10, AugmentSettings(turn=True, crop_px=7), RowDraws((0,)))
    for values, kinds in ((drawn.turn, 8), (drawn.top_px, 4), (drawn.left_px, 4)):
        counts = torch.bincount(values)
        assert len(counts) == kinds
        assert (counts / 8000 - 1 / kinds).abs().max() < 0.02
    together = torch.bincount(drawn.top_px * 4 + drawn.left_px, minlength=16)
    assert (together / 8000 - 1 / 16).abs().max() < 0.015


@pytest.mark.parametrize(("size_px", "crop_px", "first"), [(8, 4, 2), (9, 4, 2), (8, 8, 0), (8, 0, 0)])
def test_evaluation_looks_at_the_middle(size_px, crop_px, first):
    (optical,) = cut(centre_view(2, size_px, crop_px), places(2, size_px, size_px)[1])
    side_px = crop_px or size_px
    assert optical[1, 0, 0].tolist() == [first, first, 1]
    assert optical[1, -1, -1].tolist() == [first + side_px - 1, first + side_px - 1, 1]


def test_a_window_of_an_oblong_image_is_cut_where_it_lies():
    sar, optical = places(2, 6, 9)
    windows = cut(View(torch.tensor([0, 4]), torch.tensor([1, 2]), torch.tensor([5, 0]), 3), sar, optical)
    assert torch.equal(windows[1][0], optical[0, 1:4, 5:8])
    assert torch.equal(windows[1][1], optical[1, 2:5, 0:3].transpose(0, 1))
    assert torch.equal(windows[0], windows[1][..., 0])


def test_images_of_two_sizes_are_no_pairs():
    with pytest.raises(ValueError, match="no pairs"):
        cut(view([1], 4), torch.zeros(1, 4, 4), torch.zeros(1, 5, 5, 3))


# SAR alone


@pytest.mark.parametrize("looks", [1, 2.5, 4, 16])
def test_speckle_has_mean_1_and_variance_1_by_looks_in_intensity(looks):
    intensity = speckle((1000, 1000), looks, [generator(3)]).double() ** 2
    assert float(intensity.mean()) == pytest.approx(1, abs=4 / (looks**0.5 * 1000))
    assert float(intensity.var()) == pytest.approx(1 / looks, rel=0.02)


def test_speckle_follows_the_gamma_distribution_and_pixels_are_independent():
    from scipy.stats import gamma, kstest

    amplitude = speckle((200, 250), 4, [generator(5)])[0]
    assert kstest((amplitude.double() ** 2).flatten().numpy(), gamma(4, scale=1 / 4).cdf).pvalue > 0.01
    centred = amplitude - amplitude.mean()
    for neighbour in (centred.roll(1, 0), centred.roll(1, 1), centred.roll(4, 1)):
        assert float((centred * neighbour).mean() / centred.var()) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 5), (2, 3, 7)])
def test_speckle_has_the_shape_that_was_asked_for(shape):
    assert speckle(shape[1:], 1, RowDraws((0,)).generators(shape[0], "cpu")).shape == shape


def test_the_speckle_of_a_patch_is_its_own():
    first, second = speckle((20, 20), 4, RowDraws((0,)).generators(2, "cpu"))
    centred = first - first.mean(), second - second.mean()
    assert abs(float((centred[0] * centred[1]).mean() / (first.std() * second.std()))) < 0.2


def sar_of(value, count=2000):
    return torch.full((count, 1, 1), value, dtype=torch.uint8)


def disturbed(value, **strengths):
    return disturb_sar(sar_of(value), AugmentSettings(**strengths), RowDraws((1,)), RowDraws((2,))).flatten().double()


def test_speckle_multiplies_amplitudes():
    values = disturbed(50, speckle_looks=4)
    assert float((values**2).mean()) == pytest.approx(50**2, rel=0.05)
    assert disturbed(0, speckle_looks=4).abs().max() == 0


def test_gain_stays_within_its_decibels_and_reaches_them():
    decibels = 20 * torch.log10(disturbed(60, sar_gain_db=3) / 60)
    assert float(decibels.min()) == pytest.approx(-3, abs=0.02)
    assert float(decibels.max()) == pytest.approx(3, abs=0.02)
    assert float(decibels.mean()) == pytest.approx(0, abs=0.15)


def test_gamma_bends_the_values_and_keeps_both_ends():
    exponent = torch.log(disturbed(51, sar_gamma=0.3) / 255) / torch.tensor(51 / 255).log()
    assert float(exponent.min()) == pytest.approx(torch.tensor(-0.3).exp().item(), rel=1e-3)
    assert float(exponent.max()) == pytest.approx(torch.tensor(0.3).exp().item(), rel=1e-3)
    for end in (0, 255):
        assert disturbed(end, sar_gamma=0.3).unique().tolist() == [end]


def test_a_noise_floor_adds_to_intensity():
    dark, bright = disturbed(0, sar_floor=8), disturbed(100, sar_floor=8)
    assert 0 <= float(dark.min()) < 0.1
    assert 7.9 < float(dark.max()) <= 8
    torch.testing.assert_close(bright**2 - 100**2, dark**2, rtol=0, atol=0.01)


def test_sar_never_leaves_the_scale_of_stored_pixels():
    values = disturbed(250, sar_gain_db=10, sar_gamma=1, sar_floor=60, speckle_looks=1)
    assert float(values.min()) >= 0
    assert float(values.max()) == 255


# optical alone


def colours(**strengths):
    patches = torch.rand(400, 3, 6, 6, generator=generator(9)) * 55 + 100
    return patches, recolour(patches, AugmentSettings(**strengths), RowDraws((4,)))


def luminance(patches):
    return (patches * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)


def test_brightness_is_one_factor_a_patch():
    before, after = colours(brightness=0.2)
    factor = (after / before).flatten(1)
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    assert 0.8 <= float(factor.min()) < 0.81
    assert 1.19 < float(factor.max()) <= 1.2 + 1e-5


def test_contrast_keeps_the_mean_and_scales_the_distance_from_it():
    before, after = colours(contrast=0.5)
    torch.testing.assert_close(luminance(after).mean((1, 2)), luminance(before).mean((1, 2)))
    factor = after.flatten(1).std(1) / before.flatten(1).std(1)
    assert 0.5 <= float(factor.min()) < 0.52
    assert 1.48 < float(factor.max()) <= 1.5 + 1e-4


def test_saturation_keeps_luminance_and_scales_the_colour():
    before, after = colours(saturation=0.5)
    torch.testing.assert_close(luminance(after), luminance(before))
    chroma = [(patches - luminance(patches)[:, None]).flatten(1) for patches in (before, after)]
    factor = chroma[1].norm(dim=1) / chroma[0].norm(dim=1)
    assert 0.5 <= float(factor.min()) < 0.52
    assert 1.48 < float(factor.max()) <= 1.5 + 1e-4


def test_grey_patches_come_as_often_as_was_said_and_hold_their_luminance():
    before, after = colours(grey=0.25)
    grey = (after.amax(1) - after.amin(1)).flatten(1).amax(1) < 1e-3
    assert float(grey.float().mean()) == pytest.approx(0.25, abs=0.07)
    torch.testing.assert_close(after[grey][:, 0], luminance(before)[grey])
    torch.testing.assert_close(after[~grey], before[~grey])


def test_colours_never_leave_the_scale_of_stored_pixels():
    patches = torch.rand(50, 3, 4, 4, generator=generator(1)) * 255
    strong = recolour(patches, AugmentSettings(brightness=0.9, contrast=0.9, saturation=1.0), RowDraws((2,)))
    assert float(strong.min()) == 0
    assert float(strong.max()) == 255


# all of it


def test_what_is_off_gives_back_what_came():
    sar, optical = places(3, 8, 8)
    drawn = draw_view(3, 8, OFF, RowDraws((0,)))
    assert all(ours is theirs for ours, theirs in zip(cut(drawn, sar, optical), (sar, optical), strict=True))
    assert disturb_sar(sar, OFF, RowDraws((0,)), RowDraws((1,))) is sar
    assert recolour(optical, OFF, RowDraws((0,))) is optical


def test_one_setting_does_not_change_what_another_draws():
    gain = {"sar_gain_db": 3.0}
    alone = disturb_sar(sar_of(60), AugmentSettings(**gain), RowDraws((1,)), RowDraws((2,)))
    both = disturb_sar(sar_of(60), AugmentSettings(**gain, speckle_looks=4), RowDraws((1,)), RowDraws((2,)))
    torch.testing.assert_close(both / alone, speckle((1, 1), 4, RowDraws((2,)).generators(2000, "cpu")))
    whole = draw_view(9, 8, AugmentSettings(turn=True), RowDraws((1,)))
    window = draw_view(9, 8, AugmentSettings(turn=True, crop_px=4), RowDraws((1,)))
    assert torch.equal(whole.turn, window.turn)
