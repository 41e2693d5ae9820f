"""What a user gives becomes scenes, and no output can overwrite one."""

from __future__ import annotations

from pathlib import Path

import pytest

from osm.detection.search.inputs import check_output, format_of, gather_scenes, parse_formats
from osm.errors import ConfigError, DataError


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_files_folders_safe_folders_and_lists(tmp_path: Path) -> None:
    one = touch(tmp_path / "one.tif")
    for name in ("b.TIF", "a.png", "notes.md", ".hidden.tif"):
        touch(tmp_path / "folder" / name)
    touch(tmp_path / "S1A.SAFE" / "measurement" / "s1a-vv.tiff")
    touch(tmp_path / "S1A.SAFE" / "preview" / "quick-look.png")
    (tmp_path / "list.txt").write_text("# scenes\none.tif\n\nfolder/a.png\n")
    found = gather_scenes([one, tmp_path / "folder", tmp_path / "S1A.SAFE", tmp_path / "list.txt"])
    assert [scene.scene_id for scene in found] == ["one", "a", "b", "s1a-vv"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no scene in it"):
        gather_scenes([tmp_path / "empty"])
    with pytest.raises(DataError, match="no readable list"):
        gather_scenes([tmp_path / "none.txt"])


def test_namesakes_are_told_apart(tmp_path: Path) -> None:
    paths = [touch(tmp_path / folder / "scene.tif") for folder in ("x", "y")]
    assert [scene.scene_id for scene in gather_scenes(paths)] == ["x_scene", "y_scene"]
    beside = touch(tmp_path / "x" / "scene.png")
    names = [scene.scene_id for scene in gather_scenes([*paths, beside])]
    assert names == ["x_scene_tif", "y_scene", "x_scene_png"]
    assert [scene.scene_id for scene in gather_scenes([tmp_path / "x"])] == ["x_scene_png", "x_scene_tif"]
    with pytest.raises(DataError, match="2 scenes of that name"):
        gather_scenes([*paths, touch(tmp_path / "elsewhere" / "x" / "scene.tif")])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("ships.geojson", "geojson"), ("a.coco.json", "coco"), ("a.json", "coco"), ("a.CSV", "csv"), ("a.gpkg", "gpkg"),
     ("a.png", "png"), ("a.html", "html"), ("out", None), ("out.d", None)],
)  # fmt: skip
def test_a_suffix_asks_for_a_format(name: str, kind: str | None) -> None:
    assert format_of(Path(name)) == kind


def test_outputs_that_would_harm_are_refused(tmp_path: Path) -> None:
    scene = touch(tmp_path / "in" / "a.png")
    for given, out, why in (
        ([scene], scene, "a scene"),
        ([scene], tmp_path / "in", "the folder of the scenes"),
        ([tmp_path / "in"], tmp_path / "x" / ".." / "in", "the folder of the scenes"),
        ([tmp_path / "in"], tmp_path / "in" / "b.png", "a picture in a folder of scenes"),
        ([scene], touch(tmp_path / "file.xyz"), "a file"),
    ):
        with pytest.raises(ConfigError, match=why):
            check_output(out, given, gather_scenes(given))
    check_output(tmp_path / "in" / "ships", [tmp_path / "in"], gather_scenes([scene]))
    check_output(tmp_path / "in" / "ships.geojson", [tmp_path / "in"], gather_scenes([scene]))


def test_formats() -> None:
    assert parse_formats("csv, geojson,csv") == ("csv", "geojson")
    for text in ("csv,shp", ","):
        with pytest.raises(ConfigError, match="--formats"):
            parse_formats(text)


def test_a_link_to_nowhere_is_a_broken_scene_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"")
    (tmp_path / "b.tif").symlink_to("nowhere")
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "to_folder.tif").symlink_to("folder.tif")
    assert [scene.scene_id for scene in gather_scenes([tmp_path])] == ["a", "b"]
