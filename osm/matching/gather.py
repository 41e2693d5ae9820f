"""One batch over all processes: what contrast needs, since its negatives are the other pairs of the batch."""

from __future__ import annotations

from mmengine.dist import get_rank, get_world_size
from torch import Tensor

from osm.compat.collectives import stack_over_processes


def gather_rows(rows: Tensor) -> Tensor:
    """The rows of all processes, in the order in which one process would have had them.

    The sampler deals pairs out in turn, so row i of process r is row ``i · world + r`` of the whole batch.
    Gradients flow back to the process that a row came from, summed over all processes; since each of them
    computes the same loss of the whole batch and DistributedDataParallel takes the mean over processes, what
    arrives is the gradient that one process would have had.

    Args:
        rows: (N, …), N the same in every process.

    Returns:
        (world · N, …); ``rows`` itself in a single process.
    """
    if get_world_size() == 1:
        return rows
    return stack_over_processes(rows).transpose(0, 1).flatten(0, 1)


def own_rows(rows: Tensor) -> Tensor:
    """The rows of this process among those of the whole batch: the inverse of ``gather_rows``."""
    return rows[get_rank() :: get_world_size()]
