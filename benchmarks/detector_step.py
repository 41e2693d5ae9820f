"""Images a second of detector training, against mmdet's stock loop on the same model, tiles and schedule.

    python benchmarks/detector_step.py [--rounds 3] [--steps 2] [--batch 4] [--size 256] [--quick]

For each detector (Faster R-CNN with ResNet-18, YOLOv3 with Darknet-53) three whole training loops run side by
side, from the tiles on disk to changed weights:

* stock: mmengine's Runner and OptimWrapper in float32, mmdet's CocoDataset over PNG files, its pipeline and
  its collate; RoIAlign by mmcv's compiled operator, or where there is none by torchvision's as it is.
* ours: the loop of ``osm finetune``: bfloat16 autocast where the device has instructions for it, channels-last
  memory, tiles cut from decoded scenes, RoIAlign by ``osm.compat``.
* ours fp32: the same in float32, so that what the precision gains is seen apart from the rest.

The loops take turns of a few steps (stock, ours, ours fp32, stock, …), so that whatever else the machine does
falls on all of them. Ratios are taken within each round, and of these the median counts. All read data in the
training process. Tiles come from simulated scenes.

The last line is one JSON object: ``ratio_stock`` (the smaller of ours to stock of the two detectors, in images
a second), the ratio of each detector, and the same at float32; ``_cpu`` names the same by CPU time. Measure on
a quiet machine: beside other busy processes bfloat16 was seen to lose far more than float32, by CPU time too.

With ``--ap-steps`` the stock loop and ours are also trained that long from the same tensors, at the same rates, and
scored on simulated scenes that neither has seen: speed that costs AP is no speed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook

CONFIGS = Path(__file__).resolve().parent.parent / "configs" / "detect"
DETECTORS = {"faster_rcnn": "faster-rcnn_r18_air-sarship-1.0.py", "yolov3": "yolov3_d53_air-sarship-1.0.py"}
SCORED = {"faster_rcnn": "faster-rcnn_r18_ssdd.py", "yolov3": "yolov3_r18_ssdd.py"}
"""Trained to an AP: the same detectors, with the backbone that a CPU trains in minutes."""
ARMS = ("stock", "ours", "ours_fp32")
WALL, CPU = 0, 1


class Turnstile(Hook):
    """Lets a training loop that runs in a thread of its own take a given number of steps at a time."""

    priority = "LOWEST"

    def __init__(self, runner: Any) -> None:
        self.steps = 0
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.fault: BaseException | None = None
        self.thread = threading.Thread(target=self.train, args=(runner,), daemon=True)
        runner.register_hook(self, priority=self.priority)

    def train(self, runner: Any) -> None:
        """What the thread does: the runner's own loop, from the first turn on."""
        self.go.acquire()
        try:
            runner.train()
        except SystemExit:
            pass
        except BaseException as fault:  # noqa: BLE001  (it is raised again where it can be seen)
            self.fault = fault
        self.done.release()

    def take(self, steps: int) -> None:
        """Take that many steps; none ends the loop."""
        self.steps = steps
        if self.thread.ident is None:
            self.thread.start()
        self.go.release()
        self.done.acquire()
        if self.fault:
            raise self.fault

    def after_train_iter(self, *_: Any, **__: Any) -> None:
        """Count a step; after the last of a turn, wait for the next."""
        self.steps -= 1
        if self.steps:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.done.release()
        self.go.acquire()
        if not self.steps:
            sys.exit()


