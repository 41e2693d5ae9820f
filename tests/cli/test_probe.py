"""What ``osm probe`` prints: figures in points, differences seed by seed, and what they do not show."""

from pathlib import Path

import pytest

from osm.cli.main import main
from osm.cli.probe import notes, table
from osm.detection.arms import Init
from osm.detection.probe import ProbeResult, Run
from osm.detection.starts import Start


def result(label, values, coverage=None, score_on="val"):
    kind = "scratch" if label == "scratch" else "imagenet"
    start = Start(label, Init(kind, Path("w.pth") if coverage else None), None, coverage, 0.0)
    runs = (Run("0", seed, value, value, 60.0, 100.0, 1) for seed, value in enumerate(values))
    return ProbeResult(start, score_on, tuple(runs))


def test_differences_are_paired_by_seed():
    # the starts vary by 10 points from seed to seed, their difference by one
    shown = table([result("scratch", (0.5, 0.6, 0.7)), result("imagenet (partial)", (0.55, 0.66, 0.75), 0.8)])
    head, _, scratch, partial = shown.rstrip().splitlines()
    assert head.split() == ["start", "seeds", "AP50", "each", "seed", "minus", "scratch", "seconds", "a", "seed"]
    assert "60.0 ± 10.0" in scratch
    assert "50.0  60.0  70.0" in scratch
    assert "65.3 ± 10.0" in partial
    assert "+5.3 ± 0.6" in partial


def test_one_seed_has_no_spread():
    assert "±" not in table([result("scratch", (0.5,)), result("imagenet", (0.4,), 1.0)])


def test_what_the_figures_do_not_show_is_said():
    said = "\n".join(notes([result("scratch", (0.5, 0.6, 0.7)), result("imagenet (partial)", (1, 1, 1), 0.8)], False))
    assert "Three seeds prove little" in said
    assert "imagenet (partial): w.pth fills 0.80 of the backbone" in said
    assert "imulated" not in said
    assert "held-back" not in said
    said = "\n".join(notes([result("scratch", (0.5,), score_on="held-back")], True))
    assert "One seed proves nothing" in said
    assert "Simulated data" in said
    assert "to choose by, not to report" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["w.pth"], "start 'w.pth': found no such start"),
        (["absent.safetensors"], "absent.safetensors: found no such file"),
        (["scratch", "--score-on", "test"], "score_on: found 'test'; expected val or held-back"),
        (["scratch", "--config", "absent.py"], "absent.py: found no such file"),
    ],
)
def test_a_slip_is_one_line_and_exit_code_2(arguments, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["probe", *arguments, "--data-root", str(tmp_path), "--work-dir", str(tmp_path / "work")])
    assert caught.value.code == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"error: {said}")
    assert "\n" not in error
    assert not (tmp_path / "work").exists()
