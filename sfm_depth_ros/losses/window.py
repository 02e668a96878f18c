# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Means over the square window around each pixel, and their transpose.

Sliding sums over rows, then columns: on a CPU more than ten times faster than average pooling.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def box_mean(image: Tensor, window: int = 3) -> Tensor:
    """Mean over the odd ``window`` around each pixel of ``(..., H, W)``, border reflected.

    Meant for use without autograd: ``box_mean_adjoint`` is its derivative.
    """
    radius = window // 2
    flat = image.reshape(-1, *image.shape[-2:])
    padded = functional.pad(flat, (radius,) * 4, mode="reflect")
    total = _sliding_sum(_sliding_sum(padded, -1, window), -2, window)
    return total.mul_(1.0 / window**2).view(image.shape)


def box_mean_adjoint(gradient: Tensor, window: int = 3) -> Tensor:
    """What ``box_mean`` sends back: the transposed operator, ``(..., H, W)``."""
    radius = window // 2
    flat = gradient.reshape(-1, *gradient.shape[-2:])
    padded = functional.pad(flat, (2 * radius,) * 4)
    total = _sliding_sum(_sliding_sum(padded, -1, window), -2, window)
    folded = _fold_border(_fold_border(total, -1, radius), -2, radius)
    return (folded * (1.0 / window**2)).view(gradient.shape)


def _sliding_sum(x: Tensor, dim: int, window: int) -> Tensor:
    """Sums of ``window`` neighbours along ``dim``; shorter by ``window`` - 1."""
    length = x.shape[dim] - window + 1
    total = x.narrow(dim, 0, length).clone()
    for start in range(1, window):
        total += x.narrow(dim, start, length)
    return total


def _fold_border(padded: Tensor, dim: int, radius: int) -> Tensor:
    """Add what fell on reflected borders back to where it was reflected from."""
    length = padded.shape[dim] - 2 * radius
    inner = padded.narrow(dim, radius, length)
    if radius:
        inner.narrow(dim, 1, radius).add_(padded.narrow(dim, 0, radius).flip(dim))
        last = padded.narrow(dim, radius + length, radius).flip(dim)
        inner.narrow(dim, length - 1 - radius, radius).add_(last)
    return inner
