"""``osm config``: a config as data, which runs nothing where it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from osm.cli.options import chosen_config, parse_settings


def config(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A config to pretrain, fine-tune, probe or compare with.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="A .json, .yaml or .yml file to write; JSON on the screen if not given."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Replace a setting, e.g. train.epochs=5.")
    ] = None,
) -> None:
    """Write a config as data: resolved, whole, and taken by every command in place of the Python file.

    A .py config is a program and runs when it is read. Data run nothing: send them to others, and ask others for them.
    """
    import json

    from osm.compat.config_files import DATA_SUFFIXES, as_data
    from osm.errors import ConfigError
    from osm.files import write_text

    values = as_data(config, resolved(chosen_config(config), parse_settings(set_)))
    if out is None:
        typer.echo(json.dumps(values, indent=1, ensure_ascii=False))
        return
    if out.suffix not in DATA_SUFFIXES:
        raise ConfigError(
            out,
            found=f"a {out.suffix or 'nameless'} file",
            expected=f"one of {', '.join(DATA_SUFFIXES)}",
            mend="rename it",
        )
    if out.exists():
        raise ConfigError(out, found="a file", expected="a new one", mend="choose another --out, or remove it")
    write_text(out, _text(values, out.suffix))
    typer.echo(f"written to {out}")


def resolved(path: Path, overrides: dict[str, Any]) -> dict[str, Any]:
    """What a config says: checked as the command that takes it checks it, and without what it merely inherited.

    Args:
        path: The config.
        overrides: Dotted key → value; of a comparison they go to all of its detectors.

    Raises:
        ConfigError: It is none of the kinds of config, or wrong; or it imports modules, which data cannot.
    """
    from osm.compat.config_files import read_config_file
    from osm.detection.recipe import KEYS, load_recipe
    from osm.errors import ConfigError
    from osm.matching.config import load_settings

    values = read_config_file(path)
    if "custom_imports" in values:
        raise ConfigError(
            path, found="custom_imports", expected="a config that needs no other modules", mend="it stays a program"
        )
    if "detectors" in values:
        values["overrides"] = {**values.get("overrides", {}), **overrides}
        values["detectors"] = [
            entry if isinstance(entry, dict) else resolved(path.parent / entry, {}) for entry in values["detectors"]
        ]
        return values
    if "detector" in values:
        load_recipe(path, overrides)
        return {key: value for key, value in read_config_file(path, overrides).items() if key in KEYS}
    load_settings(path, overrides)
    return read_config_file(path, overrides)


def _text(values: dict[str, Any], suffix: str) -> str:
    import json

    if suffix == ".json":
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    import yaml

    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
