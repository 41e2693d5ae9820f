"""``osm inspect`` as a user types it, and the page that comes of it."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from osm.cli.main import main
from osm.files import sha256_file
from osm.transfer.architectures import build_backbone
from osm.transfer.initialise import initialise


@pytest.fixture(scope="module")
def images(finished):
    return finished.data_root / "QXSLAB_SAROPT" / "sar_256_oc_0.2"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Plain weights of the same narrow backbone, without a card."""
    backbone = build_backbone("darknet-narrow")
    initialise(backbone, 9)
    path = tmp_path_factory.mktemp("weights") / "plain.pth"
    torch.save(backbone.state_dict(), path)
    return path


def osm(capsys, *arguments):
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["inspect", *map(str, arguments)])
    said = capsys.readouterr()
    return int(caught.value.code or 0), said.out, said.err


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.links, self.words = [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "img":
            assert found["alt"]
            self.sources.append(found["src"])
        self.links += [found[name] for name in ("href", "src") if name in found]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def three(finished, images, plain, tmp_path_factory):
    """Three arms with pairs: the folder."""
    out = tmp_path_factory.mktemp("inspect") / "three"
    with pytest.raises(SystemExit) as caught:
        main([
            "inspect", "scratch", f"imagenet:{plain}", str(finished.work_dir / "sar_backbone.safetensors"),
            "--images", str(images), "--most", "9", "--pairs", str(finished.data_root), "--out", str(out),
        ])  # fmt: skip
    assert not caught.value.code
    return out


def test_the_files_are_those_that_the_record_names_and_the_page_holds_them_all(three):
    record = json.loads((three / "inspect.json").read_text())
    names = {"cka.png", "embeddings_1.png", *(f"{what}_{arm}.png" for what in ("filters", "maps") for arm in "ABC")}
    assert set(record["pictures"]) == names
    assert {path.name for path in three.iterdir()} == names | {"inspect.html", "inspect.json"}
    page = Page((three / "inspect.html").read_text())
    assert all(link.startswith("data:") for link in page.links)
    inside = {base64.b64decode(source.partition(",")[2]) for source in page.sources}
    assert inside == {(three / name).read_bytes() for name in names}
    assert all(np.asarray(Image.open(io.BytesIO(png)).convert("L")).std() > 5 for png in inside)


def test_the_page_says_what_the_record_says(three, finished, plain):
    record = json.loads((three / "inspect.json").read_text())
    page = Page((three / "inspect.html").read_text())
    for one in record["cka"]["between_arms"]:
        assert 0 <= one["chance"] < 1
        assert f"{one['cka']:.3f}" in page.text
    assert len(record["cka"]["between_arms"]) == 18
    weights = finished.work_dir / "sar_backbone.safetensors"
    network = finished.work_dir / "bridge_network.safetensors"
    for path in (plain, weights, network):
        assert sha256_file(path) in page.text
    assert all(tile["sha256"] in page.text for tile in record["images"]["tiles"])
    assert [arm["label"] for arm in record["arms"]] == ["scratch", "imagenet", str(weights)]
    assert (record["images"]["given"], len(record["images"]["tiles"]), record["cka"]["cells"]) == (22, 9, 36)
    for phrase in (
        "The SAR images are simulated",
        "The pairs are simulated",
        "C was pretrained on simulated pairs",
        "Only 36 cells were compared",
        "Do not read: distances between groups",
        "Network C: Recall@1 among the",
    ):
        assert phrase in page.text
    tsne = record["embeddings"][0]["tsne"]
    assert len(tsne["sar"]) == len(tsne["optical"]) == len(record["embeddings"][0]["pairs"])
    assert f"perplexity {tsne['perplexity']:g}, seed 0" in page.text


def test_the_page_suits_phones_dark_rooms_and_paper(three):
    text = (three / "inspect.html").read_text()
    for rule in ("width=device-width", "prefers-color-scheme: dark", "@media print", "max-width: 600px"):
        assert rule in text
    assert not re.search(r"\{\{|\{%|None|nan\b", re.sub(r"data:[^\"]*", "", text))


def test_one_arm_is_compared_with_its_start_and_with_itself(capsys, finished, images, tmp_path):
    weights = finished.work_dir / "sar_backbone.safetensors"
    code, out, _ = osm(capsys, weights, "--images", images, "--most", 3, "--out", tmp_path / "one")
    assert code == 0
    record = json.loads((tmp_path / "one" / "inspect.json").read_text())
    assert [(arm["label"], arm["added"]) for arm in record["arms"]] == [(str(weights), False), ("scratch", True)]
    assert len(record["cka"]["between_stages"]) == 15
    assert "cka_stages.png" in record["pictures"]
    assert record["embeddings"] == []
    page = Page((tmp_path / "one" / "inspect.html").read_text())
    assert "Left out: no pairs were given" in page.text
    assert "! B was added: the random start (seed 0)" in out
    assert re.search(r"^A – B( +[01]\.\d{3}){6}$", out, re.MULTILINE)
    assert "of 32 filters dead" in out


def test_an_earlier_inspection_is_kept_unless_replaced_and_then_nothing_of_it_stays(capsys, images, tmp_path):
    out = tmp_path / "out"
    scratch = "scratch", "--architecture", "darknet-narrow", "--images", images / "1.png", "--out", out
    assert osm(capsys, *scratch)[0] == 0
    assert "nothing to compare it with" in (out / "inspect.html").read_text()
    (out / "filters_H.png").write_bytes(b"of an inspection of more arms")
    (out / "notes.txt").write_text("not ours")
    code, _, err = osm(capsys, *scratch)
    assert (code, "--overwrite" in err) == (2, True)
    before = (out / "inspect.json").read_bytes()
    assert osm(capsys, *scratch, "--overwrite")[0] == 0
    assert (out / "inspect.json").read_bytes() == before
    assert {path.name for path in out.iterdir()} == {
        "cka_stages.png", "filters_A.png", "inspect.html", "inspect.json", "maps_A.png", "notes.txt",
    }  # fmt: skip


def test_constant_images_are_left_out_and_named(capsys, images, tmp_path):
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(tmp_path / "flat.png")
    arguments = "scratch", "--architecture", "darknet-narrow", "--images", tmp_path / "flat.png"
    code, out, _ = osm(capsys, *arguments, "--images", images / "1.png", "--out", tmp_path / "out")
    assert code == 0
    assert "! 1 image left out, since all pixels are equal: flat.png." in out
    code, _, err = osm(capsys, *arguments, "--out", tmp_path / "none")
    assert (code, err.count("\n")) == (2, 1)
    assert "flat.png: found a tile whose pixels are all equal" in err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scratch",), "--architecture"),
        (("scratch", "--architecture", "vgg"), "no such backbone"),
        (("{bridge}",), "both branches of a bridge network"),
        (("{images}/1.png",), "no such start"),
        (("{sar}", "--architecture", "resnet18"), "a backbone of darknet-narrow; expected one of resnet18"),
        (("osm:{part}",), "coverage"),
        (("{sar}", "--tile-px", "31"), "--tile-px"),
        (("{sar}", "--radiometry", "lin"), "no known spelling"),
        (("{sar}", "--network", "{bridge}"), "--pairs"),
        (("{sar}", "--pairs", "{tmp}/none"), "no such folder"),
        (("{sar}", "--show", "{tmp}/small.png"), "at least 32x32"),
        (("{sar}", "--images", "{tmp}/empty"), "a folder without images"),
        (("{sar}", "--images", "{tmp}/torn.png"), "torn.png: found a broken"),
        (("{sar}", "--images", "{tmp}/colour.png"), "a colour image"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, finished, images, plain, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    draw = np.random.default_rng(0)
    Image.fromarray(draw.integers(0, 256, (31, 64), dtype=np.uint8)).save(tmp_path / "small.png")
    Image.fromarray(draw.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "colour.png")
    (tmp_path / "torn.png").write_bytes((images / "1.png").read_bytes()[:500])
    state = torch.load(plain, weights_only=True)
    torch.save(dict(list(state.items())[:20]), tmp_path / "part.pth")
    words = {
        "sar": finished.work_dir / "sar_backbone.safetensors",
        "bridge": finished.work_dir / "bridge_network.safetensors",
        "images": images,
        "part": tmp_path / "part.pth",
        "tmp": tmp_path,
    }
    given = [word.format(**words) for word in arguments]
    if "--images" not in given:
        given += ["--images", str(images / "1.png")]
    code, out, err = osm(capsys, *given, "--out", tmp_path / "new")
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "new").exists()
