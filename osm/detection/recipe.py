"""A detection recipe: the small vocabulary of ``configs/detect``, checked word by word."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from osm.compat.config_files import read_config_file
from osm.compat.device import PRECISIONS
from osm.configs import check_choices, check_values
from osm.detection.engines import DEFAULT, find_engine
from osm.errors import ConfigError
from osm.transfer.architectures import architecture

SCHEDULES = ("cosine", "step", "constant")
#: Top-level names a detection config may set; ``model`` is the engine's own vocabulary.
KEYS = ("detector", "engine", "architecture", "model", "data", "train", "test")
#: What mmdet's configs bring along by inheritance and this engine replaces.
INHERITED = (
    "auto_scale_lr",
    "backend_args",
    "data_preprocessor",
    "data_root",
    "dataset_type",
    "default_hooks",
    "default_scope",
    "env_cfg",
    "input_size",
    "load_from",
    "log_level",
    "log_processor",
    "optim_wrapper",
    "param_scheduler",
    "resume",
    "test_cfg",
    "test_dataloader",
    "test_evaluator",
    "test_pipeline",
    "train_cfg",
    "train_dataloader",
    "train_pipeline",
    "val_cfg",
    "val_dataloader",
    "val_evaluator",
    "vis_backends",
    "visualizer",
)


@dataclass(frozen=True)
class DataSettings:
    """Which scenes, and how they become tiles.

    Attributes:
        kind: A kind of ``osm.data.scenes``.
        train_split: Split to train on.
        test_split: Split to score.
        test_ids: Scene ids of the test split, for data sets without split files.
        radiometry: How pixels become 8 bits, as ``osm.data.radiometry`` spells it.
        tile_px: Side of a square tile.
        overlap_px: Overlap of neighbouring tiles, in training and at test time.
        min_visible: Least visible fraction of a box for it to count in a tile.
        empty_fraction: Training tiles without ships, per tile with ships.
        train_fraction: Fraction of the training scenes used; smaller sets are subsets of larger ones.
        subset_seed: Seed of that choice and of the choice of tiles, the same in every cell.
        drop_leaked_train: Whether to leave out training scenes that show a test scene (``osm.data.leakage``), before
            the fraction is taken.
        validation_fraction: Part of the training scenes that is never trained on, the same in every run; taken before
            ``train_fraction`` is, for ``train.validate_every_epochs``.
        max_tiles: Training tiles at most, a seeded choice of all; 0 for all. Keeps the cost of a training on many
            scenes at that of one on few.
    """

    kind: str = "air-sarship-1.0"
    train_split: str = "train"
    test_split: str = "test"
    test_ids: tuple[str, ...] | None = None
    radiometry: str = "none"
    tile_px: int = 512
    overlap_px: int = 128
    min_visible: float = 0.5
    empty_fraction: float = 0.1
    train_fraction: float = 1.0
    subset_seed: int = 0
    drop_leaked_train: bool = False
    validation_fraction: float = 0.0
    max_tiles: int = 0


@dataclass(frozen=True)
class TrainSettings:
    """How a detector is fine-tuned; the same in every arm.

    Attributes:
        epochs: Passes over the training tiles.
        batch_size: Tiles a step.
        optimizer: A torch optimiser's ``type`` and settings.
        warmup_steps: Steps of linear warm-up.
        schedule: ``cosine`` (to a hundredth), ``step`` (÷10 at 2/3 and 8/9) or ``constant``.
        clip_norm: Largest norm of the gradient; 0 for no limit.
        precision: ``bfloat16``, ``float32``, or ``auto``: bfloat16 where the device has instructions for it.
        augment: Flips and quarter turns.
        checkpoint_epochs: Epochs between checkpoints to resume from; 0 for none.
        min_steps: Steps that are trained at least, by more epochs where the tiles are few; 0 for ``epochs`` alone.
        validate_every_epochs: Epochs between two looks at the validation scenes (``data.validation_fraction``), and one
            at the end; 0 for none.
    """

    epochs: int = 12
    batch_size: int = 8
    optimizer: Mapping[str, Any] = field(
        default_factory=lambda: {"type": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}
    )
    warmup_steps: int = 100
    schedule: str = "cosine"
    clip_norm: float = 10.0
    precision: str = "auto"
    augment: bool = True
    checkpoint_epochs: int = 1
    min_steps: int = 0
    validate_every_epochs: int = 0


@dataclass(frozen=True)
class TestSettings:
    """How whole scenes are searched.

    Attributes:
        batch_size: Tiles a forward pass.
        precision: As of ``TrainSettings``.
        merge_iou: Detections of a scene that overlap this much are one.
        merge_smaller: So are detections of different tiles that share this much of the smaller one.
        tile_px: Side of a tile when searching, where it is to be another than in training; 0 for the same. Large
            tiles show a scene with fewer seams, small ones make more steps of the same pixels.
    """

    __test__ = False  # not a test class, whatever its name

    batch_size: int = 8
    precision: str = "float32"
    merge_iou: float = 0.5
    merge_smaller: float = 0.7
    tile_px: int = 0

    def tiling(self, data: DataSettings) -> DataSettings:
        """The settings of the data as they are when searching."""
        return replace(data, tile_px=self.tile_px or data.tile_px)


@dataclass(frozen=True)
class Recipe:
    """A detection config, resolved and checked.

    Attributes:
        path: The config file.
        detector: Name in tables.
        architecture: Name of the backbone.
        model: The engine's words about the model: mmdet's model config without its backbone, or the settings of
            ``osm.detection.yolov3u``.
        engine: A name of ``osm.detection.engines``.
    """

    path: Path
    detector: str
    architecture: str
    model: dict[str, Any]
    data: DataSettings
    train: TrainSettings
    test: TestSettings
    engine: str = DEFAULT

    def settings(self) -> dict[str, Any]:
        """Everything that decides a result, as JSON values."""
        values = asdict(self)
        del values["path"]
        if self.engine == DEFAULT:
            # finished runs from before there were other engines are known by settings without this word
            del values["engine"]
        if not self.data.drop_leaked_train:
            # younger than cells that are finished, whose fingerprints do not know it
            del values["data"]["drop_leaked_train"]
        for section, word in (
            ("test", "tile_px"),
            ("data", "validation_fraction"),
            ("data", "max_tiles"),
            ("train", "min_steps"),
            ("train", "validate_every_epochs"),
        ):
            if not values[section][word]:
                del values[section][word]
        return values


def load_recipe(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read and check a detection config.

    Args:
        path: A file of ``configs/detect`` or one that inherits from it, or the same as data.
        overrides: Dotted key → value, applied last.

    Raises:
        ConfigError: The file cannot be read, a word is misspelt or a value is out of range.
    """
    return recipe_of(path, read_config_file(path, overrides))


