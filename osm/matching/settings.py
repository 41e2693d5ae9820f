"""The vocabulary of a pretraining config, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from osm.data.neighbours import Likeness
from osm.data.pairs import SplitRule

SCHEDULES = ("constant", "cosine")
RESIDENT = ("auto", "on", "off")
#: The parts of a config.
SECTIONS = ("model", "data", "train", "augment", "target", "start", "finish")


@dataclass(frozen=True)
class DataSettings:
    """Which pairs, and at what size.

    Attributes:
        split: "paper" (random), "scene" (whole scenes), "blocked" (patches that overlap, as their pixels say, in
            one part), "auto" (scene where a manifest names them, else paper).
        train_fraction: Part of the pairs for training.
        split_seed: Seed of the split, apart from that of the training: seeds share their test part.
        test_scenes: With the split "scene": the scenes that are tested on, in place of a drawing; so a whole region
            can be held back.
        unused_scenes: Scenes that are neither trained nor tested on, e.g. since they touch both regions.
        overlap_edge: With the split "blocked": patches whose borders correlate at least so much are taken to overlap;
            0.2 to 1. Lower finds overlaps that are off by more pixels, or noisier, and begins to link patches that
            only look alike; ``osm.data.neighbours`` has measured values.
        overlap_corner: The same for their corners, which have fewer pixels to tell by.
        overlap_whole: The same for whole patches: near duplicates.
        size_px: Height and width that the branches see; larger patches are reduced on the device.
        workers: Processes that read patches.
        resident: Whether the training pairs live on the device that trains, where batches are gathered without
            workers: "auto" (on CUDA, where a packed store takes at most half of the free memory), "on", "off". The
            batches are the same.
    """

    split: str = "auto"
    train_fraction: float = 0.7
    split_seed: int = 0
    test_scenes: list[str] = field(default_factory=list)
    unused_scenes: list[str] = field(default_factory=list)
    overlap_edge: float = Likeness.edge
    overlap_corner: float = Likeness.corner
    overlap_whole: float = Likeness.whole
    size_px: int = 256
    workers: int = 2
    resident: str = "auto"

    @property
    def split_rule(self) -> SplitRule:
        """How the pairs are divided, for ``osm.data``."""
        return SplitRule(
            kind=self.split,
            train_fraction=self.train_fraction,
            seed=self.split_seed,
            test_scenes=tuple(self.test_scenes),
            unused_scenes=tuple(self.unused_scenes),
            likeness=Likeness(self.overlap_edge, self.overlap_corner, self.overlap_whole),
        )


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
        precision: "bfloat16" (autocast), "float32", or "auto": bfloat16 where the device has instructions for it.
        seed: Seed of the random start, the order of pairs and the negatives.
        log_every_steps: Steps between two lines of the log; each epoch ends with one in any case.
        checkpoint_every_epochs: Epochs between two checkpoints; the last two are kept.
        select_every_epochs: Epochs between two SAR backbones that ``--probe-root`` is asked about; the best is
            exported. 0: the last one is.
        sync_bn: Whether batch norm sees the batch of all processes, so that several train as one would. It matters
            where there are several; per process, it is faster where they are far apart.
        keep_memory: Whether a training on a CPU keeps the memory that a step frees for the next
            (``osm.compat.allocator``). Results do not depend on it.
        compile: Whether the backbones run through torch.compile; it takes minutes at the start and a C++ compiler.
            Results are the same up to rounding. On CPUs it was measured to gain nothing.
    """

    epochs: int
    batch_size: int
    optimizer: dict[str, Any]
    schedule: str = "constant"
    warmup_epochs: float = 0.0
    lr_mult: dict[str, float] = field(default_factory=dict)
    anchor: float = 0.0
    precision: str = "auto"
    seed: int = 0
    log_every_steps: int = 50
    checkpoint_every_epochs: int = 1
    select_every_epochs: int = 0
    sync_bn: bool = True
    keep_memory: bool = True
    compile: bool = False


@dataclass(frozen=True)
class AugmentSettings:
    """How training pairs are varied; everything is off by default, as in the reference.

    A crop keeps the native size of pixels, where ``data.size_px`` alone reduces it and blurs small ships.

    Attributes:
        turn: Flip and turn by quarters, uniformly over the 8 ways; the same for both patches of a pair. Pixels move
            and are not resampled, so that no border or filter betrays a pair; but SAR looks from one side and shadows
            fall to one side, so that pairs of one scene may be told apart by how they were turned.
        crop_px: Side of a window drawn anew each time, the same for both patches; the middle one in evaluation.
            0: the whole patch. At least ``data.size_px``, to which windows are reduced.
        speckle_looks: Multiply SAR intensities by speckle of so many looks, at least 1; fewer are stronger.
            0: none. Patches are taken to hold amplitudes.
        sar_gain_db: A gain on SAR amplitudes, uniform within ± so many dB.
        sar_gamma: An exponent on SAR amplitudes, exp(u) with u uniform within ± this.
        sar_floor: Noise added to SAR intensities, of an amplitude uniform from 0 to this, in units of 0..255.
        brightness: A factor on optical values, uniform within 1 ± this.
        contrast: A factor on their distance from the patch's mean luminance, likewise.
        saturation: A factor on their distance from the pixel's luminance, likewise.
        grey: Probability that an optical patch loses its colour.
    """

    turn: bool = False
    crop_px: int = 0
    speckle_looks: float = 0.0
    sar_gain_db: float = 0.0
    sar_gamma: float = 0.0
    sar_floor: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    grey: float = 0.0


@dataclass(frozen=True)
class TargetSettings:
    """Unlabelled SAR tiles of the detectors' domain in every batch; none by default. ``--target-root`` names them.

    Attributes:
        kind: A kind of ``osm.data.scenes``, e.g. "ssdd"; empty for no tiles.
        split: Part of it whose scenes may be seen: never one that is tested on.
        radiometry: How its pixels become 8 bits, as ``osm.data.radiometry`` spells it.
        tiles: Tiles a step and process.
        loss: Registry config of the objective over the two views of a tile.
        weight: Weight of that objective beside the one over pairs.
        speckle_looks: Looks of the speckle that each view gets, 0 for none.
        gain_db: Gain of a view, uniform within ± so many dB.
        gamma: Exponent of a view, exp(u) with u uniform within ± this.
    """

    kind: str = ""
    split: str = "train"
    radiometry: str = "none"
    tiles: int = 16
    loss: dict[str, Any] = field(default_factory=lambda: {"type": "InfoNCE"})
    weight: float = 1.0
    speckle_looks: float = 4.0
    gain_db: float = 3.0
    gamma: float = 0.2


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
        augment: How training pairs are varied.
        target: Unlabelled tiles of the detectors' domain.
        start: What is done to the start.
        finish: What is done to the end.
        init_min_coverage: Least fraction of a backbone's tensors that ``--init`` must fill.
    """

    model: dict[str, Any]
    data: DataSettings
    train: TrainSettings
    augment: AugmentSettings = AugmentSettings()
    target: TargetSettings = field(default_factory=TargetSettings)
    start: StartSettings = StartSettings()
    finish: FinishSettings = FinishSettings()
    init_min_coverage: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return asdict(self)

    def flat(self) -> dict[str, Any]:
        """The settings by dotted names of two levels, e.g. ``train.epochs``."""
        return {f"{section}.{name}": value for section in SECTIONS for name, value in self.to_json()[section].items()}
