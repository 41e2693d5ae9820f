from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from osm.data.build_pairs import build_pairs
from osm.data.verify import KINDS, verify
from osm.errors import ConfigError

Write = Callable[..., Path]
SAR = Path("QXSLAB_SAROPT", "sar_256_oc_0.2")
OPTICAL = Path("QXSLAB_SAROPT", "opt_256_oc_0.2")


def test_clean_data_sets_are_counted(write_pairs: Write, write_airsarship: Write, ssdd: Path) -> None:
    pairs = verify("pairs", write_pairs(["1.png", "2.png"]))
    assert pairs.clean
    assert pairs.counts["pairs"] == 2
    assert pairs.counts["width in pixels"] == 16
    voc = verify("ssdd", ssdd)
    assert voc.clean
    assert (voc.counts["scenes"], voc.counts["ships"], voc.counts["boxes to ignore"]) == (4, 4, 1)
    air = verify("air-sarship-1.0", write_airsarship("together", [1, 2, 3]))
    assert air.clean
    assert air.counts["ships"] == 3


def test_everything_that_is_wrong_with_pairs_is_listed(write_pairs: Write) -> None:
    root = write_pairs([f"{number}.png" for number in range(1, 9)])
    (root / SAR / "1.png").write_bytes((root / SAR / "1.png").read_bytes()[:-60])
    Image.new("L", (16, 15)).save(root / SAR / "2.png")
    (root / OPTICAL / "3.png").unlink()
    (root / OPTICAL / "4.png").write_bytes(b"")
    Image.fromarray(np.full((16, 16), 500, dtype=np.uint16)).save(root / OPTICAL / "5.png")
    (root / "manifest.csv").write_text("name,scene\n1.png,a\n")
    report = verify("pairs", root)
    assert report.counts["pairs"] == 7
    wrong = [Path(problem.where) for problem in report.problems]
    assert sorted(wrong) == sorted(
        [root / SAR / "1.png", root / SAR / "2.png", root / "manifest.csv"]
        + [root / OPTICAL / f"{number}.png" for number in (3, 4, 5)]
    )


def test_the_odd_size_is_listed_even_where_it_comes_first(write_pairs: Write) -> None:
    root = write_pairs(["1.png", "2.png", "3.png"])
    for side in (SAR, OPTICAL):
        Image.new("L", (8, 8)).save(root / side / "1.png")
    report = verify("pairs", root)
    assert [Path(problem.where).name for problem in report.problems] == ["1.png", "1.png"]


def test_patches_that_changed_since_they_were_built_are_listed(scene_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_pairs(f"{scene_pairs}/*_sar.tif", f"{scene_pairs}/*_opt.tif", out, size_px=32)
    assert verify("pairs", out).clean
    assert verify("pairs", out).counts["checksums compared"] == 24
    path = out / OPTICAL / "7.png"
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    (problem,) = verify("pairs", out).problems
    assert problem.where == str(path)
    assert "SHA-256" in problem.found


def test_everything_that_is_wrong_with_scenes_is_listed(ssdd: Path, write_voc: Write) -> None:
    images, labels = ssdd / "JPEGImages", ssdd / "Annotations"
    whole = (images / "000001.jpg").read_bytes()
    (images / "000001.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    write_voc(labels / "000001.xml", 60, 40, [])
    write_voc(labels / "000002.xml", 60, 40, [(5, 6, 61, 16), (9, 9, 9, 9), (5, 6, 20, 16)])
    (labels / "000010.xml").unlink()
    report = verify("ssdd", ssdd)
    lines = [problem.line for problem in report.problems]
    assert len(lines) == 5
    for name, words in (
        ("000001.jpg", "truncated"),
        ("000001.xml", "without boxes"),
        ("000002.xml", "box 1"),
        ("000002.xml", "box 2"),
        ("000010.xml", "no label"),
    ):
        assert any(name in line and words in line for line in lines), (name, lines)
    assert report.counts["scenes with a problem"] == 2
    assert report.counts["ships"] == 1


def test_a_truncated_scene_is_listed_though_its_header_is_fine(write_airsarship: Write) -> None:
    root = write_airsarship("apart", [1, 2])
    path = root / "AIR-SARShip-1.0-data" / "SARShip-1.0-2.tiff"
    path.write_bytes(path.read_bytes()[:-1000])
    (problem,) = verify("air-sarship-1.0", root).problems
    assert problem.where == str(path)
    tifffile.imwrite(path, np.zeros((30, 50), dtype=np.uint16))
    assert verify("air-sarship-1.0", root).clean


@pytest.mark.parametrize("kind", KINDS)
def test_empty_and_missing_folders_are_one_problem(tmp_path: Path, kind: str) -> None:
    for path in (tmp_path, tmp_path / "none"):
        report = verify(kind, path)
        assert len(report.problems) == 1
        assert str(path) in report.problems[0].line


def test_an_unknown_kind_is_a_setting_to_correct(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pairs or"):
        verify("pair", tmp_path)


def test_progress_ends_with_all(ssdd: Path) -> None:
    seen: list[tuple[int, int]] = []
    verify("ssdd", ssdd, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (4, 4)


def test_pairs_that_must_not_be_trained_on_are_listed(write_pairs: Write) -> None:
    root = write_pairs([f"{number}.png" for number in range(1, 7)])
    for side in (SAR, OPTICAL):
        (root / side / "3.png").write_bytes((root / side / "2.png").read_bytes())
    Image.new("L", (16, 16)).save(root / SAR / "4.png")
    Image.new("RGB", (16, 16), (9, 8, 7)).save(root / OPTICAL / "5.png")
    report = verify("pairs", root)
    assert [report.counts[name] for name in ("constant SAR", "constant optical", "duplicate")] == [1, 1, 1]
    assert [Path(problem.where).name for problem in report.problems] == ["3.png", "4.png", "5.png"]
    assert "the same pixels as 2.png" in report.problems[0].found