def recipe_of(path: str | Path, values: Mapping[str, Any]) -> Recipe:
    """The same of a config that has been read.

    Args:
        path: Where it was read, for errors and for what is relative to it.
        values: What stands in it.

    Raises:
        ConfigError: A word is misspelt or a value is out of range.
    """
    check_words(path, "the config", set(values) - set(INHERITED), KEYS)
    for key in ("detector", "architecture", "model"):
        if key not in values:
            raise ConfigError(path, found=f"no {key}", expected=f"a line {key} = …", mend="inherit from a base config")
    architecture(values["architecture"])
    engine = find_engine(values.get("engine", DEFAULT), path)
    recipe = Recipe(
        path=Path(path),
        detector=values["detector"],
        architecture=values["architecture"],
        model=values["model"],
        data=read_section(path, "data", DataSettings, values),
        train=read_section(path, "train", TrainSettings, values),
        test=read_section(path, "test", TestSettings, values),
        engine=values.get("engine", DEFAULT),
    )
    _check_ranges(recipe)
    engine.check(recipe)
    return recipe


def recipe_from_settings(path: str | Path, values: Mapping[str, Any]) -> Recipe:
    """The recipe whose ``Recipe.settings`` were written into a file.

    Args:
        path: The file, for errors.
        values: The settings.

    Raises:
        ConfigError: They are not of this version.
    """
    check_words(path, "the recipe", set(values), KEYS)
    for key in ("detector", "architecture", "model", "data", "test"):
        if key not in values:
            raise ConfigError(path, found=f"a recipe without {key}", expected="a whole one", mend="train it again")
    recipe = Recipe(
        path=Path(path),
        detector=str(values["detector"]),
        architecture=str(values["architecture"]),
        model=dict(values["model"]),
        data=read_section(path, "data", DataSettings, values),
        train=read_section(path, "train", TrainSettings, values),
        test=read_section(path, "test", TestSettings, values),
        engine=str(values.get("engine", DEFAULT)),
    )
    _check_ranges(recipe)
    return recipe


