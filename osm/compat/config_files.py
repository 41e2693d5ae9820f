"""Config files: mmengine's, which are Python programs, and data that run nothing (JSON, YAML).

A ``.py`` config is executed when it is read, with all that it inherits. The data-only form is what a config says once
it is resolved: it holds no base and no import, and the settings allow no name that is not registered.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osm.errors import ConfigError

DATA_SUFFIXES = (".json", ".yaml", ".yml")
MOST_BYTES = 1_000_000
_DEEPEST = 40
#: mmengine's own words: they name files to run and modules to import.
_PROGRAM = ("_base_", "custom_imports")


def read_config_file(path: str | Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a config with its bases, and put the overrides in.

    Args:
        path: A ``.py`` file, which is executed; or a ``.json``, ``.yaml`` or ``.yml`` file, which is not.
        overrides: Dotted key → value, applied last.

    Raises:
        ConfigError: The file is missing, cannot be read or, as data, holds what only a program may.
    """
    from mmengine.config import Config

    path = Path(path)
    if not path.is_file():
        raise ConfigError(path, found="no such file", expected="a config file", mend="see the files in configs/")
    if path.suffix not in (".py", *DATA_SUFFIXES):
        raise ConfigError(
            path,
            found=f"a {path.suffix or 'nameless'} file",
            expected=f"a .py config, or data ({', '.join(DATA_SUFFIXES)})",
            mend="rename it",
        )
    if path.suffix in DATA_SUFFIXES:
        return with_overrides(path, _read_data(path), overrides)
    try:
        # a variable of the environment is no setting that a run could write down
        config = Config.fromfile(str(path), use_environment_variables=False)
    except Exception as error:  # a config is a program: whatever it raises is a fault of the file
        raise _unreadable(path, error) from error
    return _merged(path, config, overrides)


def with_overrides(path: str | Path, values: Mapping[str, Any], overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """Put overrides into what has been read; with ``_delete_`` nothing of what they replace is left.

    Args:
        path: Where it was read, for errors.
        values: The values.
        overrides: Dotted key → value.

    Raises:
        ConfigError: They do not fit.
    """
    from mmengine.config import Config

    return _merged(path, Config(dict(values)), overrides)


def _merged(path: str | Path, config: Any, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        if overrides:
            config.merge_from_dict(dict(overrides))
        values: dict[str, Any] = config.to_dict()
    except Exception as error:
        raise _unreadable(path, error) from error
    return values


def _unreadable(path: str | Path, error: Exception) -> ConfigError:
    lines = str(error).strip().splitlines() or [""]
    return ConfigError(
        path,
        found=f"a config that cannot be read ({type(error).__name__}: {' '.join(lines[-1].split())[:240]})",
        expected="assignments, as in configs/",
        mend="correct that line of the config, of the files it inherits, or of what replaces it",
    )


def as_data(path: str | Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a config as JSON has them: tuples become lists.

    Args:
        path: The config, for errors.
        values: What ``read_config_file`` gave.

    Raises:
        ConfigError: A value is neither a number, text, truth value, list, dict nor None.
    """
    made: dict[str, Any] = {name: _plain(path, name, value) for name, value in values.items()}
    return made


def _plain(path: str | Path, name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(path, f"{name}.{key}", entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(path, f"{name}[{index}]", entry) for index, entry in enumerate(value)]
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ConfigError(
        path,
        found=f"{name} = {value!r}",
        expected="numbers, text, lists and dicts, which are all that data can hold",
        mend="state it by its name or number",
    )


def _read_data(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(
            path, found=f"{path.stat().st_size:,} bytes", expected=f"at most {MOST_BYTES:,}", mend="this is no config"
        )
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else _read_yaml(text)
    except (ValueError, RecursionError) as error:  # yaml's and json's errors are ValueErrors, or made to be
        raise ConfigError(
            path,
            found=f"no {path.suffix[1:].upper()} that can be read ({' '.join(str(error).split())[:240]})",
            expected="what osm config writes",
            mend="write it again",
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(
            path, found=f"a {type(values).__name__}", expected="sections by name", mend="write it with osm config"
        )
    _check_data(path, values, 0)
    return values


def _read_yaml(text: str) -> Any:
    import yaml

    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                # a few lines of aliases of aliases unfold into gigabytes
                raise ValueError("an alias (*name); write the value out")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _check_data(path: Path, value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        raise ConfigError(path, found="lists or dicts in too many others", expected="a config", mend="write it again")
    if isinstance(value, dict):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise ConfigError(path, found=f"the name {key!r}", expected="text", mend="put it in quotes")
            if key in _PROGRAM:
                raise ConfigError(
                    path,
                    found=f"the word {key}",
                    expected="a whole config that runs nothing",
                    mend="write it with osm config, from the .py file that it came from",
                )
            _check_data(path, entry, depth + 1)
    elif isinstance(value, list):
        for entry in value:
            _check_data(path, entry, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(path, found=f"the number {value}", expected="a finite one", mend="correct it")