def write_stock_data(tiles: list[Any], store: Any, out: Path) -> None:
    """Write tiles as mmdet's users have them: PNG files and one COCO file of labels."""
    from PIL import Image

    images, annotations = [], []
    for number, tile in enumerate(tiles):
        x1, y1, x2, y2 = (int(edge) for edge in tile.window)
        Image.fromarray(store.pixels(tile.scene)[y1:y2, x1:x2]).save(out / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": x2 - x1, "height": y2 - y1})
        for box, ignore in zip(tile.boxes.tolist(), tile.ignore.tolist(), strict=True):
            size = [box[2] - box[0], box[3] - box[1]]
            entry = {"id": len(annotations), "image_id": number, "category_id": 1, "bbox": [*box[:2], *size]}
            annotations.append({**entry, "area": size[0] * size[1], "iscrowd": int(ignore)})
    labels = {"info": {}, "images": images, "annotations": annotations, "categories": [{"id": 1, "name": "ship"}]}
    (out / "labels.json").write_text(json.dumps(labels))


def stock_runner(recipe: Any, data: Path, work_dir: Path, steps_per_epoch: int, seed: int = 0) -> Any:
    from mmengine.config import ConfigDict
    from mmengine.runner import Runner

    from osm.detection.engine import model_config, schedulers

    settings = recipe.train
    return Runner(
        model=ConfigDict(model_config(recipe)),
        work_dir=str(work_dir),
        experiment_name=f"stock-{recipe.detector}",
        train_dataloader={
            "batch_size": settings.batch_size,
            "num_workers": 0,
            "drop_last": True,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "dataset": {
                "type": "CocoDataset",
                "ann_file": str(data / "labels.json"),
                "data_prefix": {"img": str(data)},
                "metainfo": {"classes": ("ship",)},
                "pipeline": [
                    {"type": "LoadImageFromFile"},
                    {"type": "LoadAnnotations", "with_bbox": True},
                    {"type": "RandomFlip", "prob": 0.5},
                    {"type": "PackDetInputs"},
                ],
            },
        },
        train_cfg={"by_epoch": True, "max_epochs": settings.epochs},
        optim_wrapper={
            "type": "OptimWrapper",
            "optimizer": dict(settings.optimizer),
            "clip_grad": {"max_norm": settings.clip_norm},
        },
        param_scheduler=schedulers(settings, steps_per_epoch),
        default_hooks={"checkpoint": None},
        default_scope="mmdet",
        log_level="ERROR",
        randomness={"seed": seed},
    )


def our_runner(recipe: Any, tiles: list[Any], store: Any, work_dir: Path, seed: int = 0) -> Any:
    from osm.compat.runner import open_log
    from osm.detection.engine import build_detector
    from osm.detection.engines import Job
    from osm.detection.runner import build_runner

    open_log(work_dir / "train.log")
    time.sleep(1)  # mmengine tells runs apart by the second they were built in
    model, certificate = build_detector(recipe, seed=seed, weights=None, min_coverage=1.0)
    job = Job(recipe, tiles, store, work_dir, seed, "none", False, False, lambda what, done, total: None)
    return build_runner(model, certificate, job)


@contextmanager
def stock_operators() -> Iterator[None]:
    """mmcv's own RoIAlign, or torchvision's as it is where mmcv has none compiled."""
    from osm.compat.operators import TorchvisionExtension

    extension = sys.modules["mmcv._ext"]
    if not isinstance(extension, TorchvisionExtension):
        yield  # compiled: there is nothing of ours in it
        return
    ours = extension.roi_align_forward, extension.roi_align_backward
    extension.roi_align_forward, extension.roi_align_backward = plain_forward, plain_backward
    try:
        yield
    finally:
        extension.roi_align_forward, extension.roi_align_backward = ours


def plain_forward(features: Any, rois: Any, output: Any, *_: Any, **how: Any) -> None:
    bins = how["aligned_height"], how["aligned_width"]
    kind = how["sampling_ratio"], how["aligned"]
    output.copy_(torch.ops.torchvision.roi_align(features, rois, how["spatial_scale"], *bins, *kind))


def plain_backward(gradient: Any, rois: Any, _y: Any, _x: Any, output: Any, **how: Any) -> None:
    bins = how["aligned_height"], how["aligned_width"]
    kind = how["sampling_ratio"], how["aligned"]
    output += torch.ops.torchvision._roi_align_backward(
        gradient, rois, how["spatial_scale"], *bins, *output.shape, *kind
    )


def measure(detector: str, options: argparse.Namespace, root: Path) -> dict[str, list[tuple[float, float]]]:
    """Seconds a step of each loop, round by round: on the wall clock, and of this process's CPU time."""
    from osm.data.radiometry import Radiometry
    from osm.data.scenes import read_scenes
    from osm.detection.recipe import load_recipe
    from osm.detection.tiles import SceneStore, training_tiles

    overrides = {
        "data.tile_px": options.size,
        "data.overlap_px": options.size // 4,
        "train.batch_size": options.batch,
        "train.epochs": 1000,
        "train.checkpoint_epochs": 0,
    }
    recipe = load_recipe(CONFIGS / DETECTORS[detector], overrides)
    store = SceneStore(root / "cache", Radiometry.parse(recipe.data.radiometry))
    tiles = training_tiles(read_scenes(recipe.data.kind, root / "scenes"), recipe.data)
    folder = root / detector
    (folder / "tiles").mkdir(parents=True)
    write_stock_data(tiles, store, folder / "tiles")
    for tile in tiles:
        store.pixels(tile.scene)

    exact = replace(recipe, train=replace(recipe.train, precision="float32"))
    with redirect_stdout(sys.stderr):  # pycocotools and mmdet have something to say
        loops = {
            "stock": Turnstile(stock_runner(recipe, folder / "tiles", folder / "stock", len(tiles) // options.batch)),
            "ours": Turnstile(our_runner(recipe, tiles, store, folder / "ours")),
            "ours_fp32": Turnstile(our_runner(exact, tiles, store, folder / "ours_fp32")),
        }
    seconds: dict[str, list[tuple[float, float]]] = {arm: [] for arm in ARMS}
    for number in range(options.rounds + 1):
        for arm, loop in loops.items():
            steps = options.steps if number else 1  # the first round allocates and chooses kernels
            with redirect_stdout(sys.stderr), stock_operators() if arm == "stock" else nullcontext():
                wall, cpu = time.perf_counter(), time.process_time()
                loop.take(steps)
                spent = time.perf_counter() - wall, time.process_time() - cpu
            if number:
                seconds[arm].append((spent[WALL] / steps, spent[CPU] / steps))
    for loop in loops.values():
        loop.take(0)
    return seconds


def scores(detector: str, options: argparse.Namespace, root: Path) -> list[tuple[float, float]]:
    """AP50 per scene after a training by the stock loop and by ours, seed by seed, in points.

    Both start from the same tensors and take the same steps at the same rates; they draw tiles and turns by themselves.
    """
    from osm.data.radiometry import Radiometry
    from osm.data.scenes import read_scenes
    from osm.detection.evaluate import average_precision
    from osm.detection.inference import predict_scenes
    from osm.detection.recipe import load_recipe
    from osm.detection.tiles import SceneStore, training_tiles

    overrides = {
        "data.kind": "air-sarship-1.0",
        "data.radiometry": "percentile:0.5,99.5",
        "data.tile_px": 128,
        "data.overlap_px": 32,
        "train.batch_size": 4,
        "train.checkpoint_epochs": 0,
        "train.schedule": "cosine",
        "train.warmup_steps": 20,
        "train.optimizer": {"_delete_": True, "type": "AdamW", "lr": 4e-4, "weight_decay": 0.05},
        "test.precision": "float32",
    }
    recipe = load_recipe(CONFIGS / SCORED[detector], overrides)
    store = SceneStore(root / "cache", Radiometry.parse(recipe.data.radiometry))
    every = read_scenes(recipe.data.kind, root / "scored")
    train, test = every[: len(every) // 2], every[len(every) // 2 :]
    tiles = training_tiles(train, recipe.data)
    epochs = max(1, round(options.ap_steps * recipe.train.batch_size / len(tiles)))
    recipe = replace(recipe, train=replace(recipe.train, epochs=epochs))
    folder = root / f"{detector}-scored"
    (folder / "tiles").mkdir(parents=True)
    write_stock_data(tiles, store, folder / "tiles")
    found = []
    for seed in range(options.ap_seeds):
        with redirect_stdout(sys.stderr):
            ours = our_runner(recipe, tiles, store, folder / f"ours{seed}", seed)
            stock = stock_runner(
                recipe, folder / "tiles", folder / f"stock{seed}", len(tiles) // recipe.train.batch_size, seed
            )
            # mmengine would draw its own start once more when training begins
            stock.model.is_init = True
            stock.model.load_state_dict(ours.model.state_dict())
            pair = []
            for runner, operators in ((stock, stock_operators()), (ours, nullcontext())):
                with operators:
                    runner.train()
                predictions = predict_scenes(
                    runner.model.eval(), test, store, recipe.data, recipe.test, lambda done, total: None
                )
                pair.append(100 * average_precision(predictions.scene_results()).figures()["ap50"])
        found.append((pair[0], pair[1]))
    return found


def ratio(seconds: dict[str, list[tuple[float, float]]], arm: str, clock: int) -> float:
    """Seconds of stock to those of another loop, each round by itself, and of that the median."""
    pairs = zip(seconds["stock"], seconds[arm], strict=True)
    return round(statistics.median(a[clock] / b[clock] for a, b in pairs), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds, after one of a step that is not")
    parser.add_argument("--steps", type=int, default=2, help="steps of each loop in a round")
    parser.add_argument("--batch", type=int, default=4, help="tiles a step")
    parser.add_argument("--size", type=int, default=256, help="side of a tile in pixels")
    parser.add_argument("--quick", action="store_true", help="one round of one step of two tiles: does it run at all?")
    parser.add_argument("--threads", type=int, help="CPU threads; by default as torch chooses")
    parser.add_argument("--ap-steps", type=int, default=0, help="train both loops so many steps and score them; 0: not")
    parser.add_argument("--ap-seeds", type=int, default=3, help="seeds of that")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.steps, options.batch, options.size = 1, 1, 2, 128
    if options.threads:
        torch.set_num_threads(options.threads)

    from osm.compat.operators import ensure_operators

    operators = ensure_operators()
    import mmdet.models  # noqa: F401

    from osm.simulate import simulate_scenes

    by_detector, aps = {}, {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if options.ap_steps:
            simulate_scenes(root / "scored", count=16, seed=1, width_px=512, height_px=512, looks=4)
        simulate_scenes(root / "scenes", count=4, seed=0, width_px=4 * options.size, height_px=4 * options.size)
        for detector in DETECTORS:
            by_detector[detector] = measure(detector, options, root)
            if options.ap_steps:
                aps[detector] = scores(detector, options, root)
    print(
        f"{options.batch} tiles of {options.size} px a step, mmcv's operators: {operators}, "
        f"{torch.get_num_threads()} threads, medians of {options.rounds} rounds of {options.steps} steps"
    )
    print(f"{'detector':<13}{'loop':<11}{'images/s':>9}{'s/step':>9}{'from':>9}{'to':>9}{'CPU s':>9}{'to stock':>10}")
    figures: dict[str, float] = {}
    for detector, seconds in by_detector.items():
        for arm, values in seconds.items():
            wall, cpu = ([value[clock] for value in values] for clock in (WALL, CPU))
            median = statistics.median(wall)
            cells = (options.batch / median, median, min(wall), max(wall), statistics.median(cpu))
            numbers = "".join(f"{cell:>9.2f}" for cell in cells)
            print(f"{detector:<13}{arm:<11}{numbers}{ratio(seconds, arm, WALL):>10.2f}")
        for suffix, clock in (("", WALL), ("_cpu", CPU)):
            figures[f"ratio_stock_{detector}{suffix}"] = ratio(seconds, "ours", clock)
            figures[f"ratio_stock_fp32_{detector}{suffix}"] = ratio(seconds, "ours_fp32", clock)
    worst = {
        f"ratio_stock{suffix}": min(figures[f"ratio_stock_{detector}{suffix}"] for detector in DETECTORS)
        for suffix in ("", "_cpu")
    }
    for detector, pairs in aps.items():
        stock, ours = (statistics.mean(side) for side in zip(*pairs, strict=True))
        print(
            f"{detector:<13}AP50 of simulated scenes after {options.ap_steps} steps, seed by seed (stock, ours): ",
            end="",
        )
        print(", ".join(f"({a:.1f}, {b:.1f})" for a, b in pairs) + f"; mean {stock:.1f}, {ours:.1f}")
        figures[f"ap50_stock_{detector}"], figures[f"ap50_ours_{detector}"] = round(stock, 2), round(ours, 2)
    print(json.dumps(worst | figures))


if __name__ == "__main__":
    main()
