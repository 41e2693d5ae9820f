"""The answer of a comparison in sentences, and the table of what was tested."""

from __future__ import annotations

from collections.abc import Sequence

from osm.compare.report.certainty import PLACE, RESAMPLES, SEED, SWAPS, Certainty, claims, pairs, settled
from osm.compare.report.tables import Delta, deltas
from osm.compare.report.words import METRIC_NAMES, PLACE_NAMES, Column, Table, labels, seed_words, signed
from osm.compare.statistics.difference import Difference
from osm.compare.statistics.power import needed_words, resolution_words
from osm.compare.statistics.study import METRICS as FIGURES
from osm.compare.study import Study, is_placebo

DATA_NAMES = {
    "ssdd": "SSDD",
    "hrsid": "HRSID",
    "air-sarship-1.0": "AIR-SARShip-1.0",
    "air-sarship-2.0": "AIR-SARShip-2.0",
}

#: Sentences that stand at the top; further ones are folded below them, in the same order.
MOST_SAID = 7

TEST_NOTE = (
    f"Differences in points (×100) {PLACE_NAMES[PLACE]}, paired by seed and by scene. In brackets the 95 % confidence "
    f"interval of a paired hierarchical bootstrap (seeds, then scenes; {RESAMPLES:,} resamples); p is two-sided, of a "
    f"paired permutation test ({SWAPS:,} swaps, each with its mirror), and p (Holm) the same corrected for the number "
    "of detectors × figures of one arm against one baseline. Settled: p (Holm) is at most 0.05, and the interval "
    "excludes zero. What a test set cannot resolve is less than what about 80 % of such studies would find, of one "
    "comparison and before any correction. With one seed, or one test scene, the interval speaks of the trained "
    f"detectors, or of the scene, at hand alone, and nothing is tested. All draws are from seed {SEED}."
)


def answer(study: Study, certainty: Certainty) -> list[str]:
    """What was found about AP50 of whole scenes: of several comparisons how many are settled, then a sentence each."""
    sentences = [_sentence(study, certainty, *one) for one in _asked(study)]
    said = [sentence for sentence in sentences if sentence]
    if not said:
        # finished cells that could not be tested are not cells that are missing
        return list(certainty.untested) or ["There is no finished pair of cells to compare yet."]
    return [*_count(study, certainty), *said]


def _asked(study: Study) -> list[tuple[str, str, str]]:
    """Detector, arm and baseline: of pretrained arms and fusions where there are any; a placebo is a baseline only."""
    asked = {arm.name for arm in study.arms if arm.kind in ("osm", "osd", "fusion") and not is_placebo(arm.name)}
    found = pairs(study)
    if any(arm in asked for arm, _ in found):
        found = [(arm, baseline) for arm, baseline in found if arm in asked]
    return [(detector, arm, baseline) for detector in study.detectors for arm, baseline in found]


def _count(study: Study, certainty: Certainty) -> list[str]:
    found = [one for asked in _asked(study) if (one := certainty.find(*asked)) is not None and claims(one)]
    if len(found) < 2:
        return []
    sure = [one.estimate for one in found if settled(one)]
    count, above = len(sure), sum(value > 0 for value in sure)
    number = (
        "none is" if count == 0 else "all are" if count == len(found) else f"{count} {'is' if count == 1 else 'are'}"
    )
    ways = f": {above} higher, {count - above} lower" if count else ""
    return [f"Of {len(found)} comparisons of AP50 {PLACE_NAMES[PLACE]}, {number} settled{ways}."]


def shortened(sentences: Sequence[str]) -> list[str]:
    """The first of many sentences, for a terminal."""
    left = len(sentences) - MOST_SAID
    return [*sentences[:MOST_SAID], *([f"… and {left} more in the report."] if left > 0 else [])]


