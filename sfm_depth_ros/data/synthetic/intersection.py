# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exact ray intersections in unit coordinates, for many (solid, pixel tile) pairs at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sfm_depth_ros.data.synthetic.objects import BALL, BOX, CYLINDER, FOLIAGE

HOLES = 32  # side of the table of holes in foliage
Rays = tuple[Tensor, Tensor, Tensor]


def intersect_box(origin: Rays, direction: Rays) -> Tensor:
    """Ray parameter of the first hit with [-1, 1]^3, inf where missed or from inside.

    Args:
        origin: Three tensors broadcastable to ``(P, S)``, unit coordinates.
        direction: Likewise.

    Returns:
        ``(P, S)`` float32.
    """
    near, far = _slab(origin[0], direction[0])
    for axis in (1, 2):
        lower, upper = _slab(origin[axis], direction[axis])
        near, far = torch.maximum(near, lower), torch.minimum(far, upper)
    return near.masked_fill_((near > far) | (near <= 0), torch.inf)


def _slab(origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    inverse = torch.reciprocal(direction)
    middle = -origin * inverse
    half = inverse.abs_()
    return middle - half, middle.add_(half)


def intersect_cylinder(origin: Rays, direction: Rays) -> Tensor:
    """The same for the upright cylinder of radius 1 and z in [-1, 1]."""
    near, far = _quadratic(origin[:2], direction[:2])
    lower, upper = _slab(origin[2], direction[2])
    near, far = torch.maximum(near, lower), torch.minimum(far, upper)
    return near.masked_fill_(~(near <= far) | (near <= 0), torch.inf)


def intersect_ball(origin: Rays, direction: Rays) -> Tensor:
    """The same for the unit ball."""
    near, _ = _quadratic(origin, direction)
    return near.masked_fill_(~(near > 0), torch.inf)


def intersect_foliage(origin: Rays, direction: Rays, holes: Tensor) -> Tensor:
    """The same for a unit ball's surface with holes; the far side is seen through them."""
    near, far = _quadratic(origin, direction)
    for t in (near, far):
        solid = _is_solid(origin, direction, t.nan_to_num(nan=0.0), holes)
        t.masked_fill_(~((t > 0) & solid), torch.inf)
    return torch.minimum(near, far)


def _is_solid(origin: Rays, direction: Rays, t: Tensor, holes: Tensor) -> Tensor:
    index = torch.zeros_like(t, dtype=torch.int64)
    for o, d in zip(origin, direction, strict=True):
        # Unit coordinates lie in [-1, 1]; the origin moves the pattern from solid to solid.
        cell = ((o + t * d) * (HOLES * 0.49) + HOLES * 0.5).clamp_(0, HOLES - 1)
        index.mul_(HOLES).add_(cell.long())
    return holes[index]


def _quadratic(origin: tuple[Tensor, ...], direction: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Entry and exit of |o + t d| = 1; NaN where the ray misses."""
    a = sum_of_products(direction, direction)
    b = sum_of_products(origin, direction)
    c = sum_of_products(origin, origin) - 1
    root = (b * b).sub_(a * c).sqrt_()
    inverse = torch.reciprocal(a)
    return (-b - root).mul_(inverse), (root - b).mul_(inverse)


def sum_of_products(left: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> Tensor:
    """Dot product over tuples of components."""
    total = left[0] * right[0]
    for one, other in zip(left[1:], right[1:], strict=True):
        total = torch.addcmul(total, one, other)
    return total


def intersect(kind: int, origin: Rays, direction: Rays, holes: Tensor) -> Tensor:
    """Dispatch on the kind of solid."""
    if kind == FOLIAGE:
        return intersect_foliage(origin, direction, holes)
    functions: dict[int, Callable[[Rays, Rays], Tensor]] = {
        BOX: intersect_box,
        CYLINDER: intersect_cylinder,
        BALL: intersect_ball,
    }
    return functions[kind](origin, direction)
