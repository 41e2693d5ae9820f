"""A card as a page for people who are given the weights: Markdown, with the front matter of Hugging Face."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from osm.transfer.card import OSD, OSM, SAR_DETECTOR, Card

UNKNOWN = "unknown"
#: How Hugging Face names licences: lower case, digits, dots and dashes.
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]*")
_MARKED = re.compile(r"([\\`*_{}\[\]<>#|~])")


def model_card(
    card: Card,
    *,
    sha256: str,
    file: str = "model.safetensors",
    licence: str | None = None,
    name: str | None = None,
    usages: Mapping[str, str] | None = None,
    front_matter: bool = True,
) -> str:
    """The page: data, licence, recipe, figures, intended use, limits, how to load, SHA-256.

    Args:
        card: The card of a backbone.
        sha256: Of the file of weights.
        file: Its name.
        licence: As Hugging Face names it (``cc-by-4.0``) or in words; None where nobody has said.
        name: Headline; made of the architecture if None.
        usages: Framework → lines of Python that load the file; ``usages_of`` if None.
        front_matter: Whether the YAML that Hugging Face reads stands at the top.
    """
    title = name or f"{card.architecture}: {WHAT[card.pretrained]}"
    blocks = [
        *([_front_matter(card, licence)] if front_matter else []),
        f"# {_plain(title)}",
        *_warnings(card),
        f"{_origin(card)} Architecture: {card.architecture}.",
        "## Data\n\n" + _data(card),
        "## Licence\n\n" + _licence(licence),
        "## Input\n\n" + _input(card),
        "## Recipe\n\n" + _recipe(card),
        "## Figures\n\n" + _figures(card),
        "## Intended use\n\nTo start a ship detector on SAR images, with fine-tuning on labelled scenes. Compare it "
        "with other starts under equal settings and several seeds before relying on it.",
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits(card)),
        "## How to load\n\n" + _usages(usages_of(card.architecture, file) if usages is None else usages),
        f"## Integrity\n\nSHA-256 of `{file}`: `{sha256}`. The file itself holds digests of its tensors and of its "
        f"card, which `osm` checks whenever it reads it. Made by revision `{_code(card.git_revision)}` of osm-ssd "
        f"{_plain(str(card.versions.get('osm-ssd', UNKNOWN)))}.",
    ]
    return "\n\n".join(blocks) + "\n"


#: Headlines by ``Card.pretrained``.
WHAT = {
    OSM: "a SAR backbone, pretrained by matching",
    OSD: "the backbone of a detector of optical ships",
    SAR_DETECTOR: "the backbone of a detector of SAR ships",
}


def _origin(card: Card) -> str:
    if card.pretrained == OSM:
        return (
            "The backbone of the SAR branch of a network that tells which SAR and which optical patches show the same "
            "place; a start for ship detectors on SAR images."
        )
    kind = "optical images (the arm osd of a comparison)" if card.pretrained == OSD else "SAR images"
    return f"The backbone of {_plain(str(card.config.get('detector', 'a detector')))}, trained to find ships in {kind}."


def limits(card: Card) -> list[str]:
    """What the weights are not, from the facts of their card."""
    found = []
    if card.data.get("simulated"):
        what, real = ("pairs", "SAR images") if card.pretrained == OSM else ("scenes", "images")
        found.append(f"Trained on simulated {what}: they say nothing about real {real}.")
    if card.pretrained == OSM:
        found.append(
            "Matching figures do not tell how a backbone transfers to detection; nothing here was measured on it."
        )
    elif card.pretrained == OSD:
        found.append(
            "It has seen no SAR image: it learned from colours, and a SAR detector gives it one band three times. Its "
            "AP on optical scenes does not tell how it transfers."
        )
    else:
        found.append("It has seen labels of SAR ships: no fair start beside arms that have not.")
    coverage = card.start.get("coverage")
    if card.start.get("source") and coverage is not None and coverage < 1:
        what = "The branches" if card.pretrained == OSM else "It"
        found.append(
            f"{what} started from weights that filled {coverage:.2f} of the backbone; the rest began at random."
        )
    interpolated = card.config.get("finish", {}).get("interpolate", 1)
    if interpolated != 1:
        found.append(
            f"The weights lie {interpolated:g} of the way from their start to the end of the training; the figures are "
            "of the end."
        )
    if card.metrics.get("selection"):
        found.append("The epoch was chosen by a transfer probe; the matching figures are of the last one.")
    size = card.config.get("data", {}).get("size_px")
    if size:
        found.append(f"Trained on patches of {size} × {size} px; other resolutions and sensors were not seen.")
    return found


def usages_of(architecture: str, file: str) -> dict[str, str]:
    """Lines of Python that load the file, by framework."""
    read = f'from safetensors.torch import load_file\n\nstate = load_file("{file}")\n'
    found = {
        "osm-ssd, with a certificate": (
            "from osm.transfer.hub import load_pretrained\n\n"
            'loaded = load_pretrained("FOLDER or ORGANISATION/NAME")\n'
            "loaded.backbone, loaded.card, loaded.certificate"
        ),
        "Plain tensors": read.rstrip(),
    }
    if architecture.startswith("resnet"):
        depth = architecture.removeprefix("resnet")
        found["torchvision"] = (
            f"import torch\nimport torchvision\n{read}model = torchvision.models.{architecture}()\n"
            "model.fc = torch.nn.Identity()  # there is no classifier in the file\nmodel.load_state_dict(state)"
        )
        found["timm"] = (
            f'import timm\n{read}model = timm.create_model("{architecture}", num_classes=0)\n'
            "model.load_state_dict(state)"
        )
        found["mmdet"] = (
            f'from mmdet.models import ResNet\n{read}model = ResNet({depth}, style="pytorch")\n'
            "model.load_state_dict(state)"
        )
    elif architecture == "darknet53":
        found["mmdet"] = f"from mmdet.models import Darknet\n{read}model = Darknet(53)\nmodel.load_state_dict(state)"
    return found


def _front_matter(card: Card, licence: str | None) -> str:
    tags = ["sar", "ship-detection", "remote-sensing", "backbone", card.architecture]
    if card.data.get("simulated"):
        tags.append("simulated-data")
    if licence is None or _LICENCE.fullmatch(licence):
        licence_lines = [f"license: {json.dumps(licence or UNKNOWN)}"]
    else:
        licence_lines = ["license: other", f"license_name: {json.dumps(licence)}"]
    lines = [
        *licence_lines,
        "library_name: osm-ssd",
        "pipeline_tag: image-feature-extraction",
        "tags:",
        *(f"  - {json.dumps(tag)}" for tag in tags),
    ]
    return "\n".join(["---", *lines, "---"])


def _warnings(card: Card) -> list[str]:
    found = []
    if card.data.get("simulated"):
        found.append("> **Simulated data.** The figures show that the method runs; they say nothing about real images.")
    if card.start.get("source") and card.start.get("coverage", 1) < 1:
        found.append(f"> **Partial start.** {card.start['coverage']:.2f} of the backbone began as pretrained weights.")
    return found


def _data(card: Card) -> str:
    data = card.data
    if not data:
        return "The card does not say what the weights were trained on."
    names = (
        ("pairs", "pairs"),
        ("train_pairs", "training pairs"),
        ("test_pairs", "test pairs"),
        ("split", "split"),
        ("scenes", "scenes"),
        ("patch_px", "patch, px"),
        ("kind", "data set"),
        ("train_scenes", "training scenes"),
        ("train_ships", "their ships"),
        ("test_scenes", "test scenes"),
        ("test_ships", "their ships, to find"),
    )
    data = {**data, "patch_px": " × ".join(map(str, data["patch_px"]))} if data.get("patch_px") else data
    rows = [("folder", data["root"])] if "root" in data else []
    rows += [(shown, data[key]) for key, shown in names if data.get(key) is not None]
    rows.append(("simulated", "yes" if data.get("simulated") else "no" if "simulated" in data else UNKNOWN))
    return _table(("", ""), rows)


def _licence(licence: str | None) -> str:
    if licence is None:
        return (
            "Unknown: nobody has stated one. It depends on the terms of the data and of the weights that the training "
            "started from; ask whoever gave you this file before you pass it on."
        )
    return f"{_plain(licence)}, as stated by whoever wrote this page."


def _input(card: Card) -> str:
    contract = card.input
    rows = [
        ("bands of the SAR image" if contract.bands == 1 else "bands of the image", contract.bands),
        ("replicated to" if contract.bands == 1 else "fed to", f"{contract.replicate_to} channels"),
        ("bits", contract.bit_depth),
        ("radiometry", contract.radiometry if contract.radiometry != "none" else "none: 8 bits as delivered"),
        ("mean, in 0..255", ", ".join(f"{value:g}" for value in contract.mean)),
        ("std, in 0..255", ", ".join(f"{value:g}" for value in contract.std)),
    ]
    return _table(("", ""), rows)


def _recipe(card: Card) -> str:
    model, train = card.config.get("model", {}), card.config.get("train", {})
    start = card.start.get("source")
    rows: list[tuple[str, Any]] = [("start", start or "a random draw")]
    if start and card.start.get("coverage") is not None:
        rows.append(("filled by it", f"{card.start['coverage']:.2f} of the tensors"))
    loss = model.get("loss")
    values = (
        ("detector", card.config.get("detector")),
        ("objective", loss.get("type") if isinstance(loss, Mapping) else loss),
        ("placebo (no pair shown)", "yes" if model.get("placebo") else None),
        ("epochs", train.get("epochs")),
        ("batch", train.get("batch_size")),
        ("optimiser", json.dumps(train["optimizer"]) if train.get("optimizer") else None),
        ("schedule", train.get("schedule")),
        ("seed", train.get("seed", card.config.get("seed"))),
    )
    rows += [(name, value) for name, value in values if value is not None]
    text = _table(("", ""), rows)
    return text + "\n\nEvery setting is in the card inside the file (`osm card --json`)." if card.config else text


def figures(card: Card) -> list[tuple[str, str, str, str, str]]:
    """Matching figures: threshold, accuracy, precision, recall, and on how many pairs of which split."""
    metrics, data = card.metrics, card.data
    count, split = data.get("test_pairs"), data.get("split", UNKNOWN)
    of = f"{count:,} matches, {count:,} non-matches; split {split}" if count else f"number unknown; split {split}"
    rows = []
    for name, values in (("fixed", metrics), ("chosen in training", metrics.get("at_chosen_threshold", {}))):
        if "accuracy" in values:
            limit = f"{values['threshold']:.3f} ({name})" if "threshold" in values else name
            shown = [f"{values[key]:.3f}" if key in values else "–" for key in ("accuracy", "precision", "recall")]
            if values.get("predicted_matches") == 0:
                shown[1] = "– (no match)"
            rows.append((limit, shown[0], shown[1], shown[2], of))
    return rows


def _figures(card: Card) -> str:
    rows = figures(card)
    parts = [_table(("threshold", "accuracy", "precision", "recall", "measured on"), rows)] if rows else []
    if "auc" in card.metrics:
        parts.append(f"AUC {card.metrics['auc']:.3f}.")
    found = card.metrics.get("retrieval", {}).get("sar_to_optical")
    if found:
        parts.append(
            f"The partner is the nearest of {found['candidates']:,} optical patches for "
            f"{100 * found['recall_at_1']:.1f} % of the SAR patches (chance {100 / found['candidates']:.1f} %)."
        )
    if card.metrics.get("detection"):
        parts.append(_detection(card))
    if not parts:
        return "None in the card."
    if card.data.get("simulated"):
        parts.append(f"All of it on simulated {'pairs' if card.pretrained == OSM else 'scenes'}.")
    return "\n\n".join(parts)


def detection_figures(card: Card) -> list[tuple[str, ...]]:
    """AP of a detector on its own test scenes, in points: per tile and per scene, each ``_APS``."""
    found = card.metrics.get("detection", {})
    return [
        (
            f"per {place}",
            *(f"{100 * found[place][name]:.1f}" if found[place].get(name) is not None else "–" for name in _APS),
        )
        for place in ("tile", "scene")
        if place in found
    ]


def _detection(card: Card) -> str:
    rows, data = detection_figures(card), card.data
    where = f"{data.get('test_scenes', 'the')} {'optical ' if data.get('optical') else ''}test scenes"
    return f"AP of the detector on {where}, in points:\n\n" + _table(("", *_APS.values()), rows)


_APS = {"ap50": "AP50", "ap_coco": "AP[.5:.95]"}


def _usages(usages: Mapping[str, str]) -> str:
    return "\n\n".join(f"{name}:\n\n```python\n{lines}\n```" for name, lines in usages.items())


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_plain(str(cell)) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text that Markdown takes for nothing else, on one line."""
    return _MARKED.sub(r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())
