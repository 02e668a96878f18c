# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Holes in foliage: balls whose surface is open where a smooth noise is low."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.world.intersection import MISS, Rays, quadratic

HOLES = 32  # cells along an edge of the table
OPEN_SHARE = 0.25


def foliage_holes(seed: int) -> Tensor:
    """``(HOLES ** 3,)`` float32 added to ray parameters: 0 where leaves are, ``MISS`` in holes."""
    rng = np.random.default_rng([seed, 0x40])
    spectrum = np.fft.rfftn(rng.standard_normal((HOLES,) * 3))
    whole, half = np.fft.fftfreq(HOLES) * HOLES, np.fft.rfftfreq(HOLES) * HOLES
    radius = np.sqrt(whole[:, None, None] ** 2 + whole[:, None] ** 2 + half**2)
    field = np.fft.irfftn(spectrum / (1 + radius) ** 2.0, s=(HOLES,) * 3, axes=(0, 1, 2))
    is_open = field < np.quantile(field, OPEN_SHARE)
    return torch.from_numpy(is_open.astype(np.float32) * MISS).reshape(-1)


def pass_holes(origin: Rays, direction: Rays, near: Tensor, holes: Tensor) -> Tensor:
    """First leaf along rays that enter a ball: on its near side, or through a hole on the far one.

    Args:
        origin: Three ``(M,)`` tensors, unit coordinates.
        direction: Likewise.
        near: ``(M,)`` ray parameter of the entry.
        holes: From ``foliage_holes``.

    Returns:
        ``(M,)`` ray parameter, ``MISS`` or more where the ray passes.
    """
    _, far = quadratic(origin, direction)
    return torch.minimum(*(t + _holes_at(origin, direction, t, holes) for t in (near, far)))


def _holes_at(origin: Rays, direction: Rays, t: Tensor, holes: Tensor) -> Tensor:
    index = torch.zeros_like(t)
    for o, d in zip(origin, direction, strict=True):
        cell = torch.addcmul(o, d, t).mul_(0.49 * HOLES).add_(0.5 * HOLES)
        index = index.mul_(HOLES).add_(cell.clamp_(0, HOLES - 1).floor_())
    return holes.index_select(0, index.int())
