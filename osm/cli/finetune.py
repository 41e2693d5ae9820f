"""``osm finetune`` and ``tools/finetune.py``: stage 2, one detector from one start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osm.cli.options import AllowContractMismatch, chosen_config, parse_settings
from osm.cli.progress import progress_bar


def finetune(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A config, e.g. configs/detect/faster-rcnn_r18_ssdd.py.")
    ],
    data_root: Annotated[Path, typer.Option("--data-root", help="Folder of the labelled scenes.")],
    init: Annotated[
        str,
        typer.Option("--init", help="Start of the backbone: scratch, imagenet, imagenet:PATH, osm:PATH or osd:PATH."),
    ],
    work_dir: Annotated[
        Path | None, typer.Option("--work-dir", help="Folder for all output; work_dirs/<config> if not given.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of weights, order and flips.")] = 0,
    min_coverage: Annotated[
        float,
        typer.Option(
            "--min-coverage", min=0.0, max=1.0, help="Least fraction of the backbone's tensors the weights must fill."
        ),
    ] = 1.0,
    allow_contract_mismatch: AllowContractMismatch = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Discard the run that is in the work folder.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard's files too.")] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Replace a setting, e.g. train.epochs=5.")
    ] = None,
) -> None:
    """Fine-tune a ship detector from a start, search the test scenes and print its AP.

    Writes metrics.json, predictions.json, certificate.json, training.json, the detector and the log into
    the work folder.

    Weights whose card says that they were trained on other input stop it, unless --allow-contract-mismatch is given.
    """
    from osm.detection.arms import parse_init
    from osm.detection.engines import notices
    from osm.detection.finetune import finetune as run
    from osm.detection.finetune import prepare
    from osm.detection.recipe import load_recipe
    from osm.files import exclusive

    config = chosen_config(config)
    recipe = load_recipe(config, parse_settings(set_))
    for notice in notices([recipe]):
        typer.echo(notice, err=True)
    start = parse_init(init)
    folder = work_dir or Path("work_dirs") / f"{config.stem}_{start.kind}_seed{seed}"
    with exclusive(folder):
        if not prepare(folder, resume=resume, overwrite=overwrite):
            typer.echo(f"the run in {folder} was finished before; nothing to do")
            return
        with progress_bar() as step:
            result = run(
                recipe,
                init=start,
                data_root=data_root,
                work_dir=folder,
                seed=seed,
                min_coverage=min_coverage,
                allow_contract_mismatch=allow_contract_mismatch,
                resume=resume,
                tensorboard=tensorboard,
                progress=step,
            )
    certificate = result.certificate
    tensors = len(certificate.filled) + len(certificate.random)
    typer.echo(f"{recipe.detector} from {start}: {len(certificate.filled)} of {tensors} backbone tensors loaded")
    typer.echo("              AP50   AP50 (VOC07)   AP50 (COCO)   AP[.5:.95]")
    for name, figures in (("tiles", result.tile), ("scenes", result.scene)):
        values = [figures[key] for key in ("ap50", "ap50_voc07", "ap50_coco", "ap_coco")]
        shown = ["    –" if value is None else f"{100 * value:5.1f}" for value in values]
        typer.echo(f"{name:<12}{shown[0]:>6}{shown[1]:>15}{shown[2]:>14}{shown[3]:>13}")
    typer.echo(f"written to {folder}")
