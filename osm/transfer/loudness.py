"""How large the outputs of a backbone's stages are beside each other, before anything is trained.

Batch norm sets the size of what a stage puts out by its gains. A file that was written with other gains than a random
start has, and that lacks a stage, leaves one beside the others that is several times as loud: a neck that adds stages
up, as a feature pyramid does, then hears little else until training has mended that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osm.transfer.stages import Stage

if TYPE_CHECKING:
    from torch import nn

#: Noise of this side and number goes through; outputs are statistics of thousands of values.
_SIDE_PX, _IMAGES = 128, 4
#: What is said: a stage this much louder, beside filled ones, than it is in a random start.
LOUD = 2.0


@dataclass(frozen=True)
class Loud:
    """A stage that stayed random, at least in part, and drowns those that were filled.

    Attributes:
        name: Of the stage.
        factor: How much larger its output is, beside that of the filled stages, than in a random start.
    """

    name: str
    factor: float

    @property
    def words(self) -> str:
        """``layer4 is random and 2.9 times as loud beside what was filled as in a random start``."""
        return (
            f"{self.name} is random and {self.factor:.1f} times as loud beside what was filled as in a random start, "
            "which a neck hears until training has mended it"
        )


def loudness(backbone: nn.Module) -> dict[str, float]:
    """Standard deviation of what each stage puts out for noise, by name, with the statistics of the batch.

    The backbone is left as it was, running statistics included.
    """
    import torch

    found: dict[str, float] = {}

    def listen(name: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda _module, _inputs, output: found.update({name: float(output.std())})

    hooks = [child.register_forward_hook(listen(name)) for name, child in backbone.named_children()]
    state = {key: value.clone() for key, value in backbone.state_dict().items()}
    modes = [(module, module.training) for module in backbone.modules()]
    noise = torch.randn(_IMAGES, 3, _SIDE_PX, _SIDE_PX, generator=torch.Generator().manual_seed(0))
    try:
        # mmdet's own train() may hold parts in evaluation
        for module, _ in modes:
            module.training = True
        with torch.no_grad():
            backbone(noise)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
        backbone.load_state_dict(state)
    return found


def loud_stages(before: dict[str, float], after: dict[str, float], stages: tuple[Stage, ...]) -> list[Loud]:
    """Stages that a file left random, at least in part, and that drown what it filled.

    Args:
        before: ``loudness`` of a random start.
        after: The same, filled.
        stages: Of the certificate.
    """
    named = [stage for stage in stages if stage.norms > 1 and before.get(stage.name) and after.get(stage.name)]
    filled = [stage.name for stage in named if stage.parameters_filled == stage.parameters]
    if not filled:
        return []
    beside = [sum(values[name] for name in filled) / len(filled) for values in (before, after)]
    found = []
    for stage in named:
        if stage.parameters_filled < stage.parameters / 2:
            factor = (after[stage.name] / beside[1]) / (before[stage.name] / beside[0])
            if factor >= LOUD:
                found.append(Loud(stage.name, factor))
    return found