def _sentence(study: Study, certainty: Certainty, detector: str, arm: str, baseline: str) -> str:
    label = _names(study)
    found = certainty.find(detector, arm, baseline)
    where, what = f"On {data_name(study)}", f"{detector}'s AP50 {PLACE_NAMES[PLACE]}"
    if found is None:
        return _untested(study, detector, arm, baseline)
    number = found.spread.n_seeds
    if number < 2:
        return (
            f"{where}, nothing can be said yet about what {label[arm]} does to {what} in place of {label[baseline]}: "
            f"there is one seed of both. The two detectors at hand differ by {signed(found.estimate)} points "
            f"{ends(found)}."
        )
    if found.spread.n_scenes < 2:
        return (
            f"{where}, nothing can be said about what {label[arm]} does to {what} in place of {label[baseline]} in "
            f"other scenes: there is one. In it they differ by {signed(found.estimate)} points."
        )
    size = signed(abs(found.estimate)).lstrip("+")
    if size == "0.0":
        verb, by = ("does not change", "") if found.estimate == 0 else ("changes", " by less than 0.05 points")
    else:
        verb = "raises" if found.estimate > 0 else "lowers"
        by = f" by {size} point{'' if size == '1.0' else 's'}"
    left = f" So far {number} of {len(study.seeds)} seeds are finished." if number < len(study.seeds) else ""
    few = " With two seeds, little is known of the spread between training runs." if number == 2 else ""
    return (
        f"{where}, {label[arm]} {verb} {what}{by} against {label[baseline]} {ends(found)}, "
        f"{p_words(found, certainty)}: {needed_words(found, certainty.family(found))}.{few}{left}"
    )


def _untested(study: Study, detector: str, arm: str, baseline: str) -> str:
    """Of cells without predictions the difference alone; nothing of cells that are not there."""
    label = _names(study)
    wanted = (detector, arm, baseline, f"ap50_{PLACE}")
    found: Delta | None = next(
        (one for one in deltas(study) if (one.detector, one.arm, one.baseline, one.metric) == wanted), None
    )
    if found is None:
        return ""
    return (
        f"On {data_name(study)}, {detector}'s AP50 {PLACE_NAMES[PLACE]} with {label[arm]} differs from that with "
        f"{label[baseline]} by {signed(found.mean)} points over {seed_words(found.n_seeds)}; without predictions of "
        "both it was not tested, and nothing is settled."
    )


def _names(study: Study) -> dict[str, str]:
    """Arm name → what it is called in a sentence."""
    return {arm.name: f"the {arm.label}" if arm.members else arm.label for arm in study.arms}


def data_name(study: Study) -> str:
    """The data set as people call it."""
    kind = str(study.data.get("kind", ""))
    name = DATA_NAMES.get(kind, kind.upper() if kind else "these scenes")
    return f"simulated scenes (in the layout of {name})" if study.data.get("simulated") else name


def ends(difference: Difference) -> str:
    """The interval in points: ``[−0.2, 2.4]``."""
    low, high = (signed(value).lstrip("+") for value in (difference.low, difference.high))
    return f"[{low}, {high}]"


def p_words(difference: Difference, certainty: Certainty) -> str:
    """``p = 0.09``, and for how many comparisons it was corrected."""
    p = difference.p if difference.p_holm is None else difference.p_holm
    family = certainty.family(difference)
    text = p_value(p)
    return f"p {text if text.startswith('<') else f'= {text}'}" + (
        f" (corrected for {family} comparisons)" if family > 1 else ""
    )


def p_value(p: float) -> str:
    """Two decimals, three below 0.1, four below 0.01 (the smallest that the draws can show is 0.0002)."""
    return "< 0.001" if p < 0.001 else f"{p:.4f}" if p < 0.01 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def difference_table(study: Study, certainty: Certainty) -> Table:
    """Every difference that was measured, with its interval, its p-values and what could have been found."""
    label = labels(study)
    columns = [Column(name, number=False) for name in ("Detector", "Difference", "Figure")]
    columns += [Column(name) for name in ("Seeds", "Points", "95 % interval", "p", "p (Holm)")]
    columns += [Column("Settled", number=False), Column("What this test set can tell", number=False)]
    lines = []
    for one in _ordered(study, certainty.tested):
        told = claims(one)
        lines.append((
            one.detector, f"{label[one.arm]} − {label[one.baseline]}", METRIC_NAMES[one.metric],
            str(one.spread.n_seeds), signed(one.estimate), ends(one), p_value(one.p) if told else "–",
            p_value(one.p_holm) if told and one.p_holm is not None else "–", _verdict(one, certainty),
            resolution_words(one) if told else _too_few(one),
        ))  # fmt: skip
    return Table(tuple(columns), tuple(lines))


def _verdict(one: Difference, certainty: Certainty) -> str:
    return needed_words(one, certainty.family(one)) if claims(one) else "not tested"


def _too_few(one: Difference) -> str:
    return "nothing of runs to come: one seed" if one.spread.n_seeds < 2 else "nothing of other scenes: there is one"


def _ordered(study: Study, found: Sequence[Difference]) -> list[Difference]:
    order = {pair: index for index, pair in enumerate(pairs(study))}
    return sorted(
        found,
        key=lambda one: (
            study.detectors.index(one.detector),
            order[one.arm, one.baseline],
            list(FIGURES).index(one.metric),
        ),
    )
