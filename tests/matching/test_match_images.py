from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from osm.errors import DataError
from osm.files import read_json
from osm.matching.match_images import embed_images, match_folders, refuse_earlier, write_matches
from osm.matching.matcher import Matcher
from osm.matching.patch import PatchRule

RULE = PatchRule(64)


@pytest.fixture(scope="module")
def matcher(finished):
    return Matcher.load(finished.work_dir / "bridge_network.safetensors")


@pytest.fixture
def folders(own_pairs):
    """Pairs 1 to 22, of which 3 lack the optical and 5 the SAR image."""
    sar, optical = (own_pairs / "QXSLAB_SAROPT" / name for name in ("sar_256_oc_0.2", "opt_256_oc_0.2"))
    (optical / "3.png").unlink()
    (sar / "5.png").unlink()
    return sar, optical


def test_namesakes_are_judged_and_the_others_get_the_nearest(matcher, folders):
    sar, optical = folders
    matches = match_folders(matcher, str(sar), str(optical), RULE)
    named = [row for row in matches.rows if row.relation == "same name"]
    assert len(named) == 20
    assert all(row.sar.name == row.optical.name for row in named)
    assert [row.sar.stem for row in named[:4]] == ["1", "2", "4", "6"]
    lone = [row for row in matches.rows if row.relation == "nearest"]
    assert (lone[0].sar.name, lone[1].optical.name) == ("3.png", "5.png")
    for row in (named[7], *lone):
        first, _ = embed_images(matcher, [row.sar], "sar", RULE)
        second, _ = embed_images(matcher, [row.optical], "optical", RULE)
        assert row.distance == pytest.approx(matcher.distances(first, second)[0], abs=1e-5)
        assert row.match == (row.distance <= matches.threshold)
    others, _ = embed_images(matcher, sorted(optical.iterdir()), "optical", RULE)
    first, _ = embed_images(matcher, [lone[0].sar], "sar", RULE)
    assert lone[0].distance == pytest.approx(
        matcher.distances(first.repeat(len(others), axis=0), others).min(), abs=1e-5
    )
    assert matches.to_optical is not None
    assert matches.to_optical.candidates == 20


def test_folders_without_a_common_name_have_no_retrieval(matcher, folders):
    sar, optical = folders
    matches = match_folders(matcher, str(sar / "3.png"), str(optical / "5.png"), RULE, threshold=1.0)
    assert [row.relation for row in matches.rows] == ["nearest", "nearest"]
    assert all(row.match for row in matches.rows)
    assert matches.to_optical is matches.to_sar is None


def test_the_table_the_sheet_and_the_record_say_the_same(matcher, folders, tmp_path):
    sar, optical = folders
    matches = match_folders(matcher, str(sar), str(optical), RULE, threshold=0.5)
    write_matches(matches, matcher, RULE, tmp_path / "out")
    with (tmp_path / "out" / "matches.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    record = read_json(tmp_path / "out" / "match.json")
    assert len(rows) == record["rows"] == 22
    assert sum(row["match"] == "true" for row in rows) == record["matches"]
    assert record["network_sha256"] == matcher.sha256
    assert record["threshold"] == 0.5
    with Image.open(tmp_path / "out" / "matches.png") as image:
        assert np.asarray(image.convert("L")).std() > 5
    with pytest.raises(DataError, match="--overwrite"):
        refuse_earlier(tmp_path / "out", overwrite=False)
    refuse_earlier(tmp_path / "out", overwrite=True)
    refuse_earlier(tmp_path / "new", overwrite=False)


def test_what_was_done_to_images_is_counted(matcher, folders):
    sar, _ = folders
    with Image.open(sar / "1.png") as image:
        image.resize((80, 70)).save(sar / "1.png")
    _, notes = embed_images(matcher, sorted(sar.iterdir()), "sar", RULE)
    assert notes == {"SAR images: the centre 64x64 of 80x70 pixels": 1}


def test_an_unreadable_image_in_the_middle_is_named(matcher, folders):
    sar, optical = folders
    (sar / "14.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"14\.png"):
        match_folders(matcher, str(sar), str(optical), RULE)
