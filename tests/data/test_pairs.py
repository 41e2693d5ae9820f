from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osm.data.pairs import read_pairs
from osm.errors import DataError

Write = Callable[..., Path]
SAR = Path("QXSLAB_SAROPT", "sar_256_oc_0.2")
OPTICAL = Path("QXSLAB_SAROPT", "opt_256_oc_0.2")


def test_pairs_join_by_name_in_natural_order(write_pairs: Write) -> None:
    folder = read_pairs(write_pairs(["10.png", "2.png", "1.png"]))
    assert folder.names == ("1.png", "2.png", "10.png")
    assert len(folder) == 3
    assert folder.scenes is None
    assert folder.size_px == (16, 16)
    sar, optical = folder.load(2)
    np.testing.assert_array_equal(sar, np.asarray(Image.open(folder.sar_dir / "10.png")))
    np.testing.assert_array_equal(optical, np.asarray(Image.open(folder.optical_dir / "10.png")))
    assert sar.shape == (16, 16)
    assert optical.shape == (16, 16, 3)


def test_the_root_may_be_any_of_three(write_pairs: Write) -> None:
    root = write_pairs(["1.png"])
    assert len(read_pairs(root / "QXSLAB_SAROPT")) == 1
    (root / "QXSLAB_SAROPT" / "sar_256_oc_0.2").rename(root / "SAR")
    (root / "QXSLAB_SAROPT" / "opt_256_oc_0.2").rename(root / "optical")
    (root / "QXSLAB_SAROPT").rmdir()
    assert len(read_pairs(root)) == 1


def test_sar_of_three_equal_bands_and_grey_optical_are_accepted(write_pairs: Write) -> None:
    root = write_pairs(["1.png"])
    folder = read_pairs(root)
    sar, optical = folder.load(0)
    Image.fromarray(np.stack([sar] * 3, axis=2)).save(folder.sar_dir / "1.png")
    Image.fromarray(optical[:, :, 0]).save(folder.optical_dir / "1.png")
    again, grey = read_pairs(root).load(0)
    np.testing.assert_array_equal(again, sar)
    np.testing.assert_array_equal(grey, np.stack([optical[:, :, 0]] * 3, axis=2))


def test_a_missing_partner_is_named(write_pairs: Write) -> None:
    root = write_pairs(["1.png", "2.png"])
    (root / OPTICAL / "2.png").unlink()
    with pytest.raises(DataError) as caught:
        read_pairs(root)
    assert caught.value.where == str(root / OPTICAL / "2.png")
    assert str(root / SAR / "2.png") in caught.value.expected
    assert "add the missing patch or remove its partner" in caught.value.mend


def test_many_missing_partners_are_one_error_with_their_number(write_pairs: Write) -> None:
    root = write_pairs([f"{number}.png" for number in range(9)])
    for number in range(7):
        (root / SAR / f"{number}.png").unlink()
    with pytest.raises(DataError, match="7 patches without a partner") as caught:
        read_pairs(root)
    assert "osm data verify pairs" in caught.value.mend
    assert "\n" not in caught.value.line


@pytest.mark.parametrize("side", [SAR, OPTICAL])
def test_a_truncated_patch_is_named(write_pairs: Write, side: Path) -> None:
    root = write_pairs(["1.png", "2.png"])
    path = root / side / "2.png"
    path.write_bytes(path.read_bytes()[:-100])
    folder = read_pairs(root)
    folder.load(0)
    with pytest.raises(DataError, match="truncated") as caught:
        folder.load(1)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("side", [SAR, OPTICAL])
def test_a_patch_of_another_size_is_named(write_pairs: Write, side: Path) -> None:
    root = write_pairs(["1.png", "2.png"])
    Image.new("L", (16, 15)).save(root / side / "2.png")
    with pytest.raises(DataError, match="16x15") as caught:
        read_pairs(root).load(1)
    assert caught.value.where == str(root / side / "2.png")
    assert "16x16" in caught.value.expected


def test_a_patch_of_16_bits_and_a_coloured_sar_patch_are_refused(write_pairs: Write) -> None:
    root = write_pairs(["1.png"])
    Image.fromarray(np.full((16, 16), 5000, dtype=np.uint16)).save(root / SAR / "1.png")
    with pytest.raises(DataError, match="uint16"):
        read_pairs(root).load(0)
    (root / SAR / "1.png").unlink()
    (root / OPTICAL / "1.png").rename(root / SAR / "1.png")
    Image.new("RGB", (16, 16)).save(root / OPTICAL / "1.png")
    with pytest.raises(DataError, match="colour image"):
        read_pairs(root).load(0)


def test_empty_ambiguous_and_missing_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_pairs(tmp_path / "none")
    with pytest.raises(DataError, match=r"no folder sar\*"):
        read_pairs(tmp_path)
    for name in ("sar_a", "opt_a"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="empty folder"):
        read_pairs(tmp_path)
    (tmp_path / "sar_b").mkdir()
    with pytest.raises(DataError, match="several folders sar_a, sar_b"):
        read_pairs(tmp_path)


def _manifest(root: Path, scenes: dict[str, str]) -> None:
    rows = "".join(f"{name},{scene}\n" for name, scene in scenes.items())
    (root / "manifest.csv").write_text("name,scene\n" + rows)


def test_scenes_come_from_the_manifest(write_pairs: Write) -> None:
    root = write_pairs(["1.png", "2.png", "3.png"])
    _manifest(root, {"2.png": "b", "3.png": "b", "1.png": "a"})
    assert read_pairs(root).scenes == ("a", "b", "b")
    assert read_pairs(root / "QXSLAB_SAROPT").scenes == ("a", "b", "b")


def test_a_manifest_that_does_not_fit_is_named(write_pairs: Write) -> None:
    root = write_pairs(["1.png", "2.png"])
    _manifest(root, {"1.png": "a"})
    with pytest.raises(DataError, match=r"no scene for 1 pairs, first 2\.png"):
        read_pairs(root)
    (root / "manifest.csv").write_text("file,place\n1.png,a\n")
    with pytest.raises(DataError, match="broken manifest"):
        read_pairs(root)
