"""``osm demo``: the whole chain on simulated data, in minutes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from osm.cli.compare import run_and_report
from osm.cli.progress import progress_bar
from osm.configs import config_path

#: Enough pairs for a bridge network of this size to begin to learn in a minute.
PAIRS = 320
#: The paper's test scenes among the first 14 are 5, 6, 8, 10 and 12.
SCENES = 14
SCENE_PX = 512
BACKBONES = ("resnet18", "darknet-narrow")


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything.")] = Path("work_dirs/demo"),
    imagenet: Annotated[
        str,
        typer.Option(
            "--imagenet",
            metavar="PATH|auto|none",
            help="ResNet-18 weights for the arm imagenet; auto downloads them where that is possible.",
        ),
    ] = "auto",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the simulated data.")] = 0,
) -> None:
    """Run the whole chain on simulated pairs and scenes, and print the AP table.

    Pairs → bridge network → SAR backbone → Faster R-CNN and YOLOv3 from each arm → report. Finished steps
    are kept when it is run again.
    """
    from osm.simulate import simulate_pairs, simulate_scenes

    typer.echo("1/4 simulate pairs and scenes", err=True)
    with progress_bar() as step:
        simulate_pairs(out / "pairs", count=PAIRS, seed=seed, progress=partial(step, "pairs"))
        simulate_scenes(
            out / "scenes",
            count=SCENES,
            seed=seed,
            width_px=SCENE_PX,
            height_px=SCENE_PX,
            progress=partial(step, "scenes"),
        )
    arms = ["scratch", *_imagenet_arm(imagenet)]
    for number, backbone in enumerate(BACKBONES, start=2):
        typer.echo(f"{number}/4 match pairs with {backbone} branches", err=True)
        arms.append(f"osm={_pretrain(backbone, out)}")
    typer.echo("4/4 fine-tune the detectors and compare", err=True)
    _compare(arms, out)


def _pretrain(backbone: str, out: Path) -> Path:
    from osm.matching.pretrain import pretrain

    work_dir = out / f"bnn_{backbone}"
    config = config_path(f"pretrain/demo_{backbone}.py")
    return pretrain(config, data_root=out / "pairs", work_dir=work_dir, resume=True).sar_backbone


def _compare(arms: list[str], out: Path) -> None:
    from osm.compare.arms import gather_arms
    from osm.compare.plan import make_plan

    plan = make_plan(config_path("compare/demo.py"), gather_arms(arms))
    run_and_report(plan, out / "scenes", out / "compare")


def _imagenet_arm(choice: str) -> list[str]:
    if choice == "none":
        return []
    if choice != "auto":
        return [f"imagenet={choice}"]
    from osm.detection.arms import imagenet_weights
    from osm.errors import WeightsError

    try:
        return [f"imagenet={imagenet_weights('resnet18')}"]
    except WeightsError as error:
        typer.echo(f"without the arm imagenet: {error.line}", err=True)
        return []
