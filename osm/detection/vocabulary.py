"""Names of types in a detector's config: registered ones alone.

mmengine takes a name that no registry knows for one that Python can import, and calls what it finds. A config may come
as data from elsewhere, and so do the settings in a file of weights: there such a name would be a program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from osm.configs import nearest
from osm.errors import ConfigError

#: Initialisers that read a file or an address: weights arrive through ``osm.transfer`` alone.
_READERS = ("Pretrained", "PretrainedInit")


def check_types(where: str | Path, model: Mapping[str, Any]) -> None:
    """Make sure that every ``type`` in a config of mmdet's kind is a registered name.

    Args:
        where: The config, for errors.
        model: The config; lists and dicts in it are followed.

    Raises:
        ConfigError: Some type is no registered name, or reads weights of its own.
    """
    for place, name in _types("model", model):
        if name in _READERS:
            raise ConfigError(
                where,
                found=f"{place} = {name!r}",
                expected="no weights of a model's own",
                mend="remove it, and give weights with --init or --arm: those are checked",
            )
        if not isinstance(name, str) or name not in _registered():
            near = nearest(str(name), _registered())
            raise ConfigError(
                where,
                found=f"{place} = {name!r}",
                expected="a name that mmdet, mmcv or mmengine has registered",
                mend=f"write {near!r}" if near else "correct the name",
            )


def _types(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if key == "type":
                yield f"{place}.type", entry
            else:
                yield from _types(f"{place}.{key}", entry)
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from _types(f"{place}[{index}]", entry)


@lru_cache(maxsize=1)
def _registered() -> frozenset[str]:
    from osm.transfer.architectures import register_backbones

    register_backbones()
    import mmcv.ops
    import mmdet.registry
    import mmengine.registry

    registries = {
        entry
        for module in (mmengine.registry, mmdet.registry)
        for entry in vars(module).values()
        if isinstance(entry, mmengine.registry.Registry)
    }
    # layers of regions of interest and suppression are looked up in mmcv.ops, not in a registry
    return frozenset(name for one in registries for name in one.module_dict) | frozenset(mmcv.ops.__all__)
