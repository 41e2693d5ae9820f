"""The report as one HTML file that needs nothing but itself."""

from __future__ import annotations

from typing import Any

from osm.compare.report import (
    answers,
    breakdowns,
    charts,
    disagree,
    efficiency,
    fairness,
    figures,
    interactive,
    learning,
    paper,
    proofs,
    settings,
    strip,
    words,
)
from osm.compare.report.contents import Contents, where_it_is


def render(contents: Contents) -> str:
    """The whole page; every text of the study is escaped, every picture is inside."""
    study, evidence = contents.study, contents.evidence
    pictures = strip.Pictures()
    strips = strip.build_strips(study, evidence, pictures, lambda _, scenes: strip.choose_scenes(scenes))
    disputed = strip.build_strips(
        study, evidence, pictures, lambda detector, scenes: disagree.shown(contents.disputed, detector, scenes)
    )
    curves = charts.precision_recall_charts(study, evidence)
    shown = [scene for one in (*strips, *disputed) for scene in one.scenes]
    return fill(
        "index.html.j2",
        title=study.title,
        study=study,
        labels=words.labels(study),
        findings=answers.answer(study, contents.certainty),
        tested=answers.difference_table(study, contents.certainty),
        test_note=answers.TEST_NOTE,
        untested=contents.certainty.untested,
        words=words,
        paper=paper,
        ap=words.ap_table(study),
        deltas=words.delta_table(study),
        cells=words.cell_table(study),
        arms=words.arm_table(study),
        arms_caption=words.arms_caption(study),
        skipped=words.skipped_table(study),
        published=words.paper_table(),
        breakdown=where_it_is(contents),
        breakdown_note=breakdowns.NOTE,
        disputed=disagree.disputed_table(study, contents.disputed),
        disputed_note=disagree.NOTE,
        disputed_strips=disputed,
        leaks=proofs.leaks(study),
        leakage=proofs.leak_table(study),
        certificates=proofs.certificate_table(study, evidence),
        fairness=contents.fairness,
        shared=fairness.shared_settings(contents.fairness),
        tuned=fairness.tuning_table(study),
        tuning_note=fairness.tuning_note(study),
        random_parts=contents.random_parts,
        random_parts_differ=contents.random_parts_differ,
        efficiency_charts=efficiency.efficiency_charts(study),
        gains=efficiency.gain_table(study, contents.certainty),
        efficiency=efficiency,
        learning_charts=learning.learning_charts(study, contents.looks),
        goals=learning.goal_table(study, contents.looks),
        learning=learning,
        legend=[(arm.label, figures.legend_svg(index)) for index, arm in enumerate(study.arms)],
        seed_charts=charts.seed_charts(study),
        curve_charts=curves,
        library=interactive.library() if curves else "",
        training_charts=charts.training_charts(study, evidence),
        strips=strips,
        pictures={scene.element: scene for scene in shown if scene.picture},
        rule=strip.RULE,
        folded=[
            ("Data", settings.flatten(study.data)),
            ("Settings", settings.flatten(study.settings)),
            ("Versions", settings.flatten(study.versions)),
        ],
        configs=settings.configs(study, evidence),
    )


def fill(template: str, **values: Any) -> str:
    """A page of one of the templates."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("osm.compare.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # drawn here, not typed by anybody: the only markup that is not escaped
    environment.filters["drawn"] = Markup
    light, dark = list(enumerate(figures.LIGHT)), list(enumerate(figures.DARK))
    return environment.get_template(template).render(light=light, dark=dark, most_said=answers.MOST_SAID, **values)
