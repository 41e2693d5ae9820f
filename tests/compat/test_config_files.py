"""Configs as data: the same settings, and nothing of them runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from osm.cli.config import resolved
from osm.cli.main import main
from osm.compare.arms import gather_arms
from osm.compare.plan import make_plan
from osm.compat.config_files import MOST_BYTES, as_data, read_config_file
from osm.detection.recipe import load_recipe
from osm.errors import ConfigError
from osm.matching.config import load_settings

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
DETECT = sorted(CONFIGS.glob("detect/*.py")) + sorted(CONFIGS.glob("probe/*.py"))


def write(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values) if path.suffix == ".json" else yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_detectors_are_the_same_as_data(tmp_path, suffix, needs_ultralytics):
    for path in DETECT:
        data = write(tmp_path / f"{path.stem}{suffix}", as_data(path, resolved(path, {})))
        ours, theirs = load_recipe(path), load_recipe(data)
        # as a run writes them down, and a fingerprint reads them
        assert json.dumps(theirs.settings(), sort_keys=True) == json.dumps(ours.settings(), sort_keys=True)


def test_pretrainings_are_the_same_as_data(tmp_path):
    for path in sorted(CONFIGS.glob("pretrain/*.py")):
        data = write(tmp_path / f"{path.stem}.yml", as_data(path, resolved(path, {"train.epochs": 3})))
        assert load_settings(data) == load_settings(path, {"train.epochs": 3})


@pytest.mark.parametrize("name", ["demo", "ssdd_study", "table3"])
def test_comparisons_carry_their_detectors_and_have_the_same_cells(tmp_path, name):
    path = CONFIGS / "compare" / f"{name}.py"
    data = write(tmp_path / "plan.json", as_data(path, resolved(path, {"train.epochs": 2})))
    ours, theirs = make_plan(path, gather_arms([]), overrides={"train.epochs": 2}), make_plan(data, gather_arms([]))
    assert [cell.fingerprint for cell in theirs.cells] == [cell.fingerprint for cell in ours.cells]
    assert theirs.seeds == ours.seeds


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "!!python/object/apply:os.system ['touch {mark}']", "no YAML that can be read"),
        ("a.yaml", "a: &x [1]\nb: *x", "an alias"),
        ("a.json", '{{"_base_": "evil.py"}}', "the word _base_"),
        ("a.json", '{{"custom_imports": {{"imports": ["evil"]}}}}', "the word custom_imports"),
        ("a.json", '{{"train": {{"_base_": ["evil.py"]}}}}', "the word _base_"),
        ("a.json", "import os; os.system('touch {mark}')", "no JSON that can be read"),
        ("a.json", "[1, 2]", "a list"),
        ("a.json", '{{"a": NaN}}', "the number nan"),
        ("a.json", "[" * 100_000, "no JSON that can be read"),
        ("a.yaml", "1: 2", "the name 1"),
        ("a.toml", "a = 1", "a .toml file"),
    ],
)
def test_what_only_a_program_may_hold_is_refused_and_nothing_runs(tmp_path, monkeypatch, name, text, said):
    mark = tmp_path / "mark"
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_text(text.format(mark=mark))
    with pytest.raises(ConfigError, match=said) as caught:
        read_config_file(path)
    assert "\n" not in caught.value.line
    assert not mark.exists()


@pytest.mark.parametrize("name", ["os.system", "evil", "builtins.exec", "Pretrained", ["FPN"]])
def test_a_type_that_is_not_registered_is_neither_imported_nor_called(tmp_path, monkeypatch, name):
    mark = tmp_path / "mark"
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    values = as_data("x", resolved(CONFIGS / "detect/demo_yolov3_narrow.py", {}))
    values["model"]["bbox_head"]["loss_cls"] = {"type": name, "command": f"touch {mark}", "checkpoint": str(mark)}
    with pytest.raises(ConfigError, match=r"model\.bbox_head\.loss_cls\.type = "):
        load_recipe(write(tmp_path / "a.json", values))
    assert not mark.exists()


def test_a_program_from_elsewhere_is_named_before_it_runs(tmp_path, monkeypatch, capsys):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()
        (folder / "mine.py").write_text(f"_base_ = {str(CONFIGS / 'detect/demo_yolov3_narrow.py')!r}\n")
    monkeypatch.chdir(here)
    for path, told in (("mine.py", False), (CONFIGS / "detect/demo_yolov3_narrow.py", False),
                       ("../elsewhere/mine.py", True)):  # fmt: skip
        with pytest.raises(SystemExit):
            main(["config", str(path)])
        assert ("is a Python program from outside of this folder" in capsys.readouterr().err) is told


def test_a_large_file_is_not_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b" " * (MOST_BYTES + 1))
    with pytest.raises(ConfigError, match="at most 1,000,000"):
        read_config_file(path)


def test_the_command_writes_once_and_what_it_writes_is_taken(tmp_path, capsys):
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["config", *map(str, arguments)])
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    source, out = CONFIGS / "detect/demo_yolov3_narrow.py", tmp_path / "mine.yaml"
    assert run(source, "--set", "train.epochs=2", "--out", out)[0] == 0
    assert load_recipe(out).train.epochs == 2
    code, _, err = run(source, "--out", out)
    assert (code, err.count("\n")) == (2, 1)
    assert "mine.yaml: found a file" in err
    code, shown, _ = run(source)
    assert code == 0
    assert json.loads(shown)["detector"] == "yolov3_darknet-narrow"
    (tmp_path / "imports.py").write_text("custom_imports = dict(imports=['json'])\n")
    assert "found custom_imports" in run(tmp_path / "imports.py")[2]
