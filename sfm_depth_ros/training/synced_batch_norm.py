# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batch norm whose batch is that of all processes together, on CPUs and GPUs alike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sfm_depth_ros.training.distributed import Processes


class _Mean(torch.autograd.Function):
    """Mean over the processes; its gradient is the mean of their gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, processes: Processes) -> Tensor:
        ctx.processes = processes
        return processes.mean(tensor.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.processes.mean(gradient.clone()), None


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """:class:`torch.nn.BatchNorm2d` over the equally large batches of all processes.

    torch's own works on GPUs alone. In eval mode it is an ordinary batch norm.

    Args:
        norm: Its parameters and statistics are shared with this one.
        processes: Who takes part.
    """

    def __init__(self, norm: nn.BatchNorm2d, processes: Processes) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine,
                         norm.track_running_stats)
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self.training, self._processes = norm.training, processes

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        if not self.training:
            return super().forward(x)
        mean, variance = self._statistics(x.float())
        self._follow(mean.detach(), variance.detach(), x.numel() // x.shape[1])
        gain = (variance + self.eps).rsqrt() * self.weight
        offset = self.bias - mean * gain
        return (x * gain[:, None, None] + offset[:, None, None]).to(x.dtype)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance ``(C,)`` over all processes, from those of this one.

        Summed in double precision: the variance is a difference of two of the sums.
        """
        mean, variance = x.mean((0, 2, 3)).double(), x.var((0, 2, 3), correction=0).double()
        sums = torch.stack((mean, variance + mean.square()))
        shared_mean, shared_square = _Mean.apply(sums, self._processes)
        return shared_mean.float(), (shared_square - shared_mean.square()).float()

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics as batch norm does, with the unbiased variance."""
        assert self.running_mean is not None and self.running_var is not None  # always tracked
        assert self.momentum is not None  # nor cumulatively
        total = count * self._processes.count
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (total / max(total - 1, 1)), self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def synchronise_batch_norms(networks: nn.Module, processes: Processes) -> None:
    """Replace every batch norm of ``networks`` by one over all processes."""
    for parent in list(networks.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, SyncedBatchNorm2d(child, processes))
