"""``osm pretrain`` and ``tools/pretrain.py``: stage 1, from pairs to a SAR backbone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from osm.cli.options import AllowContractMismatch, chosen_config, parse_settings
from osm.cli.progress import progress_bar

#: Seeds of the probe that chooses an epoch.
PROBE_SEEDS = (0, 1)


def pretrain(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config, e.g. configs/pretrain/bnn_resnet50.py.")],
    data_root: Annotated[Path, typer.Option("--data-root", help="Folder of pairs in the layout of QXS-SAROPT.")],
    work_dir: Annotated[Path, typer.Option("--work-dir", help="Folder for weights, figures, logs and checkpoints.")],
    init: Annotated[
        Path | None, typer.Option("--init", help="Weights both branches start from; without it, a random start.")
    ] = None,
    target_root: Annotated[
        Path | None,
        typer.Option("--target-root", help="Labelled scenes whose training tiles a config with target.kind mixes in."),
    ] = None,
    probe_root: Annotated[
        Path | None,
        typer.Option(
            "--probe-root",
            help="Labelled scenes to choose the epoch by, where the config says so (train.select_every_epochs): its "
            "SAR backbone is probed on held-back training scenes.",
        ),
    ] = None,
    probe_config: Annotated[
        Path | None, typer.Option("--probe-config", help="Config of that probe; configs/probe/ssdd.py if not given.")
    ] = None,
    allow_contract_mismatch: AllowContractMismatch = False,
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

    Weights whose card says that they were trained on other input stop it, unless --allow-contract-mismatch is given.
    """
    from osm.matching.pretrain import pretrain as run

    run(
        chosen_config(config),
        data_root=data_root,
        work_dir=work_dir,
        init=init,
        target_root=target_root,
        judge=None
        if probe_root is None
        else probe_judge(probe_root, probe_config, work_dir / "probe", allow_contract_mismatch),
        allow_contract_mismatch=allow_contract_mismatch,
        seed=seed,
        resume=resume,
        overwrite=overwrite,
        tensorboard=tensorboard,
        launcher=launcher,
        options=parse_settings(set_),
        watch=progress_bar,
    )


def probe_judge(
    data_root: Path, config: Path | None, work_dir: Path, allow_contract_mismatch: bool = False
) -> Callable[[Path], float]:
    """The probe's AP50 on held-back training scenes, as a function of a file of weights.

    Args:
        data_root: Folder of the labelled scenes.
        config: Config of the probe.
        work_dir: Folder of the probe.
        allow_contract_mismatch: Whether the probe may feed the backbone other input than it is trained on.
    """
    from osm.configs import config_path
    from osm.detection.probe import probe
    from osm.detection.recipe import load_recipe

    recipe = load_recipe(chosen_config(config) if config else config_path("probe/ssdd.py"))

    def judge(weights: Path) -> float:
        # in a process of its own, so that the training's random state stays what it was
        found = probe(
            weights,
            recipe,
            data_root=data_root,
            seeds=PROBE_SEEDS,
            score_on="held-back",
            work_dir=work_dir,
            allow_contract_mismatch=allow_contract_mismatch,
            jobs=1,
        )
        return found.mean

    return judge
