"""``osm card`` as a user meets it, at 80 columns."""

import json

import pytest

from osm.cli.main import main
from osm.files import sha256_file
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_backbone

CARD = Card(
    "darknet-narrow",
    InputContract.of("darknet-narrow", radiometry="percentile:0.5,99.5"),
    data={"root": "[red]pairs", "pairs": 24, "split": "paper", "train_pairs": 17, "test_pairs": 7, "simulated": True},
    config={
        "model": {"loss": {"type": "BridgeLoss"}},
        "train": {"epochs": 2, "batch_size": 4},
        "data": {"size_px": 64},
    },
    metrics={"accuracy": 0.5, "precision": 0.0, "recall": 0.0, "threshold": 0.38, "predicted_matches": 0, "auc": 0.49},
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("card") / "model.safetensors"
    export_backbone(path, build_backbone("darknet-narrow"), CARD)
    return path


@pytest.fixture(autouse=True)
def _page(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def osm(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["card", *(str(argument) for argument in arguments)])
    shown, error = capsys.readouterr()
    assert stop.value.code == 0, error
    return shown


def test_the_card_is_shown_with_what_limits_it(file, capsys):
    shown = osm(capsys, file)
    assert shown == osm(capsys, file.parent)
    assert max(map(len, shown.splitlines())) <= 80
    assert sha256_file(file) in shown
    for text in ("[red]pairs", "17, 7", "percentile:0.5,99.5", "BridgeLoss", "7 matches, 7 non-matches; split paper"):
        assert text in shown
    assert "precision – (no match)" in shown
    assert "simulated pairs: they say nothing about real SAR images" in " ".join(shown.split())


def test_the_json_is_the_card_in_the_file(file, capsys):
    assert json.loads(osm(capsys, file, "--json")) == json.loads(CARD.to_json())


def test_the_page_names_the_licence_or_says_that_it_is_unknown(file, capsys):
    page = osm(capsys, file, "--markdown")
    assert page.startswith('---\nlicense: "unknown"\n')
    assert sha256_file(file) in page
    assert 'license: "cc-by-4.0"' in osm(capsys, file, "--markdown", "--licence", "cc-by-4.0")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "--markdown"], "--json and --markdown: found both"),
        (["--licence", "mit"], "--licence: found no --markdown"),
    ],
)
def test_options_that_exclude_each_other_are_one_line(file, capsys, arguments, said):
    with pytest.raises(SystemExit) as stop:
        main(["card", str(file), *arguments])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_a_damaged_file_shows_no_card(file, tmp_path, capsys):
    content = bytearray(file.read_bytes())
    content[content.index(b"BridgeLoss")] ^= 1
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(SystemExit) as stop:
        main(["card", str(tmp_path / "w.safetensors")])
    assert stop.value.code == 2
    assert "w.safetensors: found a card or other texts with SHA-256" in capsys.readouterr().err
