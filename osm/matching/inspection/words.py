"""What the page says: findings, and under every figure what to read in it and what not to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osm.matching.inspection.arms import Arm
from osm.matching.inspection.embeddings import SEEN, Embedded
from osm.matching.inspection.features import Likeness
from osm.matching.inspection.filters import COLOUR_ONLY, DEAD, Filters
from osm.matching.inspection.inspection import Inspection
from osm.matching.inspection.record import images_simulated, pairs_simulated


@dataclass(frozen=True)
class Cell:
    """A cell of the table of CKA.

    Attributes:
        value: As printed.
        chance: What shuffled cells give, as printed.
        share: In [0, 1], for the colour; 0 where there is no value.
    """

    value: str
    chance: str
    share: float


#: Up to so many pairs of arms get a sentence each.
_FEW = 3

SOURCE = "Kornblith et al., Similarity of Neural Network Representations Revisited, ICML 2019"


def cka_cell(one: Likeness) -> Cell:
    """How a CKA is printed."""
    return Cell(number(one.cka), number(one.chance), one.cka or 0.0)


def number(value: float | None) -> str:
    """Three places; a dash where nothing can be said."""
    return "–" if value is None else f"{value:.3f}"


def findings(found: Inspection) -> list[str]:
    """What the figures say in a few sentences."""
    said = _alike(found)
    counts = {len(filters.weights) for filters in found.filters.values()}
    dead, colour = (
        ", ".join(f"{letter} {int(getattr(filters, name).sum())}" for letter, filters in found.filters.items())
        for name in ("dead", "colour_only")
    )
    said.append(f"Of {counts.pop()} first-layer filters, dead: {dead}; for colour alone: {colour}.")
    said += [f"Network {network_name(found, one)}: {recall_said(one)}." for one in found.embedded]
    return said


def _alike(found: Inspection) -> list[str]:
    """A sentence a pair of arms; where there are many, the two ends of them at the last stage."""
    rows: dict[str, list[Likeness]] = {}
    for one in found.between_arms:
        if one.cka is not None:
            rows.setdefault(_pair(one), []).append(one)
    if len(rows) <= _FEW:
        return [
            f"{name} are most alike at {most.first_stage} (CKA {number(most.cka)}) and least at {least.first_stage} "
            f"({number(least.cka)}; cells that have nothing to do with each other give {number(least.chance)} there)."
            for name, row in rows.items()
            for most, least in [(max(row, key=_value), min(row, key=_value))]
        ]
    last = found.known.stages[-1]
    there = [one for row in rows.values() for one in row if one.first_stage == last]
    if not there:
        return []
    most, least = max(there, key=_value), min(there, key=_value)
    chance = max(one.chance or 0.0 for one in there)
    return [
        f"At {last}, {_pair(most)} are the most alike of all arms (CKA {number(most.cka)}), {_pair(least)} the least "
        f"({number(least.cka)}); cells that have nothing to do with each other give at most {number(chance)} there."
    ]


def cautions(found: Inspection) -> list[str]:
    """What must be known before anything is read."""
    said = []
    if images_simulated(found):
        said.append("The SAR images are simulated: nothing here says anything about real ones.")
    if pairs_simulated(found):
        said.append("The pairs are simulated: the embeddings say nothing about real ones.")
    for arm in found.arms:
        if arm.card is not None and arm.card.data.get("simulated"):
            said.append(f"{arm.letter} was pretrained on simulated pairs.")
        if arm.path is not None and arm.coverage < 1:
            said.append(
                f"{arm.letter} is incomplete: {arm.path.name} fills {100 * arm.coverage:.0f} % of the backbone's "
                f"tensors, a stand-in for whole weights; the rest is the random draw of seed {arm.seed}."
            )
        if arm.kind == "osm" and arm.card is None:
            said.append(
                f"{arm.letter} has no card: it is fed as all of its architecture are; whether it was trained so, "
                "nobody says."
            )
        if arm.added:
            said.append(f"{arm.letter} was added: the random start (seed {arm.seed}), since only one arm was given.")
    if found.constant:
        count = len(found.constant)
        said.append(f"{count} image{'s' if count > 1 else ''} left out, since all pixels are equal: "
                    f"{', '.join(path.name for path in found.constant[:5])}{' …' if count > 5 else ''}.")  # fmt: skip
    if wide := [stage for stage, channels in found.channels.items() if found.cells < 4 * channels]:
        said.append(
            f"Only {found.cells:,} cells were compared; at {', '.join(wide)} that is few for so many channels, which "
            "raises every CKA. Give more images."
        )
    said.append("One network and one draw each: another seed of the same training gives other figures.")
    return said


def cka_caption(found: Inspection) -> str:
    """Under the CKA between arms."""
    return (
        f"Linear CKA ({SOURCE}) of {found.cells:,} cells of {len(found.tiles)} SAR tiles, in float64. In every tile at "
        f"most one cell a block of 32 px was drawn (seed {found.wanted.seed}); all arms and stages are compared at the "
        "same places, channels as features. Read: 1 means that one arm's channels are a rotation of the other's, up to "
        "one scale; the small number is what is left when the cells of one are shuffled: near it is no likeness. "
        "Do not read: that the less alike arm is the better or the worse one, or that 0.9 is close: channels of high "
        "variance decide most of it, and two random draws, which pass on little but brightness, are much alike too."
    )


def stages_caption(found: Inspection) -> str:
    """Under the CKA between the stages of one arm."""
    return (
        f"The same between the stages of {found.arms[0].letter}, at the same {found.cells:,} places. Read: where the "
        "representation changes from one stage to the next. Do not read: that two alike stages are redundant."
    )


FILTERS_NOTE = (
    "Left: the sum over the three bands, each divided by its std, which is all that acts on SAR, since its one band "
    "is given three times. Right: the same filter in colour, grey meaning zero. A filter has the same place in both "
    f"and in every arm. Struck out: dead, its norm or its batch norm's gain below {DEAD:g} of the median. For colour "
    f"alone: not dead, but its response to grey is below {100 * COLOUR_ONLY:g} % of what equal bands give; the grey "
    "share is the median of that. Read: edges, blobs and noise. Do not read: strength, since each filter is scaled "
    "to its own largest value."
)


def filters_caption(arm: Arm, filters: Filters) -> str:
    """Under the first layer of an arm."""
    return f"{arm.letter}: {arm.label}. {filters_said(filters)}."


def filters_said(filters: Filters) -> str:
    """The counts of an arm's first layer."""
    dead, colour = int(filters.dead.sum()), int(filters.colour_only.sum())
    median = 100 * float(np.median(filters.grey_share))
    return f"{dead} of {len(filters.weights)} filters dead, {colour} for colour alone, grey share {median:.0f} %"


