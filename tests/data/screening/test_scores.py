from __future__ import annotations

import cv2
import numpy as np
import pytest

from osm.data.screening.scores import ScreenRule, judge, measure, optical_texture, sar_contrast
from osm.data.screening.seam import seam_score
from osm.errors import ConfigError

SIDE = 128


def _water(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    drawing = np.random.default_rng(seed)
    sar = np.clip(12 * np.sqrt(drawing.exponential(1, (SIDE, SIDE))), 0, 255).astype(np.uint8)
    optical = np.clip(drawing.normal([20, 40, 70], 1.5, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    return sar, optical


def _land() -> tuple[np.ndarray, np.ndarray]:
    """Fields of all brightnesses, in no row and none the same to both."""
    drawing = np.random.default_rng(5)
    dark, light = (np.kron(drawing.integers(20, 130, (9, 9)), np.ones((15, 15)))[:SIDE, :SIDE] for _ in range(2))
    sar = np.clip(dark * np.sqrt(drawing.exponential(1, dark.shape)), 0, 255).astype(np.uint8)
    return sar, (light[..., None] + drawing.integers(0, 20, (SIDE, SIDE, 3))).astype(np.uint8)


def _judge(sar: np.ndarray, optical: np.ndarray, missing: float = 0.0, **kwargs: bool) -> str:
    gone = np.zeros(sar.shape, dtype=bool)
    gone[: round(missing * SIDE)] = True
    keep_constant = kwargs.get("keep_constant", False)
    return judge(measure(sar, optical, gone), ScreenRule(), max_missing=0.05, keep_constant=keep_constant)


def test_each_reason_is_found_and_land_is_kept() -> None:
    dark, colour = _land()
    water, sea = _water()
    assert _judge(water, sea) == "texture-less"
    assert _judge(dark, colour) == ""
    # both must be without texture
    assert _judge(water, colour) == ""
    assert _judge(dark, sea) == ""
    assert _judge(dark, colour, missing=0.1) == "no-data"
    assert _judge(np.full_like(dark, 7), colour) == "constant SAR"
    assert _judge(dark, np.full_like(colour, 7)) == "constant optical"
    assert _judge(dark, np.full_like(colour, 7), keep_constant=True) == ""


def test_a_ship_on_the_water_is_worth_keeping() -> None:
    water, sea = _water()
    water[60:70, 40:70] = 250
    sea[60:70, 40:70] = 200
    assert _judge(water, sea) == ""


def test_contrast_is_none_for_speckle_and_does_not_depend_on_gain() -> None:
    water, _ = _water()
    assert sar_contrast(water) < 0.1
    drawing = np.random.default_rng(0)
    land = np.kron(drawing.integers(30, 120, (8, 8)), np.ones((16, 16))).astype(np.uint8)
    assert sar_contrast(land) == pytest.approx(sar_contrast((land * 2).astype(np.uint8)), rel=0.01)
    assert sar_contrast(np.zeros((SIDE, SIDE), np.uint8)) == 0


def test_a_gradient_is_no_texture() -> None:
    ramp = np.broadcast_to(np.linspace(40, 80, SIDE)[:, None], (SIDE, SIDE)).astype(np.uint8)
    assert optical_texture(np.dstack([ramp] * 3)) < 2.5


@pytest.mark.parametrize("degrees", [0, 90, 33, 120])
def test_a_step_across_the_optical_patch_alone_is_a_seam(degrees: float) -> None:
    drawing = np.random.default_rng(1)
    sar = np.clip(60 * np.sqrt(drawing.exponential(1, (256, 256))), 0, 255).astype(np.uint8)
    ground = np.clip(100 + drawing.normal(0, 5, (256, 256, 1)) + drawing.normal(0, 3, (256, 256, 3)), 0, 255)
    rows, columns = np.indices((256, 256)) - 128
    side = columns * np.cos(np.radians(degrees)) + rows * np.sin(np.radians(degrees)) > 17
    seam = (ground + 20 * side[..., None]).astype(np.uint8)
    assert seam_score(sar, seam) > 0.7
    assert seam_score(sar, ground.astype(np.uint8)) < 0.3
    # what the SAR patch shows too is on the ground
    assert seam_score(np.where(side, sar // 2, sar), seam) == 0
    # a road steps up and down again
    away = columns * np.cos(np.radians(degrees)) + rows * np.sin(np.radians(degrees))
    road = ground + 40 * (np.abs(away) < 5)[..., None]
    assert seam_score(sar, road.astype(np.uint8)) < 0.6


@pytest.mark.parametrize("degrees", [5, 47, 88, 131])
@pytest.mark.parametrize("shape", [(256, 256), (200, 256)])
def test_a_seam_is_found_by_its_hue_over_texture_that_is_brighter_than_it(degrees, shape) -> None:
    drawing = np.random.default_rng(3)
    height, width = shape
    sar = np.clip(60 * np.sqrt(drawing.exponential(1, shape)), 0, 255).astype(np.uint8)
    bright = cv2.GaussianBlur(drawing.normal(0, 1, shape), (0, 0), 2.5)
    tint = cv2.GaussianBlur(drawing.normal(0, 1, (*shape, 3)), (0, 0), 2.5)
    ground = 110 + 30 * bright[..., None] / bright.std() + 3 * tint / tint.std()
    rows, columns = np.indices(shape)
    turned = np.radians(degrees)
    beyond = (columns - width / 2) * np.cos(turned) + (rows - height / 2) * np.sin(turned) > -15
    seam = ground + beyond[..., None] * np.array([10, 18, 26])
    # 18 grey levels, where the texture's own spread is 30
    assert seam_score(sar, np.clip(seam, 0, 255).astype(np.uint8)) > 0.7
    assert seam_score(sar, np.clip(ground, 0, 255).astype(np.uint8)) < 0.7


def test_a_gradient_across_the_water_is_no_seam() -> None:
    sar, sea = _water()
    ramp = np.linspace(0, 60, SIDE)[None, :, None]
    assert seam_score(sar, np.clip(sea + ramp, 0, 255).astype(np.uint8)) < 0.3


def test_the_border_of_missing_pixels_is_no_seam() -> None:
    drawing = np.random.default_rng(1)
    sar = drawing.integers(40, 90, (256, 256), dtype=np.uint8)
    optical = drawing.integers(90, 120, (256, 256, 3), dtype=np.uint8)
    optical[:, :10] = 0
    missing = np.zeros((256, 256), dtype=bool)
    missing[:, :10] = True
    assert seam_score(sar, optical, missing) < 0.3


@pytest.mark.parametrize("wrong", [{"seam": -1.0}, {"duplicate": 0.1}, {"sar_contrast": float("nan")}])
def test_thresholds_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        ScreenRule(**wrong)
