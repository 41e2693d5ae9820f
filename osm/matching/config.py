"""A config file, turned into settings or into an error of one line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from osm.compat.config_files import read_config_file
from osm.compat.device import PRECISIONS
from osm.compat.optimizers import check_optimizer
from osm.configs import check_choices, check_values, nearest
from osm.data.neighbours import Likeness
from osm.data.split import KINDS
from osm.errors import ConfigError
from osm.matching.settings import (
    RESIDENT,
    SCHEDULES,
    SECTIONS,
    AugmentSettings,
    DataSettings,
    FinishSettings,
    Settings,
    StartSettings,
    TargetSettings,
    TrainSettings,
)

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "True or False",
    "dict": "a dict",
    "list": "a list of names",
}


def load_settings(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read a config file.

    Args:
        path: A config of mmengine's kind, whose ``_base_`` is followed, or the same as data.
        overrides: Values by dotted name (``train.epochs``) that replace those of the file.

    Raises:
        ConfigError: No such file, no valid Python, an unknown name (with the nearest known one), or a value
            of the wrong type or out of range.
    """
    where = str(path)
    values = read_config_file(path, overrides)
    values.pop("custom_imports", None)  # mmengine's own key, which the parser has obeyed
    known = [entry.name for entry in fields(Settings)]
    check_names(where, "the config", values, known)
    for section in SECTIONS:
        if not isinstance(values.get(section, {}), dict):
            raise _wrong(where, section, values[section], "a dict")
    data: DataSettings = _section(where, "data", DataSettings, values.get("data", {}))
    train: TrainSettings = _section(where, "train", TrainSettings, values.get("train", {}))
    start: StartSettings = _section(where, "start", StartSettings, values.get("start", {}))
    target: TargetSettings = _section(where, "target", TargetSettings, values.get("target", {}))
    finish: FinishSettings = _section(where, "finish", FinishSettings, values.get("finish", {}))
    augment: AugmentSettings = _section(where, "augment", AugmentSettings, values.get("augment", {}))
    coverage = values.get("init_min_coverage", 1.0)
    settings = Settings({}, data, train, augment, target, start, finish, coverage)
    _check_ranges(where, settings)
    objective = _objective(where, "target.loss", target.loss)
    return replace(
        settings,
        model=_model(where, values.get("model", {})),
        target=replace(target, loss=objective),
        init_min_coverage=float(coverage),
    )


def check_names(where: str, section: str, names: Collection[str], known: Collection[str]) -> None:
    """Make sure that every name is known.

    Args:
        where: File at fault.
        section: Part of it, for the message.
        names: Names that were found.
        known: Names that are allowed.

    Raises:
        ConfigError: A name is unknown; the line offers the nearest known one.
    """
    for name in names:
        if name not in known:
            near = nearest(name, known)
            mend = f"write {near!r}" if near else "remove it or correct the name"
            raise ConfigError(
                where, found=f"{name!r} in {section}", expected=f"one of {', '.join(sorted(known))}", mend=mend
            )


def _section(where: str, name: str, kind: type[Any], values: dict[str, Any]) -> Any:
    known = {entry.name: entry for entry in fields(kind)}
    check_names(where, name, values, known)
    for key, value in values.items():
        wanted = str(known[key].type)
        number = _number(value)
        fits = {
            "int": number and isinstance(value, int),
            "float": number,
            "bool": isinstance(value, bool),
            "list[str]": isinstance(value, list) and all(isinstance(entry, str) for entry in value),
            "str": isinstance(value, str),
        }.get(wanted, isinstance(value, dict))
        if not fits:
            raise _wrong(where, f"{name}.{key}", value, _TYPES.get(wanted.partition("[")[0], wanted))
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(
            where, found=f"no value for {str(error).split(': ')[-1]} in {name}", expected="all of them", mend="add it"
        ) from error


