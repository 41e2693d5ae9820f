"""``osm report``: a report rendered again, and two comparisons side by side."""

from __future__ import annotations

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from osm.cli.main import app
from osm.cli.report import names_of
from osm.compare.report.beside import OTHER_DATA, OTHER_TRAINING, write_beside
from osm.compare.report.tables import summaries
from osm.compare.study import Study
from osm.errors import OSMError
from osm.files import digests, write_json, write_sealed
from tests.compare.studies import ARMS, Page, a_study, page_of, report_of

DETECTOR = "faster-rcnn_r18"


def as_folder(study: Study, folder):
    """What ``osm compare`` leaves in its folder, of a study whose cells lie there already."""
    values = {
        "format": 1, "title": study.title, "data": study.data, "arms": [dataclasses.asdict(arm) for arm in study.arms],
        "detectors": study.detectors, "seeds": study.seeds, "skipped": [], "settings": study.settings,
        "versions": study.versions, "baseline": study.baseline, "caveats": study.caveats,
    }  # fmt: skip
    write_json(folder / "plan.json", values)
    for cell in study.cells:
        names = ("predictions.json", "certificate.json", "training.json", "config.py")
        content = {
            name: getattr(cell, name) for name in ("detector", "arm", "seed", "tile", "scene", "seconds", "coverage")
        }
        write_sealed(cell.folder / "cell.json", {**content, "files": digests(cell.folder, names)})
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs; the second has other settings, one arm less and one seed more."""
    root = tmp_path_factory.mktemp("runs")
    first = a_study(root / "one" / "work", detectors=(DETECTOR,), seeds=(0, 1), counts=(3, 2))
    second = a_study(root / "two" / "work", detectors=(DETECTOR,), seeds=(0, 1, 2), arms=ARMS[::2], counts=(3, 2))
    second = dataclasses.replace(second, settings=second.settings | {"lr": 0.02}, title="Again")
    return [(study, as_folder(study, root / name / "work")) for study, name in ((first, "one"), (second, "two"))]


def osm(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_report_is_rendered_again_without_running_anything(runs, tmp_path):
    study, folder = runs[0]
    result = osm("report", folder)
    assert result.exit_code == 0, result.output
    content = report_of(folder / "report")
    assert len(content["cells"]) == len(study.cells)
    assert content["answer"][0] in result.output
    assert str(folder / "report" / "index.html") in result.output.replace("\n", "")
    # the same again, to the byte, from what was kept
    before = {path.name: path.read_bytes() for path in (folder / "report").iterdir()}
    kept = {path.name for path in (folder / "cache").iterdir()}
    assert osm("report", folder, "--out", tmp_path).exit_code == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert {path.name for path in (folder / "cache").iterdir()} == kept


def test_groups_may_come_from_a_list(runs, tmp_path):
    folder = runs[0][1]
    path = tmp_path / "groups.csv"
    path.write_text("scene,group\n1,inshore\n2,offshore\nof the training split,inshore\n")
    result = osm("report", folder, "--groups", path, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    for cell in report_of(tmp_path / "out")["breakdown"]:
        assert [(one["name"], one["ships"], one["scenes"]) for one in cell["groups"]] == [
            ("inshore", 3, 1), ("offshore", 2, 1),
        ]  # fmt: skip
    path.write_text("scene,group\nx,inshore\n")
    result = osm("report", folder, "--groups", path)
    assert "none of the test scenes" in str(result.exception)


def test_two_runs_stand_side_by_side(runs, tmp_path):
    (first, a), (second, b) = runs
    result = osm("report", a, b, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    page = page_of(tmp_path)
    text = " ".join(page.text.split())
    assert "one/work beside two/work" in text
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    row = next(line for line in markdown.splitlines() if "| osm |" in line)
    means = [
        next(one.mean for one in summaries(study) if (one.arm, one.metric) == ("osm", "ap50_scene"))
        for study in (first, second)
    ]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert (cells[2], cells[6]) == ("2", "3")
    assert cells[3].startswith(f"{100 * means[0]:.1f} ±")
    assert cells[7].startswith(f"{100 * means[1]:.1f} ±")
    assert float(cells[-1].replace("−", "-")) == pytest.approx(100 * (means[1] - means[0]), abs=0.051)
    # what one run lacks is no zero
    imagenet = next(line for line in markdown.splitlines() if "| imagenet (partial) |" in line)
    assert [cell.strip() for cell in imagenet.strip("|").split("|")][6:] == ["–"] * 5
    assert "| settings.lr | 0.01 | 0.02 |" in markdown
    assert "settings.epochs" not in markdown
    assert OTHER_DATA not in text


def test_other_data_and_leaks_forbid_a_comparison(runs, tmp_path):
    (first, _), (second, _) = runs
    part = {"against": "training scenes", "detectors": [DETECTOR], "dropped": False, "test_scenes": ["1"]}
    other = dataclasses.replace(
        second, data={"kind": "ssdd"}, title="<b>x</b>", leakage={"setting": "warn", "parts": [part]}
    )
    page = write_beside(((first, None), (other, None)), ("a", "<i>b</i>"), tmp_path)
    parsed = Page(page.read_text(encoding="utf-8"))
    assert OTHER_DATA in parsed.text
    assert "<i>b</i>: 1 test scene is among the training scenes" in parsed.text
    assert not [tag for tag, _ in parsed.elements if tag in ("b", "i")]
    assert OTHER_DATA in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_what_is_no_comparison_is_refused(runs, tmp_path):
    result = osm("report", tmp_path)
    assert isinstance(result.exception, OSMError)
    assert "plan.json" in str(result.exception)
    result = osm("report", runs[0][1], "--metric", "ap75")
    assert "ap50 or ap50_voc07" in str(result.exception)
    result = osm("report", runs[0][1], runs[0][1])
    assert "the same folder twice" in str(result.exception)
    assert json.loads((runs[0][1] / "plan.json").read_text())["format"] == 1


def test_names_are_as_long_as_it_takes(tmp_path):
    assert names_of(tmp_path / "a", tmp_path / "b") == ("a", "b")
    assert names_of(tmp_path / "a" / "work", tmp_path / "b" / "work") == ("a/work", "b/work")


def test_weights_that_are_partial_in_one_run_are_not_called_whole(runs, tmp_path):
    study = runs[0][0]
    whole = tuple(dataclasses.replace(arm, label=arm.name) for arm in study.arms)
    complete = dataclasses.replace(study, arms=whole, caveats=("Simulated data.",))
    for pair in (((complete, None), (study, None)), ((study, None), (complete, None))):
        write_beside(pair, ("a", "b"), tmp_path)
        text = (tmp_path / "report.md").read_text()
        assert "imagenet / imagenet (partial)" in text or "imagenet (partial) / imagenet |" in text
        # what must stand beside the figures stands in both forms
        assert "- Simulated data." in text
        assert "Simulated data." in page_of(tmp_path).text


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({"train_scenes": 400}, OTHER_TRAINING, OTHER_DATA),
        ({"test_ships": 400}, OTHER_DATA, OTHER_TRAINING),
    ],
)
def test_what_differs_in_the_data_is_said_as_it_is(runs, tmp_path, changes, said, unsaid):
    study = runs[0][0]
    write_beside(((study, None), (dataclasses.replace(study, data=study.data | changes), None)), ("a", "b"), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert said in text
    assert unsaid not in text
