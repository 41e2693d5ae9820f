"""``osm doctor``: what is installed, whether it fits together, and the command that mends what does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from osm.configs import config_path

if TYPE_CHECKING:
    from osm.compat.doctor import Finding
    from osm.compat.snapshot import Snapshot

#: Packages whose versions are worth a line.
SHOWN = (
    "osm-ssd",
    "torch",
    "torchvision",
    "onedl-mmengine",
    "onedl-mmcv",
    "onedl-mmdetection",
    "pycocotools",
    "numpy",
    "opencv-python-headless",
    "ultralytics",
)
BROKEN = 1
#: What ``precision="auto"`` chooses, and why.
PRECISION = {
    "bfloat16": "bfloat16, which this device has instructions for",
    "float32": "float32: this device would have to emulate bfloat16",
}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print versions and devices, and the command that mends each misfit.

    Exits with 1 if something is broken.
    """
    from osm.compat.doctor import diagnose
    from osm.compat.snapshot import take_snapshot

    snapshot = take_snapshot()
    findings = diagnose(snapshot)
    typer.echo(json.dumps(_record(snapshot, findings), indent=1) if as_json else _text(snapshot, findings))
    if any(finding.broken for finding in findings):
        raise typer.Exit(BROKEN)


def _text(snapshot: Snapshot, findings: list[Finding]) -> str:
    operators = {
        "compiled": "mmcv's own, compiled",
        "torchvision": "torchvision's, in place of mmcv's (which are not compiled here)",
        None: "none that work",
    }
    rows = [
        ("python", f"{snapshot.python} on {snapshot.system}"),
        *((name, snapshot.packages[name]) for name in SHOWN if name in snapshot.packages),
        ("CPU", f"{snapshot.cpu_cores} core{'s' if snapshot.cpu_cores != 1 else ''}"),
        *((f"GPU {index}", name) for index, name in enumerate(snapshot.gpus)),
        *([] if snapshot.gpus else [("GPU", "none that torch can use: training runs on the CPU")]),
        *([("precision", PRECISION[snapshot.precision])] if snapshot.precision else []),
        ("operators", operators[snapshot.operators]),
        ("configs", f"{config_path('')}: named as configs/…, from any folder"),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    if findings:
        lines += ["", *(f"{'broken' if finding.broken else 'risk'}: {finding.line}" for finding in findings)]
    else:
        lines += ["", "Everything fits together."]
    return "\n".join(lines)


def _record(snapshot: Snapshot, findings: list[Finding]) -> dict[str, object]:
    return {
        "ok": not any(finding.broken for finding in findings),
        "python": snapshot.python,
        "system": snapshot.system,
        "packages": {name: snapshot.packages.get(name) for name in SHOWN},
        "cpu_cores": snapshot.cpu_cores,
        "precision": snapshot.precision,
        "gpus": list(snapshot.gpus),
        "operators": snapshot.operators,
        "configs": str(config_path("")),
        "findings": [
            {
                "broken": finding.broken,
                "where": finding.where,
                "found": finding.found,
                "expected": finding.expected,
                "mend": finding.mend,
            }
            for finding in findings
        ],
    }
