"""``osm match`` as a user types it."""

from __future__ import annotations

import json

import pytest

from osm.cli.main import main


@pytest.fixture
def osm(capsys):
    """Run a command; returns its exit code, its output and what it said beside it."""

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(["match", *map(str, arguments)])
        said = capsys.readouterr()
        return int(caught.value.code or 0), said.out, said.err

    return run


@pytest.fixture(scope="module")
def network(finished):
    return finished.work_dir / "bridge_network.safetensors"


@pytest.fixture(scope="module")
def sides(finished):
    return tuple(finished.data_root / "QXSLAB_SAROPT" / name for name in ("sar_256_oc_0.2", "opt_256_oc_0.2"))


def test_two_images(osm, network, sides):
    images = sides[0] / "1.png", sides[1] / "1.png"
    code, out, err = osm("pair", network, *images)
    assert code == 0
    assert out.startswith("distance 0.")
    assert "chosen on 15 training pairs; the network's own is 0.380" in out
    assert err == "note: the network was trained on simulated pairs\n"
    code, out, err = osm("pair", network, *images, "--threshold", 1, "--json")
    record = json.loads(out)
    assert (code, err, record["match"], record["threshold_from"]) == (0, "", True, "--threshold")
    assert record["trained_on_simulated_pairs"] is True
    assert "threshold 0.0000, from --threshold" in osm("pair", network, *images, "--threshold", 0)[1]


def test_two_folders(osm, network, sides, tmp_path):
    arguments = "folders", network, "--sar", sides[0], "--optical", sides[1], "--out", tmp_path / "out"
    code, out, _ = osm(*arguments)
    assert code == 0
    assert "of 22 pairs of the same name match" in out
    assert "(chance 4.5 %)" in out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"match.json", "matches.csv", "matches.png"}
    code, _, err = osm(*arguments)
    assert code == 2
    assert "--overwrite" in err
    assert osm(*arguments, "--overwrite")[0] == 0


def test_an_index_is_searched_with_the_other_modality(osm, network, sides, tmp_path):
    index = tmp_path / "optical.safetensors"
    code, out, _ = osm("index", network, sides[1], "--modality", "optical", "--out", index)
    assert (code, out) == (0, f"22 optical images in {index}\n")
    query = sides[0] / "7.png"
    code, out, _ = osm("query", network, index, query, "--nearest", 22, "--json")
    hits = json.loads(out)["nearest"][str(query)]
    assert {hit["name"] for hit in hits} == {f"{number}.png" for number in range(1, 23)}
    distances = [hit["distance"] for hit in hits]
    assert distances == sorted(distances)
    pair = json.loads(osm("pair", network, query, sides[1] / hits[0]["name"], "--json")[1])
    assert pair["distance"] == pytest.approx(distances[0], abs=1e-5)
    code, out, _ = osm("query", network, index, query, sides[0] / "8.png", "--nearest", 2)
    assert [line.split()[0] for line in out.splitlines()] == [str(query), "1", "2", str(sides[0] / "8.png"), "1", "2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pair", "{sar}/1.png", "{sar}/1.png", "{opt}/1.png"), "1.png: found no whole safetensors file"),
        (("pair", "{net}", "{opt}/1.png", "{sar}/1.png"), "swapped?"),
        (("pair", "{net}", "{sar}/0.png", "{opt}/1.png"), "0.png: found no such file"),
        (("pair", "{net}", "{sar}/1.png", "{opt}/1.png", "--fit", "middle"), "expected one of centre, scale"),
        (("pair", "{net}", "{sar}/1.png", "{opt}/1.png", "--sar-radiometry", "lin"), "no known spelling"),
        (("index", "{net}", "{sar}", "--modality", "radar", "--out", "{out}/i.safetensors"), "one of sar, optical"),
        (("query", "{net}", "{net}", "{sar}/1.png"), "no index"),
        (("folders", "{net}", "--sar", "{sar}/*.tif", "--optical", "{opt}", "--out", "{out}"), "no file of this name"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(osm, network, sides, tmp_path, arguments, message):
    words = {"net": network, "sar": sides[0], "opt": sides[1], "out": tmp_path / "new"}
    code, out, err = osm(*(word.format(**words) for word in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "new").exists()
