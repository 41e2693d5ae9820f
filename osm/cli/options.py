"""Options that several commands read the same way."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

AllowContractMismatch = Annotated[
    bool,
    typer.Option(
        "--allow-contract-mismatch",
        help="Take weights that were trained on other bands, bits, statistics or radiometry; it is noted.",
    ),
]
MinCoverage = Annotated[
    float | None,
    typer.Option(
        "--min-coverage",
        min=0.0,
        max=1.0,
        help="Least fraction of the backbone's tensors that weights must fill; 0.8 for imagenet, 1 for osm and osd "
        "if not given.",
    ),
]

Groups = Annotated[
    Path | None,
    typer.Option(
        "--groups",
        help="Groups of test scenes, e.g. inshore and offshore, where the data set brings no lists: a CSV with the "
        "columns scene and group. The comparison remembers them.",
    ),
]
LandMaskFile = Annotated[
    Path | None,
    typer.Option(
        "--land-mask",
        help="Land polygons, any vector file that GDAL reads: georeferenced test scenes with a ship near land are "
        "inshore, others offshore. In place of --groups, and remembered likewise; needs the extra geo.",
    ),
]
Fuse = Annotated[
    list[str] | None,
    typer.Option(
        "--fuse",
        metavar="ARM+ARM",
        help="Two arms whose boxes are fused, without any training, for one more row; repeat it for more.",
    ),
]
NearM = Annotated[float, typer.Option("--near-m", min=0.0, help="Metres from land at which inshore ends.")]


def chosen_config(path: Path) -> Path:
    """The config that a user named, as ``osm.configs.find_config`` finds it; a program from elsewhere is named."""
    from osm.configs import config_path, find_config

    found = find_config(path)
    place, homes = found.resolve(), (Path.cwd().resolve(), config_path("").resolve())
    if found.suffix == ".py" and found.is_file() and not any(place.is_relative_to(home) for home in homes):
        typer.echo(
            f"note: {found} is a Python program from outside of this folder, and runs now (osm config writes configs "
            "that run nothing)",
            err=True,
        )
    return found


def parse_settings(
    texts: Sequence[str] | None, option: str = "--set", example: str = "train.epochs=5"
) -> dict[str, Any]:
    """Read repeated ``--set NAME=VALUE``, or another option of that form; a value that is no Python literal is text.

    Raises:
        ConfigError: There is no ``=``.
    """
    return dict(_parse(text, option, example) for text in texts or ())


def _parse(text: str, option: str, example: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        from osm.errors import ConfigError

        raise ConfigError(
            f"{option} {text}", found="no NAME=VALUE", expected=f"e.g. {example}", mend="write name, '=' and value"
        )
    try:
        return name.strip(), ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name.strip(), value
