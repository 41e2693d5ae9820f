from __future__ import annotations

import json
from dataclasses import asdict

from osm.data.pairs import SplitRule, read_pairs, split_pairs
from osm.files import write_json
from osm.matching.results import data_facts, sar_radiometry, summary
from osm.matching.retrieval import chance

FIGURES = {"threshold": 0.38, "accuracy": 0.5, "precision": 0.0, "recall": 0.0, "predicted_matches": 0}


def test_radiometry_comes_from_the_record_beside_the_pairs(tmp_path):
    assert sar_radiometry(tmp_path) == ["none"]
    write_json(tmp_path / "report.json", {"scenes": [{"sar_radiometry": "max"}, {"sar_radiometry": "max"}]})
    assert sar_radiometry(tmp_path) == ["max"]
    write_json(tmp_path / "report.json", {"scenes": [{"sar_radiometry": "none"}, {"sar_radiometry": "max"}]})
    assert sar_radiometry(tmp_path) == ["max", "none"]
    write_json(tmp_path / "SIMULATED.json", {"radiometry": "linear:0,1500"})
    assert sar_radiometry(tmp_path) == ["linear:0,1500"]


def test_simulated_pairs_are_known_for_what_they_are(pairs_root, own_pairs):
    for root in (pairs_root, pairs_root / "QXSLAB_SAROPT"):
        folder = read_pairs(root)
        facts = data_facts(folder, split_pairs(folder))
        assert facts["simulated"] is True
        assert facts["simulation"]["seed"] == 1
    (own_pairs / "SIMULATED.json").unlink()
    folder = read_pairs(own_pairs)
    facts = data_facts(folder, split_pairs(folder))
    assert facts["simulated"] is False
    assert (facts["pairs"], facts["train_pairs"], facts["test_pairs"], facts["split"]) == (22, 15, 7, "paper")
    assert json.dumps(facts)


def test_another_split_has_another_digest(pairs_root):
    folder = read_pairs(pairs_root)
    first, second = (data_facts(folder, split_pairs(folder, SplitRule(seed=seed))) for seed in (0, 1))
    assert first["names_and_split_sha256"] != second["names_and_split_sha256"]


def test_the_table_says_when_nothing_was_predicted_to_match():
    metrics = {
        **FIGURES,
        "at_chosen_threshold": {**FIGURES, "threshold": 0.7, "precision": 0.6, "predicted_matches": 9},
        "auc": 0.61,
        "test_matches": 12,
        "retrieval": {name: asdict(chance(12)) for name in ("sar_to_optical", "optical_to_sar", "chance")},
        "data": {"split": "scene", "simulated": False},
    }
    text = summary(metrics)
    fixed, chosen = (next(line for line in text.splitlines() if word in line) for word in ("(fixed)", "(chosen"))
    assert "no match predicted" in fixed
    assert "no match predicted" not in chosen
    assert "AUC 0.610" in text
    assert "0.829" in text
    assert "nearest of 12 for 8.3 % of the SAR and 8.3 % of the optical patches (chance 8.3 %)" in text
