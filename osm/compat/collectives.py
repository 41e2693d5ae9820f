"""Sums and stacks over processes that gradients flow back through.

torch has had such functions under several names, each deprecated in its turn; these two are a few lines.
The gradient is that of the sum of all processes' losses.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.autograd import Function


def process_count() -> int:
    """Number of processes at work together; 1 where there is no group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of a tensor over all processes, the same in each.

    Args:
        values: Of the same shape in every process.
    """
    result: Tensor = _Sum.apply(values)
    return result


def stack_over_processes(values: Tensor) -> Tensor:
    """The tensors of all processes, by process along a new first axis, the same in each.

    Args:
        values: Of the same shape in every process.
    """
    result: Tensor = _Stack.apply(values)
    return result


def _summed(values: Tensor) -> Tensor:
    total = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


class _Sum(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _summed(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _summed(gradients[0])


class _Stack(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values, memory_format=torch.contiguous_format) for _ in range(process_count())]
        dist.all_gather(parts, values.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _summed(gradients[0])[dist.get_rank()]