MAPS_NOTE = (
    "By row a stage; first the mean over channels of the absolute activation, then the three channels that vary "
    "most over the tile, each with a scale of its own that holds 99.5 % of its values. A batch norm is shown before "
    "its ReLU. Read: what a stage tells apart, such as ships from sea or land from water, or no more than the "
    "tile's border. Do not read: brightness across panels, since each has its own scale; exact places in deep "
    "stages, where a cell sees far more than its square; or what a detector will find."
)


def maps_caption(arm: Arm, found: Inspection) -> str:
    """Under the activation maps of an arm."""
    return f"{arm.letter}: {arm.label}, on the middle of {found.shown.path.name}."


EMBEDDINGS_NOTE = (
    "t-SNE of both modalities together. A line joins the SAR (disc) and the optical patch (square) of a pair; a "
    "colour is a scene. Read: which points are neighbours: short lines, mixed modalities. Do not read: distances "
    "between groups, their sizes or their density; t-SNE invents them, and another seed or perplexity draws another "
    "picture. The recall counts, not the picture."
)


def embedding_caption(found: Inspection, embedded: Embedded) -> str:
    """Under the embeddings of a network."""
    chosen = embedded.chosen
    scenes = f" of {len(set(chosen.scenes))} scenes" if chosen.scenes else ", whose scenes nobody knows"
    text = (
        f"{network_name(found, embedded)}: {embedded.path} (SHA-256 {embedded.sha256}). {len(embedded.names)} "
        f"pairs{scenes}, {SEEN[chosen.test]} ({chosen.of:,} to choose from). {recall_said(embedded)}. "
    )
    if embedded.points is None:
        return text + (
            "The picture is left out: t-SNE needs scikit-learn, which is not installed; "
            "install the extra with pip install 'osm-ssd[inspect]'."
        )
    return text + (
        f"t-SNE: perplexity {embedded.perplexity:g}, seed {embedded.seed}, divergence {embedded.divergence:.2f} in the "
        "end."
    )


def network_name(found: Inspection, embedded: Embedded) -> str:
    """The letter of the arm beside whose weights a network lies; else its path."""
    letters = [arm.letter for arm in found.arms if arm.network_beside == embedded.path]
    return letters[0] if letters else str(embedded.path)


def recall_said(embedded: Embedded) -> str:
    """How well partners find each other among the pairs that are shown."""
    count = len(embedded.names)
    return (
        f"Recall@1 among the {count} pairs shown: SAR to optical {100 * embedded.to_optical.recall_at_1:.1f} %, "
        f"optical to SAR {100 * embedded.to_sar.recall_at_1:.1f} % (chance {100 / count:.1f} %)"
    )


def _pair(one: Likeness) -> str:
    return f"{one.first} and {one.second}"


def _value(one: Likeness) -> float:
    return one.cka or 0.0