_Settings = TypeVar("_Settings")


def read_section(path: str | Path, name: str, kind: type[_Settings], values: Mapping[str, Any]) -> _Settings:
    """A section of a config as a dataclass of settings.

    Args:
        path: The config, for errors.
        name: Name of the section.
        kind: The dataclass; every field has a default, which decides the type of a value.
        values: The config.

    Raises:
        ConfigError: A word is not a field, or a value is of another type.
    """
    given = dict(values.get(name, {}))
    check_words(path, name, set(given), [entry.name for entry in fields(kind)])  # type: ignore[arg-type]
    if given.get("test_ids") is not None and name == "data":
        given["test_ids"] = tuple(str(value) for value in given["test_ids"])
    default = kind()
    for key, value in given.items():
        wanted = getattr(default, key)
        numeric = isinstance(wanted, float) and type(value) is int
        if wanted is not None and type(value) is not type(wanted) and not numeric:
            raise ConfigError(
                path,
                found=f"{name}.{key} = {value!r}",
                expected=f"a {type(wanted).__name__}",
                mend="correct the value",
            )
    return kind(**given)


def check_words(path: str | Path, where: str, found: set[str], known: list[str] | tuple[str, ...]) -> None:
    """Refuse words that nothing reads: a typo would otherwise leave a default in place unnoticed.

    Raises:
        ConfigError: There is one; the line offers the nearest known word.
    """
    for word in sorted(found - set(known)):
        near = difflib.get_close_matches(word, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "remove it"
        raise ConfigError(
            path, found=f"an unknown word {word!r} in {where}", expected=f"one of {', '.join(known)}", mend=hint
        )


def _check_ranges(recipe: Recipe) -> None:
    data, train, test = recipe.data, recipe.train, recipe.test
    check_choices(
        recipe.path,
        (
            ("train.schedule", train.schedule, SCHEDULES),
            ("train.precision", train.precision, PRECISIONS),
            ("test.precision", test.precision, PRECISIONS),
        ),
    )
    rules = (
        (data.tile_px >= 64 and data.tile_px % 32 == 0, "data.tile_px", data.tile_px, "a multiple of 32 from 64 up"),
        (0 <= data.overlap_px < data.tile_px, "data.overlap_px", data.overlap_px, "0 up to below data.tile_px"),
        (0 < data.min_visible <= 1, "data.min_visible", data.min_visible, "above 0, at most 1"),
        (data.empty_fraction >= 0, "data.empty_fraction", data.empty_fraction, "0 or more"),
        (0 < data.train_fraction <= 1, "data.train_fraction", data.train_fraction, "above 0, at most 1"),
        (0 <= data.validation_fraction < 1, "data.validation_fraction", data.validation_fraction, "0 to below 1"),
        (data.max_tiles >= 0, "data.max_tiles", data.max_tiles, "0 or more"),
        (train.min_steps >= 0, "train.min_steps", train.min_steps, "0 or more"),
        (train.validate_every_epochs >= 0, "train.validate_every_epochs", train.validate_every_epochs, "0 or more"),
        (
            data.validation_fraction > 0 or not train.validate_every_epochs,
            "data.validation_fraction",
            data.validation_fraction,
            "above 0, since train.validate_every_epochs asks for scenes that are not trained on",
        ),
        (train.epochs >= 1, "train.epochs", train.epochs, "1 or more"),
        (train.batch_size >= 2, "train.batch_size", train.batch_size, "2 or more, since batch norm learns"),
        (test.batch_size >= 1, "test.batch_size", test.batch_size, "1 or more"),
        (
            not test.tile_px or (test.tile_px % 32 == 0 and test.tile_px > data.overlap_px),
            "test.tile_px",
            test.tile_px,
            "0, or a multiple of 32 above data.overlap_px",
        ),
        (0 < test.merge_iou <= 1, "test.merge_iou", test.merge_iou, "above 0, at most 1"),
        (0 < test.merge_smaller <= 1, "test.merge_smaller", test.merge_smaller, "above 0, at most 1"),
    )
    check_values(recipe.path, rules)
