# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batch norm whose batch is that of all processes together, on CPUs and GPUs alike."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sfm_depth_ros.training.offline.processes import Processes

_PIXELS = (0, 2, 3)


class _Normalise(torch.autograd.Function):
    """Batch norm by the statistics of all processes.

    Written out, for a CPU spends half of a step in the passes over pixels that autograd would
    make of it. Every process computes the gradient of its own loss; the mean of these is wanted,
    which takes the mean over the processes of what comes back to the statistics.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, processes: Processes
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = _mean_and_variance(x.float())
        # in double precision: the variance of all is a difference of two sums
        sums = torch.stack((mean.double(), variance.double() + mean.double().square()))
        shared_mean, shared_square = processes.mean(sums)
        mean = shared_mean.float()
        variance = (shared_square - shared_mean.square()).clamp(min=0).float()
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.processes = processes
        ctx.mark_non_differentiable(mean, variance)
        return functional.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Any, ...]:
        x, weight, mean, deviation = ctx.saved_tensors
        centred = x - _per_channel(mean, x)  # first: sums of large numbers would lose digits
        of_bias = gradient.sum(_PIXELS, dtype=torch.float32)
        of_weight = (gradient * centred).sum(_PIXELS, dtype=torch.float32) * deviation
        count = x.numel() // x.shape[1]
        shared = ctx.processes.mean(torch.stack((of_bias, of_weight)).double() / count).float()
        gain = weight * deviation
        slope, offset = -gain * deviation * shared[1], -gain * shared[0]
        of_x = centred.mul_(_per_channel(slope, x)).add_(_per_channel(offset, x))
        of_x.addcmul_(gradient, _per_channel(gain, x))
        return of_x, of_weight, of_bias, None, None


def _mean_and_variance(x: Tensor) -> tuple[Tensor, Tensor]:
    """``(C,)`` each; ``torch.var_mean`` is ten times slower on a channels-last CPU tensor."""
    count = x.numel() // x.shape[1]
    mean = x.sum(_PIXELS) / count
    return mean, (x - mean[:, None, None]).square_().sum(_PIXELS) / count


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.dtype)[:, None, None]


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """:class:`torch.nn.BatchNorm2d` over the equally large batches of all processes.

    torch's own works on GPUs alone. In eval mode it is an ordinary batch norm.

    Args:
        norm: Its parameters and statistics are shared with this one.
        processes: Who takes part.
    """

    def __init__(self, norm: nn.BatchNorm2d, processes: Processes) -> None:
        super().__init__(
            norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
        )
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self.training, self._processes = norm.training, processes

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        if not self.training:
            return super().forward(x)
        y, mean, variance = _Normalise.apply(x, self.weight, self.bias, self.eps, self._processes)
        self._follow(mean, variance, x.numel() // x.shape[1])
        return cast(Tensor, y)

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
