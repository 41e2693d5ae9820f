"""Batch norm over all processes, on a CPU too: torch's own ``SyncBatchNorm`` runs on CUDA alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from osm.compat.collectives import process_count, sum_over_processes


class SynchronisedBatchNorm(_BatchNorm):
    """Batch norm whose batch is that of all processes, as one process would have seen it.

    Mean and variance are summed over processes by collectives that gradients flow back through; the running
    variance is unbiased by the global count. Processes may hold batches of different sizes. In evaluation it is
    plain batch norm.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"an input of {input.dim()} dimensions; at least 2 are needed")

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, …)."""
        if not self.training or process_count() == 1:
            return super().forward(input)
        self._check_input_dim(input)
        # bfloat16 has too few digits for sums
        values = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        others = [axis for axis in range(values.dim()) if axis != 1]
        shape = [1, -1] + [1] * (values.dim() - 2)
        own = values.numel() // values.shape[1]
        # twice over the data, as one process does: the mean of squares less the square of the mean loses digits
        total = sum_over_processes(torch.cat([values.sum(others), values.new_tensor([own])]))
        count = total[-1].detach()
        mean = total[:-1] / count
        centred = values - mean.view(shape)
        variance = sum_over_processes(centred.square().sum(others)) / count
        self._track(mean.detach(), variance.detach(), count)
        scale = (variance + self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        normalised = centred * scale.view(shape)
        if self.bias is not None:
            normalised = normalised + self.bias.view(shape)
        return normalised.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        # no momentum is torch's word for a cumulative mean
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / (count - 1)), share)


def synchronise_batch_norm(module: nn.Module, without: Collection[nn.Module] = ()) -> None:
    """Let every batch norm inside see the batch of all processes; nothing in a single process.

    Parameters and buffers stay the same objects under the same names, so that checkpoints and exports do too.

    Args:
        module: Changed in place; on CUDA it gets torch's own ``SyncBatchNorm``.
        without: Modules inside that are left as they are.
    """
    if process_count() == 1:
        return
    excluded = {id(part) for whole in without for part in whole.modules()}
    for parent, name, norm in list(_norms(module)):
        if id(norm) in excluded or isinstance(norm, SynchronisedBatchNorm | nn.SyncBatchNorm):
            continue
        if torch.cuda.is_available():
            shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)
        else:
            shared = _moved(norm, SynchronisedBatchNorm)
        shared.separate = type(norm)  # type: ignore[assignment]
        setattr(parent, name, shared)


def separate_batch_norm(module: nn.Module) -> None:
    """Undo ``synchronise_batch_norm``: from here on a process may run the module while others do not."""
    for parent, name, norm in list(_norms(module)):
        if isinstance(norm, SynchronisedBatchNorm | nn.SyncBatchNorm):
            setattr(parent, name, _moved(norm, norm.separate))  # type: ignore[arg-type]


def _norms(module: nn.Module) -> Iterator[tuple[nn.Module, str, _BatchNorm]]:
    for parent in module.modules():
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                yield parent, name, child


def _moved(norm: _BatchNorm, kind: type[_BatchNorm]) -> _BatchNorm:
    """The same parameters and buffers in another class."""
    affine, tracked = norm.weight is not None, norm.running_mean is not None
    moved = kind(norm.num_features, norm.eps, norm.momentum, affine, tracked)
    moved._parameters.update(norm._parameters)
    moved._buffers.update(norm._buffers)
    moved.train(norm.training)
    return moved
