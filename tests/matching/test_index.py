from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from osm.errors import ConfigError, DataError, EnvironmentProblem, WeightsError
from osm.matching import index as module
from osm.matching.index import Index, IndexFacts, build_index, nearest_by_faiss
from osm.matching.matcher import Matcher
from osm.matching.patch import PatchRule
from osm.matching.retrieval import nearest

DRAW = np.random.default_rng(0)


def an_index(count=12, space="cube", sha256="a" * 64):
    names = tuple(f"{number}.png" for number in range(count))
    rows = DRAW.random((count, 4), dtype=np.float32)
    return Index(IndexFacts(sha256, "optical", space, names, "centre", "auto"), rows)


def test_it_comes_back_as_it_was(tmp_path):
    index = an_index()
    index.write(tmp_path / "i.safetensors")
    again = Index.read(tmp_path / "i.safetensors", "a" * 64)
    assert again.facts == index.facts
    np.testing.assert_array_equal(again.embeddings, index.embeddings)


def test_the_index_of_another_network_is_refused(tmp_path):
    an_index().write(tmp_path / "i.safetensors")
    with pytest.raises(DataError, match=r"index of the network aaaaaaaaaaaa….*one of the network bbbbbbbbbbbb…"):
        Index.read(tmp_path / "i.safetensors", "b" * 64)


def test_a_damaged_index_is_found(tmp_path, finished):
    an_index().write(tmp_path / "i.safetensors")
    content = bytearray((tmp_path / "i.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "i.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="changed or damaged"):
        Index.read(tmp_path / "i.safetensors", "a" * 64)
    with pytest.raises(DataError, match="no index"):
        Index.read(finished.work_dir / "bridge_network.safetensors", "a" * 64)


@pytest.mark.parametrize(("space", "diameter"), [("cube", 2.0), ("sphere", 2.0)])
def test_distances_are_those_of_the_space(space, diameter):
    index = an_index(space=space)
    places, distances = index.search(index.embeddings[:3], 2)
    assert places[:, 0].tolist() == [0, 1, 2]
    assert distances[:, 0].tolist() == [0, 0, 0]
    apart = np.linalg.norm(index.embeddings[0].astype(float) - index.embeddings[places[0, 1]])
    assert distances[0, 1] == pytest.approx(apart / diameter)


def test_a_folder_is_embedded_in_the_order_of_its_names(finished, tmp_path):
    matcher = Matcher.load(finished.work_dir / "bridge_network.safetensors")
    folder = finished.data_root / "QXSLAB_SAROPT" / "opt_256_oc_0.2"
    index, notes = build_index(matcher, str(folder), "optical", PatchRule(64), tmp_path / "i.safetensors")
    assert set(index.facts.names) == {path.name for path in folder.iterdir()}
    assert notes == {}
    assert Index.read(tmp_path / "i.safetensors", matcher.sha256).facts == index.facts
    for changed, error in (
        ({"modality": "radar"}, ConfigError),
        ({"out": tmp_path / "i.npy"}, ConfigError),
        ({"images": str(tmp_path / "none")}, DataError),
        ({}, DataError),
    ):
        given = {"images": str(folder), "modality": "optical", "out": tmp_path / "i.safetensors", **changed}
        with pytest.raises(error):
            build_index(matcher, given["images"], given["modality"], PatchRule(64), given["out"])


def test_faiss_finds_what_numpy_finds(monkeypatch):
    pytest.importorskip("faiss")
    gallery, queries = DRAW.random((500, 20), dtype=np.float32), DRAW.random((30, 20), dtype=np.float32)
    queries[:5] = gallery[:5]
    for count in (1, 7, 600):
        places, squared = nearest_by_faiss(queries, gallery, count)
        expected_places, expected = nearest(queries, gallery, count)
        np.testing.assert_allclose(squared, expected, atol=1e-12)
        np.testing.assert_array_equal(places, expected_places)
    monkeypatch.setattr(module, "PLAIN", 3)
    index = an_index()
    assert index.search(index.embeddings, 1)[0][:, 0].tolist() == list(range(12))


def test_a_large_index_without_faiss_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)  # what importing a missing package comes to
    monkeypatch.setattr(module, "PLAIN", 3)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'osm-ssd\[index\]'"):
        an_index().search(np.zeros((1, 4), np.float32), 1)


def test_a_small_index_does_not_import_faiss():
    code = (
        "import sys, numpy as np; from osm.matching.index import Index, IndexFacts; "
        "facts = IndexFacts('', 'sar', 'cube', ('a',), 'centre', 'auto'); "
        "Index(facts, np.zeros((1, 2), np.float32)).search(np.zeros((1, 2), np.float32), 1); "
        "assert 'faiss' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
