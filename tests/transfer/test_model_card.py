"""The page of a model: figures with their number, warnings from facts, and lines of code that really load."""

import re
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from osm.transfer.card import Card, InputContract
from osm.transfer.model_card import model_card, usages_of


def page(card, **options):
    return model_card(card, sha256="0" * 64, **options)


def section(text, title):
    return re.search(rf"^## {title}\n\n(.*?)(?=^## |\Z)", text, re.M | re.S).group(1)


def test_figures_stand_with_their_number_and_split(full_card):
    figures = section(page(full_card), "Figures")
    assert "| 0.380 (fixed) | 0.824 | 0.787 | 0.890 | 336 matches, 336 non-matches; split scene |" in figures
    assert "AUC 0.882" in figures
    assert "10.0 % of the SAR patches (chance 0.3 %)" in figures


def test_a_partial_start_and_simulated_data_are_said(full_card):
    text = page(full_card)
    assert "Partial start" in text
    assert "filled 0.80 of the backbone" in section(text, "Limits")
    assert "imulated data" not in text
    simulated = page(replace(full_card, data={**full_card.data, "simulated": True}, start={}))
    assert "**Simulated data.**" in simulated
    assert "All of it on simulated pairs" in section(simulated, "Figures")
    assert "Partial" not in simulated
    assert "simulated-data" in ModelCard(simulated).data.tags


def test_what_the_card_does_not_say_is_not_invented():
    text = page(Card("darknet53", InputContract.of("darknet53")))
    assert "does not say what the weights were trained on" in section(text, "Data")
    assert section(text, "Licence").startswith("Unknown")
    assert section(text, "Figures").strip() == "None in the card."
    assert "a random draw" in section(text, "Recipe")


@pytest.mark.parametrize(
    ("licence", "license_", "license_name"),
    [
        (None, "unknown", None),
        ("cc-by-4.0", "cc-by-4.0", None),
        ('Ours: "no" war\n---\nlicense: mit', "other", 'Ours: "no" war\n---\nlicense: mit'),
    ],
)
def test_the_front_matter_is_what_hugging_face_reads(full_card, licence, license_, license_name):
    data = ModelCard(page(full_card, licence=licence)).data
    assert data.license == license_
    assert data.license_name == license_name
    assert data.library_name == "osm-ssd"
    assert data.pipeline_tag == "image-feature-extraction"
    assert {"sar", "resnet18"} <= set(data.tags)


def test_text_of_others_stays_text(full_card):
    text = page(full_card)
    assert "<b>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (3, 6) for row in rows)


@pytest.mark.parametrize("framework", ["torchvision", "timm", "Plain tensors"])
def test_the_lines_of_code_load_the_file(export_file, framework, monkeypatch):
    monkeypatch.chdir(export_file.parent)
    found = {}
    exec(usages_of("resnet18", export_file.name)[framework], found)
    if framework != "Plain tensors":
        assert found["model"].state_dict()["conv1.weight"].equal(found["state"]["conv1.weight"])


def test_lines_of_other_adapters_take_their_place(full_card):
    text = page(full_card, usages={"caffe": "load()"})
    assert "caffe:\n\n```python\nload()\n```" in text
    assert "timm" not in section(text, "How to load")
