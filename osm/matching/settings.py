"""The vocabulary of a pretraining config, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

SPLITS = ("auto", "paper", "scene")
PRECISIONS = ("bfloat16", "float32")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class DataSettings:
    """Which pairs, and at what size.

    Attributes:
        split: "paper" (random), "scene" (whole scenes), "auto" (scene where a manifest names them).
        train_fraction: Part of the pairs for training.
        split_seed: Seed of the split, apart from that of the training: seeds share their test part.
        size_px: Height and width that the branches see; larger patches are reduced on the device.
        workers: Processes that read patches.
    """

    split: str = "auto"
    train_fraction: float = 0.7
    split_seed: int = 0
    size_px: int = 256
    workers: int = 2


@dataclass(frozen=True)
class TrainSettings:
    """How long, how fast, how exactly.

    Attributes:
        epochs: Passes over the training pairs.
        batch_size: Pairs a step and process.
        optimizer: One of torch's, e.g. ``dict(type="SGD", lr=0.005)``.
        schedule: "constant" or "cosine" (to a hundredth of the rate).
        warmup_epochs: Epochs, or parts of one, in which the rate rises to its value.
        lr_mult: Factors of the learning rate by the beginning of a parameter's name, e.g.
            ``{"sar.backbone.layer1": 0.1}``; the longest that fits counts.
        anchor: Pull of the backbones towards their start (L2-SP, Li et al., ICML 2018): each step moves every
            weight by the rate times this towards where it began.
        precision: "bfloat16" (autocast) or "float32".
        seed: Seed of the random start, the order of pairs and the negatives.
        log_every_steps: Steps between two lines of the log; each epoch ends with one in any case.
        checkpoint_every_epochs: Epochs between two checkpoints; the last two are kept.
        sync_bn: Whether batch norm sees the batch of all processes, so that several train as one would. It matters
            where there are several; per process, it is faster where they are far apart.
    """

    epochs: int
    batch_size: int
    optimizer: dict[str, Any]
    schedule: str = "constant"
    warmup_epochs: float = 0.0
    lr_mult: dict[str, float] = field(default_factory=dict)
    anchor: float = 0.0
    precision: str = "bfloat16"
    seed: int = 0
    log_every_steps: int = 50
    checkpoint_every_epochs: int = 1
    sync_bn: bool = True


@dataclass(frozen=True)
class StartSettings:
    """What is done to the start before the first step.

    Attributes:
        reestimate_bn: Whether the running statistics of batch norm are estimated anew, those of the SAR branch on
            SAR and those of the optical branch on optical training patches.
    """

    reestimate_bn: bool = False


@dataclass(frozen=True)
class FinishSettings:
    """What is done to the SAR backbone between the last step and its export.

    Attributes:
        interpolate: The export is ``start + interpolate · (end − start)`` (WiSE-FT, Wortsman et al., CVPR 2022);
            1 leaves the end as it is.
        reestimate_bn: Whether batch norm statistics are estimated anew on SAR training patches; always done
            where weights were interpolated.
    """

    interpolate: float = 1.0
    reestimate_bn: bool = False


@dataclass(frozen=True)
class Settings:
    """A whole config.

    Attributes:
        model: Registry config of the network, its defaults filled in.
        data: Which pairs, and at what size.
        train: How long, how fast, how exactly.
        start: What is done to the start.
        finish: What is done to the end.
        init_min_coverage: Least fraction of a backbone's tensors that ``--init`` must fill.
    """

    model: dict[str, Any]
    data: DataSettings
    train: TrainSettings
    start: StartSettings = StartSettings()
    finish: FinishSettings = FinishSettings()
    init_min_coverage: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return asdict(self)

    def flat(self) -> dict[str, Any]:
        """The settings by dotted names of two levels, e.g. ``train.epochs``."""
        return {
            f"{section}.{name}": value
            for section in ("model", "data", "train", "start", "finish")
            for name, value in self.to_json()[section].items()
        }
