# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masked means, also where several processes share one batch.

A batch that is split over processes has one mean: the sum over all of them divided by the number
of pixels that count in all of them. So inside :func:`counts_shared_by` every process divides by
the processes' mean count; the mean of their gradients then is the gradient of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_mean_count: ContextVar[Callable[[Tensor], Tensor] | None] = ContextVar("mean_count", default=None)


def masked_mean(values: Tensor, used: Tensor) -> Tensor:
    """Mean of ``values`` where ``used``; zero where nothing is.

    Args:
        values: Any shape; must be finite where unused, too.
        used: Bool or weights, of a shape that broadcasts with ``values`` to its shape.

    Returns:
        Scalar.
    """
    return (values * used).sum() / counted(used.expand_as(values).sum())


def counted(count: Tensor) -> Tensor:
    """Divisor of a sum over ``count`` things: never zero, shared where a batch is.

    Args:
        count: Scalar number (or sum of weights) of what this process's sum is over.
    """
    reduce = _mean_count.get()
    if reduce is None:
        return count.clamp(min=1)
    shared = reduce(count.detach().double())
    return shared.clamp(min=1e-3).to(count.dtype if count.is_floating_point() else shared.dtype)


@contextmanager
def counts_shared_by(mean_count: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Make means those of the whole batch while a process computes its part of it.

    Args:
        mean_count: Mean over the processes of a scalar; every process must come to it.
    """
    token = _mean_count.set(mean_count)
    try:
        yield
    finally:
        _mean_count.reset(token)
