from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from osm.data.leakage import (
    Finding,
    Leakage,
    Picture,
    find_leaks,
    pair_pictures,
    plain_name,
    refuse,
    scene_pictures,
)
from osm.data.pairs import read_pairs
from osm.data.scenes import read_scenes
from osm.errors import DataError
from osm.simulate import simulate_pairs, simulate_scenes
from tests.data.test_landmarks import jpeg, speckled


def _picture(name: str, image: np.ndarray) -> Picture:
    return Picture(name, f"{name} {image.sum()}", (image.shape[1], image.shape[0]), lambda: image)


def _found(test: list[Picture], train: list[Picture], same: bool = False) -> set[tuple[str, str, str]]:
    return {(f.kind, f.test, f.train) for f in find_leaks(test, train, same_data_set=same).findings}


def test_copies_are_found_among_others_and_nothing_else() -> None:
    scenes = [speckled(seed) for seed in range(12)]
    train = [_picture(f"train-{n}", image) for n, image in enumerate(scenes)]
    test = [
        _picture("cut", scenes[3][40:160, 60:200]),
        _picture("dark", (scenes[5] * 0.5).astype(np.uint8)),
        _picture("encoded", jpeg(scenes[7], 70)),
        _picture("same", scenes[9].copy()),
        _picture("new", speckled(99)),
        _picture("plain", np.full((200, 240), 12, dtype=np.uint8)),
    ]
    train.append(_picture("plain too", np.full((200, 240), 12, dtype=np.uint8)))
    assert _found(test, train) == {
        ("pixels", "cut", "train-3"),
        ("pixels", "dark", "train-5"),
        ("pixels", "encoded", "train-7"),
        ("pixels", "same", "train-9"),
    }
    by_test = {f.test: f.evidence for f in find_leaks(test, train, same_data_set=False).findings}
    assert by_test["same"] == "the same pixels"
    assert "share 100% of the smaller image at an offset of -60, -40 px" in by_test["cut"]


def test_simulated_scenes_do_not_leak(tmp_path: Path) -> None:
    simulate_scenes(tmp_path / "scenes", count=6, seed=3, width_px=256, height_px=256)
    pictures = scene_pictures(read_scenes("air-sarship-1.0", tmp_path / "scenes"))
    assert _found(pictures[:2], pictures[2:], same=True) == set()
    simulate_pairs(tmp_path / "pairs", count=6, seed=3)
    assert _found(pictures, pair_pictures(read_pairs(tmp_path / "pairs"))) == set()


def test_a_patch_of_a_test_scene_among_pretraining_pairs_is_found(tmp_path: Path) -> None:
    simulate_scenes(tmp_path / "scenes", count=2, seed=3, width_px=300, height_px=300, layout="ssdd")
    simulate_pairs(tmp_path / "pairs", count=3, seed=3)
    scene = read_scenes("ssdd", tmp_path / "scenes")[1]
    grey = np.asarray(Image.open(scene.image_path).convert("L"))
    Image.fromarray(grey[20:276, 30:286]).save(next((tmp_path / "pairs").rglob("sar*/2.png")))
    assert _found(
        scene_pictures(read_scenes("ssdd", tmp_path / "scenes")), pair_pictures(read_pairs(tmp_path / "pairs"))
    ) == {("pixels", "000002", "2.png")}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("000012.jpg", "12"),
        ("S1A_IW_0042.TIFF", "s1a-iw-42"),
        ("P0001__1__0___512.png", "p1"),
        ("scene 7 (2).png", "scene-7"),
        ("scene-7_copy", "scene-7"),
        ("SARShip-1.0-5", "sarship-1-0-5"),
    ],
)
def test_names_are_compared_without_their_trimmings(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_names_tell_within_a_data_set_and_numbers_do_not_beyond() -> None:
    one, two = (_picture(name, np.zeros((9, 9), dtype=np.uint8)) for name in ("0012", "12.png"))
    assert _found([one], [two], same=True) == {("name", "0012", "12.png")}
    assert _found([one], [two]) == set()
    scene = _picture("S1A_2020", np.zeros((9, 9), dtype=np.uint8))
    patch = _picture("s1a-2020 (7.png)", np.zeros((9, 9), dtype=np.uint8))
    assert _found([scene], [patch]) == {("name", "S1A_2020", "s1a-2020 (7.png)")}


def test_positions_tell(tmp_path: Path, write_geotiff: Callable[..., Path]) -> None:
    def located(name: str, x_m: float, seed: int) -> Picture:
        path = write_geotiff(tmp_path / f"{name}.tif", speckled(seed, 60, 60), x_m=x_m)
        return Picture(name, name, (60, 60), lambda: tifffile.imread(path), path)

    test = [located("here", 500_000, 0)]
    train = [located("half", 500_300, 1), located("away", 600_000, 2)]
    (finding,) = find_leaks(test, train, same_data_set=False).findings
    assert (finding.kind, finding.train) == ("place", "half")
    assert finding.evidence == "their footprints share 50% of the smaller"


def test_a_position_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "broken.tif"
    keys = [(33550, "d", 3, (0.0, 0.0, 0.0), True), (33922, "d", 6, (0.0,) * 6, True)]
    tifffile.imwrite(path, speckled(0, 60, 60), extratags=keys)
    picture = Picture("broken", "broken", (60, 60), lambda: tifffile.imread(path), path)
    leakage = find_leaks([picture], [_picture("x", speckled(1))], same_data_set=False)
    assert leakage.findings == ()
    assert "broken GeoTIFF tags" in leakage.notes[0]


def test_what_was_found_is_kept_until_a_pixel_changes(tmp_path: Path) -> None:
    scene = speckled(0)
    reads = []

    def counted(image: np.ndarray) -> Picture:
        def read() -> np.ndarray:
            reads.append(1)
            return image

        return Picture("a", f"{image.sum()}", (240, 200), read)

    other = _picture("b", scene)
    first = find_leaks([counted(scene)], [other], same_data_set=False, cache=tmp_path)
    assert len(reads) > 0
    reads.clear()
    assert find_leaks([counted(scene)], [other], same_data_set=False, cache=tmp_path) == first
    assert reads == []
    changed = scene.copy()
    changed[0, 0] ^= 1
    find_leaks([counted(changed)], [other], same_data_set=False, cache=tmp_path)
    assert len(reads) > 0


def test_leaks_are_refused_in_one_line() -> None:
    refuse(Leakage(), "here", "mend it")
    leakage = Leakage((Finding("pixels", "a", "b", "the same pixels"), Finding("pixels", "c", "b", "the same pixels")))
    with pytest.raises(DataError) as caught:
        refuse(leakage, "here", "mend it")
    assert caught.value.line == (
        "here: found 2 test scenes that 1 training images show, first a and b: the same pixels; "
        "expected test scenes that nothing was trained on; mend it"
    )
    assert (leakage.test, leakage.train) == (("a", "c"), ("b",))


def test_real_ssdd_leaks(shared_data: Path) -> None:
    """Images of SSDD are cut from larger scenes, and overlap; two of them are even the same."""
    scenes = {scene.scene_id: scene for scene in read_scenes("ssdd", shared_data / "ssdd-train")}
    test = scene_pictures([scenes["000002"], scenes["000472"], scenes["000152"]])
    train = scene_pictures([scenes["000633"], scenes["000474"], scenes["000008"]])
    assert _found(test, train) == {("pixels", "000002", "000633"), ("pixels", "000472", "000474")}
