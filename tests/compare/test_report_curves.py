"""Label efficiency and epochs to an AP in a report: the numbers by hand, and what the page says of them."""

import dataclasses
import math

import numpy as np
import pytest

from osm.compare.fractions import name_at
from osm.compare.report import efficiency, learning, write_report
from osm.compare.report.contents import gather
from osm.errors import DataError
from osm.files import write_json
from tests.compare.studies import a_study, bare_study, page_of, report_of

SHARES = (0.05, 0.25, 1.0)


def looked_at(study):
    """Curves that rise by 0.1 an epoch to 0.4, 0.2 sooner in the arm osm."""
    for cell in study.cells:
        head = 2 if cell.arm == "osm" else 0
        points = [
            {
                "epoch": epoch,
                "step": 10 * epoch,
                "ap50_tile": None,
                "ap50_scene": min(epoch + head, 4) / 10,
            }
            for epoch in (1, 2, 3, 4)
        ]
        write_json(cell.folder / "validation.json", points)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("curves")
    names = tuple(name_at("faster-rcnn_r18", share) for share in SHARES)
    facts = [{"name": name, "train_scenes": count} for name, count in zip(names, (1, 5, 20), strict=True)]
    study = a_study(root, detectors=names, seeds=(0, 1, 2))
    study = dataclasses.replace(study, data=study.data | {"label_fractions": facts})
    looked_at(study)
    return study, write_report(study, root / "report", cache=root / "cache").parent


def test_the_report_has_a_figure_and_a_table_of_label_efficiency(written):
    study, folder = written
    content = report_of(folder)
    rows = content["label_efficiency"]
    assert {(row["fraction"], row["train_scenes"]) for row in rows} == {(0.05, 1), (0.25, 5), (1.0, 20)}
    for row in rows:
        own = [
            cell["ap50_scene"]
            for cell in content["cells"]
            if (cell["detector"], cell["arm"]) == (row["name"], row["arm"])
        ]
        assert row["mean"] == pytest.approx(sum(own) / 3)
    (chart,) = efficiency.efficiency_charts(study)
    assert [column.full_name for column in chart.numbers.columns[1:]] == [
        "5 %, 1 scene, AP50 per scene",
        "25 %, 5 scenes, AP50 per scene",
        "100 %, 20 scenes, AP50 per scene",
    ]
    text = page_of(folder).text
    assert "Label efficiency" in text
    assert "faster-rcnn_r18: AP50 per scene by the fraction of training scenes" in text


def test_differences_are_paired_at_each_fraction_and_corrected_over_all(written):
    content = report_of(written[1])
    tested = [one for one in content["tests"]["differences"] if (one["arm"], one["baseline"]) == ("osm", "scratch")]
    assert [one["detector"] for one in tested] == [name_at("faster-rcnn_r18", share) for share in SHARES]
    smallest = min(tested, key=lambda one: one["p"])
    assert smallest["p_holm"] == pytest.approx(min(1, 3 * smallest["p"]))
    # one sentence a fraction
    assert sum("5 % of scenes)'s AP50" in sentence for sentence in content["answer"]) == 4


def test_only_all_labels_stand_beside_the_published_ap(written):
    text = (written[1] / "report.md").read_text(encoding="utf-8")
    for share, published in ((5, "–"), (100, "87.2")):
        row = f"| faster-rcnn\\_r18 ({share} % of scenes) | imagenet"
        assert next(line for line in text.splitlines() if line.startswith(row)).endswith(f"| {published} |")


def test_epochs_to_a_share_of_the_baseline_by_hand(written):
    study, folder = written
    looks = learning.read_looks(study)
    table = learning.goal_table(study, looks)
    rows = {row[:2]: row[2:] for row in table.rows}
    # scratch ends at 0.4: half of it after 2 epochs; osm begins at 0.3, beyond a half and at three quarters
    assert rows["faster-rcnn_r18 (5 % of scenes)", "scratch"] == (
        "3",
        "2.0 ± 0.0",
        "3.0 ± 0.0",
        "3.6 ± 0.0",
        "4.0 ± 0.0",
    )
    assert rows["faster-rcnn_r18 (5 % of scenes)", "osm"] == ("3", "1.0 ± 0.0", "1.0 ± 0.0", "1.6 ± 0.0", "2.0 ± 0.0")
    one = next(one for one in report_of(folder)["learning"] if one["arm"] == "osm")
    assert [goal["epochs"] for goal in one["goals"]] == pytest.approx([1, 1, 1.6, 2])
    assert one["ap50_tile"] == [None] * 4
    assert "Epochs to an AP" in page_of(folder).text


def test_a_goal_that_not_every_seed_reaches_says_so():
    assert learning._words([1.0, 3.0, None]) == "2.0 ± 1.4 (2 of 3)"
    assert learning._words([None, None]) == "never"
    assert learning._words([2.0]) == "2.0"


def test_a_comparison_without_either_says_nothing_of_them(tmp_path):
    study = bare_study({("scratch", 0): 0.5, ("osm", 0): 0.6})
    contents = gather(study)
    assert efficiency.efficiency_charts(study) == []
    assert contents.looks == {}
    folder = write_report(study, tmp_path).parent
    assert report_of(folder)["label_efficiency"] == report_of(folder)["learning"] == []
    assert "Label efficiency" not in page_of(folder).text


def test_a_broken_curve_is_named(tmp_path):
    study = a_study(tmp_path / "study", detectors=("faster-rcnn_r18",), seeds=(0,))
    write_json(study.cells[0].folder / "validation.json", [{"epoch": 1}])
    with pytest.raises(DataError, match=r"validation\.json"):
        learning.read_looks(study)
    assert math.isnan(learning._number(None))


def looks(epochs, values):
    scene = np.array(values, dtype=float)
    return learning.Looks(np.array(epochs, dtype=float), scene, scene)


def test_a_mean_is_of_all_seeds_though_their_epochs_differ():
    """With few labels, each seed's own images make its epochs."""
    three = [looks([10, 20], [0.2, 0.4]), looks([9, 18], [0.4, 0.6]), looks([11, 22], [0.6, 0.8])]
    epochs, mean = learning.mean_of(three)
    assert epochs.tolist() == [11, 18]
    assert mean == pytest.approx([np.mean([0.22, 0.4 + 0.2 * 2 / 9, 0.6]), np.mean([0.36, 0.6, 0.6 + 0.2 * 7 / 11])])
    alike = learning.mean_of([looks([1, 2], [0.2, 0.4]), looks([1, 2], [0.4, 0.8])])
    assert alike[0].tolist() == [1, 2]
    assert alike[1] == pytest.approx([0.3, 0.6])
    apart = learning.mean_of([looks([1, 2], [0.1, 0.2]), looks([5, 6], [0.3, 0.5])])
    assert (apart[0].tolist(), apart[1].tolist()) == ([2], [0.25])


def test_a_baseline_that_finds_nothing_sets_no_goal():
    study = bare_study({("scratch", 0): 0.0, ("osm", 0): 0.5})
    seen = {
        ("faster-rcnn_r18", "scratch", 0): looks([1, 2], [0, 0]),
        ("faster-rcnn_r18", "osm", 0): looks([1, 2], [0, 0.5]),
    }
    assert learning.goal_table(study, seen).rows == ()
    assert {goal["epochs"] for row in learning.to_json(study, seen) for goal in row["goals"]} == {None}
