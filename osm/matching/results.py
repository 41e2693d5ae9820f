"""What a finished run says of itself: ``metrics.json`` and the card of the export."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from osm.data.build_record import REPORT_NAME
from osm.data.pair_source import names_sha256
from osm.data.pairs import BASE_NAME, PairSource, PairSplit
from osm.data.screen import ScreenReport
from osm.files import read_json
from osm.matching.evaluate import Evaluation
from osm.matching.reference import TABLE_II, TABLE_II_SOURCE, departures
from osm.matching.retrieval import chance
from osm.matching.settings import Settings
from osm.transfer.card import Card, InputContract
from osm.transfer.certificate import Certificate

FORMAT = 1
SIMULATION_NAME = "SIMULATED.json"


def data_facts(folder: PairSource, split: PairSplit, screen: ScreenReport | None = None) -> dict[str, Any]:
    """The pairs in a few JSON values, a digest of names and split included; no pixel is read.

    Args:
        folder: The usable pairs.
        split: Their parts.
        screen: What was left out as not usable, where somebody looked.
    """
    root = folder.root
    above = (root.parent,) if root.name == BASE_NAME else ()
    simulation = _first(SIMULATION_NAME, root, *above)
    digest = hashlib.sha256("\n".join(folder.names).encode())
    digest.update(split.train.tobytes() + split.test.tobytes())
    return {
        "root": root.resolve().name,
        "pairs": len(folder),
        "patch_px": list(folder.size_px),
        "scenes": len(set(folder.scenes)) if folder.scenes else None,
        "split": split.kind,
        "train_pairs": len(split.train),
        "test_pairs": len(split.test),
        "overlapping_groups": split.components,
        "seam_pairs": len(split.seam),
        "dropped": screen.counts if screen is not None else {},
        "sar_radiometry": sar_radiometry(root, *above),
        "simulated": simulation is not None,
        "simulation": read_json(simulation) if simulation else None,
        "names_sha256": names_sha256(folder),
        "names_and_split_sha256": digest.hexdigest(),
    }


def sar_radiometry(*folders: Path) -> list[str]:
    """How SAR values became the 8 bits of the patches: every mapping that was used, as the records beside them say.

    Args:
        folders: Where ``SIMULATED.json`` (one mapping) or ``report.json`` of ``osm data build-pairs`` (one a
            scene) may lie; patches with neither are taken as they are: "none".
    """
    if (simulated := _first(SIMULATION_NAME, *folders)) is not None:
        return [str(read_json(simulated).get("radiometry", "none"))]
    if (built := _first(REPORT_NAME, *folders)) is not None:
        return sorted({str(scene["sar_radiometry"]) for scene in read_json(built).get("scenes", [])}) or ["none"]
    return ["none"]


def one_radiometry(data: dict[str, Any]) -> str:
    """The mapping of what ``data_facts`` gave; "none" where scenes were mapped differently: 8 bits, no one mapping."""
    made_by = data["sar_radiometry"]
    return str(made_by[0]) if len(made_by) == 1 else "none"


def _first(name: str, *folders: Path) -> Path | None:
    return next((path for folder in folders if (path := folder / name).is_file()), None)


def metrics_json(
    evaluation: Evaluation,
    settings: Settings,
    data: dict[str, Any],
    *,
    start: Certificate,
    steps: int,
    final_loss: float | None,
    seconds: float,
) -> dict[str, Any]:
    """The content of ``metrics.json``.

    Args:
        evaluation: Figures on the test part.
        settings: Settings of the run.
        data: What ``data_facts`` gave.
        start: Certificate of the SAR backbone.
        steps: Steps trained in all.
        final_loss: Mean loss of the last epoch.
        seconds: Duration of this call; a resumed run has several.
    """
    fixed, chosen = evaluation.fixed, evaluation.chosen
    return {
        "format": FORMAT,
        **asdict(fixed),
        "auc": evaluation.auc,
        "at_chosen_threshold": {**asdict(chosen), "chosen_on_training_pairs": evaluation.threshold_pairs},
        "retrieval": {
            "sar_to_optical": asdict(evaluation.sar_to_optical),
            "optical_to_sar": asdict(evaluation.optical_to_sar),
            "chance": asdict(chance(evaluation.pairs)),
        },
        "mean_distance": {"match": evaluation.mean_match, "nonmatch": evaluation.mean_nonmatch},
        "test_matches": evaluation.pairs,
        "test_nonmatches": evaluation.pairs,
        "architecture": settings.model["architecture"],
        "data": data,
        "training": {"epochs": settings.train.epochs, "steps": steps, "final_loss": final_loss},
        "departures": departures(settings, data["split"], start.coverage),
        "reference": {"source": TABLE_II_SOURCE, **TABLE_II},
        "seconds": round(seconds, 1),
    }


def make_card(settings: Settings, data: dict[str, Any], start: Certificate, metrics: dict[str, Any]) -> Card:
    """The card of the SAR backbone; without metrics that of a candidate which nobody has judged yet."""
    fixed = ("accuracy", "precision", "recall", "threshold", "predicted_matches")
    figures = (*fixed, "auc", "at_chosen_threshold", "mean_distance", "retrieval", "selection")
    return Card(
        architecture=settings.model["architecture"],
        input=InputContract.of(settings.model["architecture"], radiometry=one_radiometry(data)),
        data=data,
        config=settings.to_json(),
        start={
            "source": Path(start.source).name if start.source else None,
            "source_sha256": start.source_sha256,
            "coverage": start.coverage,
            "random": list(start.random) if start.source else "all",
            "seed": settings.train.seed,
        },
        metrics={name: metrics[name] for name in figures if name in metrics},
    )


def summary(metrics: dict[str, Any]) -> str:
    """The figures as a small table for a terminal, the paper's beside them."""
    chosen = metrics["at_chosen_threshold"]
    rows: list[tuple[str, ...]] = [("threshold", "accuracy", "precision", "recall")]
    for label, row in (("fixed", metrics), ("chosen on training pairs", chosen)):
        rows.append(
            (
                f"{row['threshold']:.3f} ({label})",
                f"{row['accuracy']:.3f}",
                f"{row['precision']:.3f}" + (" (no match predicted)" if row["predicted_matches"] == 0 else ""),
                f"{row['recall']:.3f}",
            )
        )
    for name, row in TABLE_II.items():
        rows.append((f"0.380 (paper, {name}, QXS-SAROPT)", *(f"{row[key]:.3f}" for key in rows[0][1:])))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    data = metrics["data"]
    facts = (
        f"{metrics['test_matches']} matches and as many non-matches of the test part "
        f"(split: {data['split']}{', simulated pairs' if data['simulated'] else ''}); AUC {metrics['auc']:.3f}"
    )
    found = metrics["retrieval"]
    there, back, guess = (found[name] for name in ("sar_to_optical", "optical_to_sar", "chance"))
    partners = (
        f"the partner is the nearest of {guess['candidates']} for {100 * there['recall_at_1']:.1f} % of the SAR and "
        f"{100 * back['recall_at_1']:.1f} % of the optical patches (chance {100 * guess['recall_at_1']:.1f} %); "
        f"median rank {there['median_rank']:g} and {back['median_rank']:g} (chance {guess['median_rank']:g})"
    )
    return "\n".join([facts, *lines, partners])
