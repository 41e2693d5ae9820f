"""The report as one HTML file that needs nothing but itself."""

from __future__ import annotations

from osm.compare.report import answers, charts, figures, paper, settings, strip, words
from osm.compare.report.certainty import Certainty
from osm.compare.report.evidence import Evidence, Key, random_parts_agree
from osm.compare.study import Study


def render(study: Study, evidence: dict[Key, Evidence], certainty: Certainty) -> str:
    """The whole page; every text of the study is escaped, every picture is inside."""
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
    strips = strip.build_strips(study, evidence)
    agree = random_parts_agree(study, evidence)
    return environment.get_template("index.html.j2").render(
        study=study,
        labels=words.labels(study),
        findings=answers.answer(study, certainty),
        tested=answers.difference_table(study, certainty),
        test_note=answers.TEST_NOTE,
        untested=certainty.untested,
        words=words,
        paper=paper,
        ap=words.ap_table(study),
        deltas=words.delta_table(study),
        cells=words.cell_table(study),
        arms=words.arm_table(study),
        skipped=words.skipped_table(study),
        published=words.paper_table(),
        certificates=words.certificate_table(study, evidence),
        random_parts="" if agree is None else words.RANDOM_PARTS[agree],
        random_parts_differ=agree is False,
        legend=[(arm.label, figures.legend_svg(index)) for index, arm in enumerate(study.arms)],
        seed_charts=charts.seed_charts(study),
        curve_charts=charts.precision_recall_charts(study, evidence),
        training_charts=charts.training_charts(study, evidence),
        strips=strips,
        pictures={scene.element: scene for one in strips for scene in one.scenes if scene.picture},
        rule=strip.RULE,
        folded=[
            ("Data", settings.flatten(study.data)),
            ("Settings", settings.flatten(study.settings)),
            ("Versions", settings.flatten(study.versions)),
        ],
        configs=settings.configs(study, evidence),
        light=list(enumerate(figures.LIGHT)),
        dark=list(enumerate(figures.DARK)),
    )