def _check_ranges(where: str, settings: Settings) -> None:
    data, train, augment, target = settings.data, settings.train, settings.augment, settings.target
    check_choices(
        where,
        (
            ("data.split", data.split, KINDS),
            ("data.resident", data.resident, RESIDENT),
            ("train.precision", train.precision, PRECISIONS),
            ("train.schedule", train.schedule, SCHEDULES),
        ),
    )
    check_values(where, _at_least(data, "data", size_px=32, workers=0, split_seed=0))
    check_values(
        where,
        _at_least(
            train,
            "train",
            epochs=1,
            batch_size=2,
            seed=0,
            warmup_epochs=0,
            anchor=0,
            log_every_steps=1,
            checkpoint_every_epochs=1,
            select_every_epochs=0,
        ),
    )
    check_values(where, _at_least(target, "target", tiles=2, weight=0, speckle_looks=0, gain_db=0, gamma=0))
    fraction, like = data.train_fraction, Likeness.LEAST
    interpolate, coverage = settings.finish.interpolate, settings.init_min_coverage
    rules = [
        (0 < fraction < 1, "data.train_fraction", fraction, "a fraction between 0 and 1"),
        *_between(data, "data", like, overlap_edge=1, overlap_corner=1, overlap_whole=1),
        *(
            (_number(factor) and factor >= 0, f"train.lr_mult[{name!r}]", factor, "a number of at least 0")
            for name, factor in train.lr_mult.items()
        ),
        (
            train.warmup_epochs < train.epochs,
            "train.warmup_epochs",
            train.warmup_epochs,
            f"less than the {train.epochs} epochs",
        ),
        (0 < interpolate <= 1, "finish.interpolate", interpolate, "a fraction above 0, at most 1"),
        (_number(coverage) and 0 <= coverage <= 1, "init_min_coverage", coverage, "a fraction between 0 and 1"),
        (
            augment.crop_px == 0 or augment.crop_px >= data.size_px,
            "augment.crop_px",
            augment.crop_px,
            f"0, or at least data.size_px = {data.size_px}",
        ),
        (
            augment.speckle_looks == 0 or 1 <= augment.speckle_looks <= 1000,
            "augment.speckle_looks",
            augment.speckle_looks,
            "0, or a number between 1 and 1000",
        ),
        *_between(augment, "augment", 0, sar_gain_db=20, sar_gamma=1, sar_floor=64),
        *_between(augment, "augment", 0, brightness=0.9, contrast=0.9, saturation=1, grey=1),
    ]
    check_values(where, rules)
    check_optimizer(where, train.optimizer)


def _at_least(section: object, prefix: str, **least: float) -> Iterator[tuple[bool, str, object, str]]:
    """Rules for ``osm.configs.check_values``: fields and their least values."""
    for name, limit in least.items():
        value = getattr(section, name)
        yield value >= limit, f"{prefix}.{name}", value, f"at least {limit}"


def _between(section: object, prefix: str, least: float, **most: float) -> Iterator[tuple[bool, str, object, str]]:
    """Likewise: fields and their greatest values."""
    for name, limit in most.items():
        value = getattr(section, name)
        yield least <= value <= limit, f"{prefix}.{name}", value, f"a number between {least} and {limit}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _model(where: str, values: dict[str, Any]) -> dict[str, Any]:
    import torch
    from mmengine.registry import MODELS

    from osm.matching import network
    from osm.transfer.architectures import ARCHITECTURES

    kind = _registered(where, "model", values, MODELS.module_dict)
    # these come from other sections
    allowed = _defaults(kind, without=("seed", "data_preprocessor", "target_loss", "target_weight"))
    check_names(where, "model", [name for name in values if name != "type"], allowed)
    if values.get("architecture") not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise _wrong(where, "model.architecture", values.get("architecture"), f"one of {known}")
    loss = _objective(where, "model.loss", values.get("loss", {"type": "BridgeLoss"}))
    resolved = {**allowed, **values, "loss": loss}
    resolved["frozen"] = list(resolved["frozen"])
    try:
        network.check_options(resolved["negatives"], resolved["dimensions"], resolved["threshold"])
        with torch.device("meta"):  # nothing is allocated: only the options are tried
            kind(**{name: value for name, value in resolved.items() if name != "type"})
    except (TypeError, ValueError) as error:
        raise ConfigError(
            where, found=f"a model that cannot be built ({error})", expected="valid values", mend="correct the value"
        ) from error
    return resolved


def _objective(where: str, name: str, values: object) -> dict[str, Any]:
    """An objective's config with its defaults filled in, and those of the objectives inside it."""
    from osm.matching.objectives import OBJECTIVES

    if not isinstance(values, dict):
        raise _wrong(where, name, values, "a dict with a type")
    kind = _registered(where, name, values, OBJECTIVES.module_dict)
    terms = _defaults(kind, without=getattr(kind, "SUPPLIED", ()))
    check_names(where, name, [key for key in values if key != "type"], terms)
    resolved = {**terms, **values}
    for key, value in resolved.items():
        if value is inspect.Parameter.empty:
            raise ConfigError(where, found=f"no {key} in {name}", expected="an objective", mend="add it")
        if isinstance(value, dict):
            resolved[key] = _objective(where, f"{name}.{key}", value)
        elif key == "losses" and isinstance(value, list | tuple):
            resolved[key] = [_objective(where, f"{name}.losses[{place}]", part) for place, part in enumerate(value)]
    return resolved


def _registered(where: str, section: str, values: dict[str, Any], known: Mapping[str, Any]) -> Callable[..., Any]:
    name = values.get("type")
    if not isinstance(name, str) or name not in known:
        near = nearest(str(name), known)
        raise ConfigError(
            where,
            found=f"{section}.type = {name!r}",
            expected="a registered name",
            mend=f"write {near!r}" if near else "correct the name",
        )
    kind: Callable[..., Any] = known[name]
    return kind


def _defaults(kind: Callable[..., Any], without: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        name: entry.default
        for name, entry in inspect.signature(kind).parameters.items()
        if name not in (*without, "self")
    }


def _wrong(where: str, name: str, value: object, expected: str) -> ConfigError:
    return ConfigError(where, found=f"{name} = {value!r}", expected=expected, mend="correct the value")
