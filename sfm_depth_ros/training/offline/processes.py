# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processes of one training run, as torchrun starts them: one gradient and one batch norm."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from sfm_depth_ros.errors import TrainingError
from sfm_depth_ros.losses.masked_mean import counts_shared_by

RESPONSE_LIMIT = timedelta(minutes=15)  # rank 0 validates and saves while the others wait
ValueT = TypeVar("ValueT")
_PIXELS = (0, 2, 3)


@dataclass(frozen=True)
class Processes:
    """Rank of this process and number of all; the default is one alone."""

    rank: int = 0  # Number of this process; 0 alone writes and logs
    count: int = 1  # Processes on all machines
    local_rank: int = 0  # Number of this process on its machine

    @classmethod
    def of_environment(cls) -> Processes:
        """Read torchrun's environment; alone without it."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        if not all(name in os.environ for name in names):
            return cls()
        return cls(*(int(os.environ[name]) for name in names))

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and logs."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this process: ``cuda`` means one GPU for each process of a machine."""
        return f"cuda:{self.local_rank}" if name == "cuda" and self.count > 1 else name

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Be connected: through nccl where networks are on GPUs, else through gloo.

        Raises:
            TrainingError: The others did not come.
        """
        if self.count == 1:
            yield
            return
        backend = "nccl" if device.startswith("cuda") else "gloo"
        if backend == "nccl":
            torch.cuda.set_device(device)
        with _explained():
            distributed.init_process_group(backend, timeout=RESPONSE_LIMIT)
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def mean(self, tensor: Tensor) -> Tensor:
        """Mean over the processes, in place; every process must come here.

        Raises:
            TrainingError: Another process ended or does not respond.
        """
        if self.count > 1:
            with _explained():
                distributed.all_reduce(tensor)
            tensor /= self.count
        return tensor

    def counts_shared(self) -> contextlib.AbstractContextManager[None]:
        """Context in which means over pixels are those of the whole batch."""
        return contextlib.nullcontext() if self.count == 1 else counts_shared_by(self.mean)

    def of_first(self, value: ValueT) -> ValueT:
        """Rank 0's value; every process must come here.

        Raises:
            TrainingError: Another process ended or does not respond.
        """
        if self.count == 1:
            return value
        values = [value]
        with _explained():
            distributed.broadcast_object_list(values)
        return values[0]


class GradientExchange:
    """Makes the gradient of every process the mean of all, in one message a step.

    A parameter that no process used keeps no gradient; one that only some used counts as zero in
    the others. The message also carries whether any process found something infinite (then all
    refuse the step together) and whether any is to stop.

    Args:
        networks: Their parameters' gradients are exchanged.
        processes: Who takes part.
        is_stopping: Whether this process is to stop.
    """

    def __init__(
        self, networks: nn.Module, processes: Processes, is_stopping: Callable[[], bool]
    ) -> None:
        self.stops = False
        self._parameters = [p for p in networks.parameters() if p.requires_grad]
        self._buffers = [b for b in networks.buffers() if b.is_floating_point()]
        self._processes, self._is_stopping = processes, is_stopping

    def __call__(self, is_finite: bool) -> bool:
        """Exchange gradients and running statistics.

        Args:
            is_finite: Whether this process's gradient may be used at all.

        Returns:
            Whether that of all may.
        """
        if self._processes.count == 1:
            self.stops = self._is_stopping()
            return is_finite
        has = [p.grad is not None for p in self._parameters]
        flags = [float(self._is_stopping()), float(not is_finite), *map(float, has)]
        device = self._parameters[0].device
        parts = [torch.tensor(flags, device=device)]
        parts += [
            (p if p.grad is None else p.grad).detach().flatten() * float(h)
            for p, h in zip(self._parameters, has, strict=True)
        ]
        parts += [buffer.flatten() for buffer in self._buffers]
        message = self._processes.mean(torch.cat([part.float() for part in parts]))
        self._take(message)
        self.stops = bool(message[0] > 0)
        return bool(message[1] == 0)

    @torch.no_grad()
    def _take(self, message: Tensor) -> None:
        count = len(self._parameters)
        used = (message[2 : 2 + count] > 0).tolist()
        sizes = [p.numel() for p in (*self._parameters, *self._buffers)]
        parts = message[2 + count :].split(sizes)
        for parameter, part, is_used in zip(self._parameters, parts[:count], used, strict=True):
            mean = part.view(parameter.shape) if is_used else None
            if mean is not None and parameter.grad is not None:
                parameter.grad.copy_(mean)
            else:
                parameter.grad = None if mean is None else torch.empty_like(parameter).copy_(mean)
        for buffer, part in zip(self._buffers, parts[count:], strict=True):
            buffer.copy_(part.view(buffer.shape))


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()
        raise TrainingError(
            "another process of this run ended or does not respond; see its log, then start "
            f"the same command with --resume ({reason[0] if reason else type(error).__name__})"
        ) from error


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
