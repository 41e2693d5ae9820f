"""What makes a comparison fair, in tables: nothing leaked, and everything was loaded as it should be."""

from __future__ import annotations

from typing import Any

from osm.compare.report.evidence import Evidence, Key, key
from osm.compare.report.tables import ordered_cells
from osm.compare.report.words import Column, Table, labels, modules, percent
from osm.compare.study import Study


def leaks(study: Study) -> list[str]:
    """A sentence for each comparison of images in which a test scene was found among what was trained on."""
    label = labels(study)
    found = []
    for part in _parts(study):
        scenes = part.get("test_scenes", ())
        if scenes and not part.get("dropped"):
            where = f"the {_against(part, label)}"
            found.append(
                f"{len(scenes)} test scene{' is' if len(scenes) == 1 else 's are'} among {where}: "
                f"{', '.join(map(str, scenes[:5]))}{', …' if len(scenes) > 5 else ''}. "
                "The AP is too high by an unknown amount."
            )
    return found


def leak_table(study: Study) -> Table:
    """What was compared with the test scenes, and what came of it."""
    label = labels(study)
    columns = [
        Column("Test scenes against", number=False),
        Column("Test scenes found"),
        Column("Images that show them"),
    ]
    columns += [Column("What of it", number=False)]
    lines = []
    for part in _parts(study):
        checked = part.get("checked", True)
        scenes, images = part.get("test_scenes", ()), part.get("train_images", ())
        what = (
            f"could not be checked: these {_things(part)} are not at hand"
            if not checked
            else "nothing leaks"
            if not scenes
            else "these training scenes were left out"
            if part.get("dropped")
            else "LEAKS"
        )
        notes = "; ".join([what, *map(str, part.get("notes", ()))])
        counts = (str(len(scenes)), str(len(images))) if checked else ("–", "–")
        lines.append((_against(part, label), *counts, notes))
    return Table(tuple(columns), tuple(lines))


def certificate_table(study: Study, evidence: dict[Key, Evidence]) -> Table:
    """What was loaded into the backbones, one row a cell with a certificate."""
    label = labels(study)
    columns = [Column(name, number=False) for name in ("Detector", "Arm", "Seed", "Weights from")]
    columns += [Column("Filled"), Column("Tensors filled"), Column("Left random"), Column("Unused")]
    columns += [Column(name, number=False) for name in ("At the first step", "Input contract", "What stayed random")]
    lines = []
    for cell in ordered_cells(study):
        proof = evidence[key(cell)].certificate
        if proof is None:
            continue
        random = [str(name) for name in proof.get("random", ())]
        filled, unused = len(proof.get("filled", ())), len(proof.get("unused", ()))
        lines.append((
            cell.detector, label.get(cell.arm, cell.arm), str(cell.seed), str(proof.get("source") or "–"),
            percent(proof.get("coverage")), str(filled), str(len(random)), str(unused), step0_words(proof),
            contract_words(proof), modules(random, not filled),
        ))  # fmt: skip
    return Table(tuple(columns), tuple(lines))


def step0_words(proof: dict[str, Any]) -> str:
    """Whether what was loaded was there at the first training step."""
    step0 = proof.get("step0")
    if not step0:
        return "not looked at"
    if step0["equal"]:
        return "equal"
    count = len(step0["changed"])
    changed = f"{count} tensor{'' if count == 1 else 's'} changed"
    return f"{changed} (statistics re-estimated, as asked)" if step0["reestimated"] else changed


def contract_words(proof: dict[str, Any]) -> str:
    """Whether the weights were trained on what the network is fed."""
    contract = proof.get("contract")
    if not contract:
        return "–"
    if contract["agree"] is None:
        return str(contract["source_said"])
    notes = "".join(f"; {note}" for note in contract["notes"])
    if contract["agree"]:
        return f"agrees{notes}"
    entries = ", ".join(str(one["entry"]) for one in contract["mismatches"])
    return f"differs in {entries}{', which was allowed' if contract['allowed'] else ''}{notes}"


def _parts(study: Study) -> list[dict[str, Any]]:
    return list(study.leakage.get("parts", ()))


def _against(part: dict[str, Any], label: dict[str, str]) -> str:
    if "arm" in part:
        return f"{_things(part)} of {label.get(part['arm'], part['arm'])} ({part.get('pairs') or 'unnamed'})"
    return f"training scenes of {', '.join(part.get('detectors', ())) or 'every detector'}"


def _things(part: dict[str, Any]) -> str:
    """What an arm was pretrained on: pairs, the scenes of an optical detector, or scenes without their labels."""
    known = {
        "pretraining pairs": "pairs",
        "pretraining scenes": "optical scenes",
        "pretraining tiles": "unlabelled scenes",
    }
    return known.get(part["against"], "pretraining data")
