"""One of two processes that share a batch; ``python sync_norm_process.py FOLDER RANK``. For ``test_sync_norm``."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import torch
from torch import nn

from osm.compat.sync_norm import SynchronisedBatchNorm, separate_batch_norm, synchronise_batch_norm

#: Rows of the batch that each process holds.
SHARES = (slice(0, 4), slice(4, 6))


def networks(dtype: torch.dtype) -> dict[str, tuple[nn.Module, torch.Tensor]]:
    torch.manual_seed(0)
    return {
        "2d": (nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5)), torch.randn(6, 3, 4, 4) * 3 + 7),
        "1d": (nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5)), torch.randn(6, 3)),
        "cumulative": (nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5, momentum=None)), torch.randn(6, 3)),
        "no affine": (nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5, affine=False)), torch.randn(6, 3)),
    }


def compare(rank: int, dtype: torch.dtype) -> dict[str, float]:
    """Largest differences from one process's batch norm, after two steps."""
    found = {}
    for name, (plain, rows) in networks(dtype).items():
        plain.to(dtype)
        shared = copy.deepcopy(plain)
        synchronise_batch_norm(shared)
        assert isinstance(shared[1], SynchronisedBatchNorm)
        assert shared.state_dict().keys() == plain.state_dict().keys()
        for _ in range(2):
            whole, own = (part.clone().requires_grad_() for part in (rows.to(dtype), rows.to(dtype)[SHARES[rank]]))
            for network in (plain, shared):
                network.zero_grad()
            expected, given = plain(whole), shared(own)
            weight = torch.linspace(-1, 1, expected.numel(), dtype=dtype).view_as(expected)
            (expected.tanh() * weight).sum().backward()
            (given.tanh() * weight[SHARES[rank]]).sum().backward()
        pairs = {"output": (expected[SHARES[rank]], given), "input": (whole.grad[SHARES[rank]], own.grad)}
        for key, parameter in shared.named_parameters():
            torch.distributed.all_reduce(parameter.grad)
            pairs[key] = dict(plain.named_parameters())[key].grad, parameter.grad
        pairs |= {key: (dict(plain.named_buffers())[key], value) for key, value in shared.named_buffers()}
        found |= {f"{name} {key}": float((first - second).abs().max()) for key, (first, second) in pairs.items()}
        separate_batch_norm(shared)
        assert type(shared[1]) is type(plain[1])
        shared(own)  # alone: the other process need not take part
    return found


def left_alone() -> list[str]:
    """Kinds of batch norm in a network of which one part is excluded."""
    network = nn.Sequential(nn.Sequential(nn.BatchNorm2d(2)), nn.BatchNorm2d(2))
    synchronise_batch_norm(network, without=[network[0]])
    return [type(network[0][0]).__name__, type(network[1]).__name__]


if __name__ == "__main__":
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=2)
    half = SynchronisedBatchNorm(3)(torch.randn(4, 3, dtype=torch.bfloat16)).dtype
    results = {
        "float64": compare(rank, torch.float64),
        "float32": compare(rank, torch.float32),
        "left alone": left_alone(),
        "half": str(half),
    }
    torch.save(results, folder / f"results_{rank}.pt")
    torch.distributed.destroy_process_group()
