# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The processes of one training run, as torchrun starts them, and what they tell each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from sfm_depth_ros.errors import TrainingError

ANSWER_WITHIN = timedelta(minutes=15)  # rank 0 validates and saves while the others wait
ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Processes:
    """Which process of how many this is; the default is one alone."""

    rank: int = 0  # Number of this process; 0 alone writes and logs
    count: int = 1  # Processes on all machines
    local_rank: int = 0  # Number of this process on its machine

    @classmethod
    def of_environment(cls) -> Processes:
        """What torchrun says in the environment; alone where it says nothing."""
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
            distributed.init_process_group(backend, timeout=ANSWER_WITHIN)
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def mean(self, tensor: Tensor) -> Tensor:
        """Mean over the processes, in place; every process must come here.

        Raises:
            TrainingError: Another process ended or stopped answering.
        """
        if self.count > 1:
            with _explained():
                distributed.all_reduce(tensor)
            tensor /= self.count
        return tensor

    def told_by_first(self, value: ValueT) -> ValueT:
        """What rank 0 has; every process must come here.

        Raises:
            TrainingError: Another process ended or stopped answering.
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
    the others. The message also says whether any process found something infinite (then all get
    NaN, and refuse the step together) and whether any was asked to stop.

    Args:
        networks: Their parameters' gradients are exchanged.
        processes: Who takes part.
        is_stopping: Says whether this process was asked to stop.
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
        said = [float(self._is_stopping()), float(not is_finite), *map(float, has)]
        device = self._parameters[0].device
        parts = [torch.tensor(said, device=device)]
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
            "another process of this run ended or stopped answering; see what it said, then start "
            f"the same command with --resume ({reason[0] if reason else type(error).__name__})"
        ) from error
