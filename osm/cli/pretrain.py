"""``osm pretrain`` and ``tools/pretrain.py``: stage 1, from pairs to a SAR backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osm.cli.options import parse_settings


def pretrain(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config, e.g. configs/pretrain/bnn_resnet50.py.")],
    data_root: Annotated[Path, typer.Option("--data-root", help="Folder of pairs in the layout of QXS-SAROPT.")],
    work_dir: Annotated[Path, typer.Option("--work-dir", help="Folder for weights, figures, logs and checkpoints.")],
    init: Annotated[
        Path | None, typer.Option("--init", help="Weights both branches start from; without it, a random start.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="In place of the config's train.seed.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Discard the run that is in the work folder.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard's files too.")] = False,
    launcher: Annotated[
        str, typer.Option("--launcher", help="How processes were started: none, pytorch (torchrun) or slurm.")
    ] = "none",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Replace a setting, e.g. train.epochs=5.")
    ] = None,
) -> None:
    """Train a bridge network on SAR-optical pairs and export its SAR backbone.

    Writes sar_backbone.safetensors, bridge_network.safetensors (for osm match), report.md, metrics.json, a certificate
    a branch and the log into the work folder.
    """
    from osm.matching.pretrain import pretrain as run

    run(
        config,
        data_root=data_root,
        work_dir=work_dir,
        init=init,
        seed=seed,
        resume=resume,
        overwrite=overwrite,
        tensorboard=tensorboard,
        launcher=launcher,
        options=parse_settings(set_),
    )
