"""What torch's optimisers take: asked before a run, since torch says it in the middle of one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osm.configs import nearest
from osm.errors import ConfigError


def check_optimizer(where: str | Path, values: Mapping[str, Any]) -> None:
    """Make sure that an optimiser can be made of ``train.optimizer``.

    Args:
        where: The config, for errors.
        values: ``type``, a name of mmengine's registry, and arguments of that class.

    Raises:
        ConfigError: No such optimiser, a word that it does not take, a value that it refuses.
    """
    from mmengine.optim import OPTIMIZERS

    name, known = values.get("type"), OPTIMIZERS.module_dict
    if not isinstance(name, str) or name not in known:
        near = nearest(str(name), known)
        raise ConfigError(
            where,
            found=f"train.optimizer.type = {name!r}",
            expected="a registered name",
            mend=f"write {near!r}" if near else "correct the name",
        )
    kind = known[name]
    words = [word for word in inspect.signature(kind).parameters if word != "params"]
    given = {word: value for word, value in values.items() if word != "type"}
    for word in given:
        if word not in words:
            near = nearest(word, words)
            raise ConfigError(
                where,
                found=f"{word!r} in train.optimizer",
                expected=f"what {name} takes: {', '.join(words)}",
                mend=f"write {near!r}" if near else "remove it; with '_delete_': True nothing is inherited",
            )
    lr = values.get("lr")
    if lr is not None and not (isinstance(lr, int | float) and not isinstance(lr, bool) and lr > 0):
        raise ConfigError(
            where, found=f"train.optimizer.lr = {lr!r}", expected="a positive number", mend="correct the value"
        )
    try:  # momentum="high" and the like: the class itself knows best
        import torch

        kind([torch.nn.Parameter(torch.zeros(1))], **given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            where,
            found=f"a train.optimizer that torch refuses ({error})",
            expected=f"arguments of torch.optim.{kind.__name__}",
            mend="correct the value",
        ) from error
