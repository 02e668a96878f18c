# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exact ray intersections in unit coordinates, for many (solid, pixel tile) pairs at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.world.objects import BOX, CYLINDER

MISS = 1.0e6  # a ray parameter that nothing real reaches
STEEP = 1.0e20
TINY = 1.0e-12
Rays = tuple[Tensor, Tensor, Tensor]

# Selection by masks is several times slower than arithmetic on a CPU, so misses are expressed as
# a steep penalty: everything at or beyond MISS is a miss.


def intersect(kind: int, origin: Rays, direction: Rays) -> Tensor:
    """Ray parameter of the first hit with a solid's outside, ``MISS`` or more where there is none.

    Args:
        kind: BOX ([-1, 1]^3), CYLINDER (radius 1, z in [-1, 1]), BALL or FOLIAGE (radius 1).
        origin: Three tensors broadcastable to ``(P, S)``, unit coordinates.
        direction: Likewise.

    Returns:
        ``(P, S)`` float32.
    """
    if kind == BOX:
        near, far = _slab(origin[0], direction[0])
        slabs = [1, 2]
    else:
        round_axes = 2 if kind == CYLINDER else 3
        near, far = quadratic(origin[:round_axes], direction[:round_axes])
        slabs = [2] if kind == CYLINDER else []
    for axis in slabs:
        lower, upper = _slab(origin[axis], direction[axis])
        near, far = torch.maximum(near, lower), torch.minimum(far, upper)
    if slabs:
        near = near.add(far.sub_(near).clamp_(max=0), alpha=-STEEP)
    return near.sub_(near.clamp(max=0), alpha=STEEP)


def _slab(origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    inverse = (direction + TINY).reciprocal_()
    middle = inverse * -origin
    half = inverse.abs_()
    return middle - half, middle.add_(half)


def quadratic(origin: tuple[Tensor, ...], direction: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Entry and exit of |o + t d| = 1; entry is beyond ``MISS`` where the ray misses."""
    inverse = dot(direction, direction).reciprocal_()
    b = dot(origin, direction).mul_(inverse)
    c = dot(origin, origin) - 1
    discriminant = torch.addcmul(b * b, c, inverse, value=-1)
    miss = discriminant.clamp(max=0)
    root = discriminant.clamp_(min=0).sqrt_()
    return (-b).sub_(root).sub_(miss, alpha=STEEP), root.sub_(b)


def dot(left: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> Tensor:
    """Dot product over tuples of components."""
    total = left[0] * right[0]
    for one, other in zip(left[1:], right[1:], strict=True):
        total = torch.addcmul(total, one, other)
    return total


HOLES = 32  # cells along an edge of the table
OPEN_SHARE = 0.25
SMOOTHNESS = 2.0  # exponent of the holes' spectrum: smaller = finer and more ragged


def foliage_holes(
    seed: int, open_share: float = OPEN_SHARE, smoothness: float = SMOOTHNESS
) -> Tensor:
    """``(HOLES ** 3,)`` float32 added to ray parameters: 0 where leaves are, ``MISS`` in holes."""
    rng = np.random.default_rng([seed, 0x40])
    spectrum = np.fft.rfftn(rng.standard_normal((HOLES,) * 3))
    whole, half = np.fft.fftfreq(HOLES) * HOLES, np.fft.rfftfreq(HOLES) * HOLES
    radius = np.sqrt(whole[:, None, None] ** 2 + whole[:, None] ** 2 + half**2)
    field = np.fft.irfftn(spectrum / (1 + radius) ** smoothness, s=(HOLES,) * 3, axes=(0, 1, 2))
    is_open = field < np.quantile(field, open_share)
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
