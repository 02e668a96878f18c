# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sums over the square window around each pixel, and their transpose.

Sliding sums over rows, then columns: on a CPU more than ten times faster than average pooling.
Meant for use inside a hand-written derivative: ``box_sum_adjoint`` is what ``box_sum`` sends back.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def box_sum(image: Tensor, window: int = 3) -> Tensor:
    """Sum over the odd ``window`` around each pixel of ``(..., H, W)``, border reflected."""
    radius = window // 2
    flat = image.reshape(-1, *image.shape[-2:])
    padded = functional.pad(flat, (radius,) * 4, mode="reflect")
    return _sliding_sum(_sliding_sum(padded, -1, window), -2, window).view(image.shape)


def box_sum_adjoint(gradient: Tensor, window: int = 3) -> Tensor:
    """The transpose of ``box_sum`` applied to ``(..., H, W)``."""
    radius = window // 2
    flat = gradient.reshape(-1, *gradient.shape[-2:])
    padded = functional.pad(flat, (2 * radius,) * 4)
    total = _sliding_sum(_sliding_sum(padded, -1, window), -2, window)
    return _fold_border(_fold_border(total, -1, radius), -2, radius).reshape(gradient.shape)


def _sliding_sum(x: Tensor, dim: int, window: int) -> Tensor:
    """Sums of ``window`` neighbours along ``dim``; shorter by ``window`` - 1."""
    if window == 1:
        return x
    length = x.shape[dim] - window + 1
    total = x.narrow(dim, 0, length) + x.narrow(dim, 1, length)
    for start in range(2, window):
        total += x.narrow(dim, start, length)
    return total


def _fold_border(padded: Tensor, dim: int, radius: int) -> Tensor:
    """Add what fell on reflected borders back to where it was reflected from, in place."""
    length = padded.shape[dim] - 2 * radius
    inner = padded.narrow(dim, radius, length)
    if radius:
        first = padded.narrow(dim, 0, radius).flip(dim)
        last = padded.narrow(dim, radius + length, radius).flip(dim)
        inner.narrow(dim, 1, radius).add_(first)
        inner.narrow(dim, length - 1 - radius, radius).add_(last)
    return inner
