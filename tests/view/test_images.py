"""Which images may be opened."""

from __future__ import annotations

import pytest

from osm.errors import DataError
from osm.view.images import ImageFinder


@pytest.fixture
def places(tmp_path):
    """A folder that is shown, images beside it, and a secret elsewhere."""
    for name in ("shown/a.tif", "data/set/b.tif", "secret/c.tif"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    return tmp_path.resolve()


def test_an_image_is_found_where_the_record_says_below_what_is_shown(places, monkeypatch):
    monkeypatch.chdir(places)
    finder = ImageFinder((places / "shown",), (places / "data",))
    record = places / "shown" / "r.json"
    assert finder.find("a.tif", record) == places / "shown/a.tif"
    assert finder.find(str(places / "data/set/b.tif"), record) == places / "data/set/b.tif"
    assert finder.find("data/set/b.tif", record) == places / "data/set/b.tif"
    with pytest.raises(DataError, match="no such file"):
        finder.find("gone.tif", record)


@pytest.mark.parametrize("named", ["{}/secret/c.tif", "../secret/c.tif", "secret/c.tif", "./../shown/../secret/c.tif"])
def test_nothing_outside_is_opened_whatever_a_record_says(places, monkeypatch, named):
    monkeypatch.chdir(places)
    with pytest.raises(DataError, match=r"outside of what is shown, in .*secret.*--images .*secret"):
        ImageFinder((places / "shown",)).find(named.format(places), places / "shown" / "r.json")


@pytest.mark.parametrize("name", ["link.tif", "folder/c.tif"])
def test_a_link_out_of_the_folder_is_not_followed(places, name):
    shown = places / "shown"
    (shown / "link.tif").symlink_to(places / "secret/c.tif")
    (shown / "folder").symlink_to(places / "secret")
    finder = ImageFinder((shown,), (places / "data",))
    with pytest.raises(DataError, match="outside of what is shown"):
        finder.find(name, shown / "r.json")
    assert ImageFinder((shown,), (places / "secret",)).find(name, shown / "r.json") == places / "secret/c.tif"


def test_with_folders_given_nothing_else_is_opened(places):
    finder = ImageFinder((places / "shown",), (places / "data",))
    record = places / "shown" / "r.json"
    for named in (str(places / "secret/c.tif"), "../secret/c.tif", "../../../../../../etc/hostname"):
        with pytest.raises(DataError):
            finder.find(named, record)


def test_records_of_another_machine_find_their_images_by_the_end_of_the_name(places):
    finder = ImageFinder((places / "shown",), (places / "data",))
    record = places / "shown" / "r.json"
    for named in ("/cluster/data/set/b.tif", "elsewhere/set/b.tif", "../x/../set/b.tif"):
        assert finder.find(named, record) == places / "data/set/b.tif"
    with pytest.raises(DataError, match="--images"):
        finder.find("/cluster/b.tif", record)


@pytest.mark.parametrize("named", ["a\0b", "x" * 5000, "", "."])
def test_strange_names_are_no_images(places, named):
    with pytest.raises(DataError):
        ImageFinder((places / "shown",), (places / "data",)).find(named, places / "shown" / "r.json")
