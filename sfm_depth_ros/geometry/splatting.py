# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forward splatting: what a source would see of the target's points, nearest first."""

from __future__ import annotations

import torch
from torch import Tensor

# A pixel's footprint in the source, in pixels: approaching by half of its distance doubles it.
LARGEST_FOOTPRINT = 2


@torch.no_grad()
def splat_depth(pixels: Tensor, depth: Tensor, valid: Tensor, size: tuple[int, int]) -> Tensor:
    """Depth buffer of points that lie on a grid of pixels: the nearest wins.

    Each point covers as many pixels as its distance from its neighbours on the same surface
    (at least one, at most ``LARGEST_FOOTPRINT``), so that what comes nearer, and is magnified,
    leaves no holes through which one would see what lies behind; a step in depth is not bridged.

    Args:
        pixels: ``(N, H, W, 2)`` columns and rows in the image that is splatted into.
        depth: ``(N, H, W)`` metres along its optical axis.
        valid: ``(N, H, W)`` bool; other points are not splatted.
        size: Height and width of that image.

    Returns:
        ``(N, height, width)`` metres, infinite where no point falls.
    """
    if pixels.shape != (*depth.shape, 2) or depth.ndim != 3 or valid.shape != depth.shape:
        raise ValueError(
            "expected pixels (N, H, W, 2), depth and valid (N, H, W), got "
            f"{tuple(pixels.shape)}, {tuple(depth.shape)} and {tuple(valid.shape)}"
        )
    height, width = size
    columns = _covered(pixels[..., 0], dim=-1, length=width)
    rows = _covered(pixels[..., 1], dim=-2, length=height)
    count = len(depth)
    offset = torch.arange(count, device=depth.device).view(-1, 1, 1) * (height * width)
    depth = depth.masked_fill(~valid, torch.inf)
    index = torch.stack([offset + row * width + column for row in rows for column in columns])
    buffer = depth.new_full((count * height * width,), torch.inf)
    buffer.scatter_reduce_(0, index.flatten(), depth.expand_as(index).flatten(), "amin")
    return buffer.view(count, height, width)


def surface_step(values: Tensor, dim: int) -> Tensor:
    """How far neighbours along ``dim`` on the same surface are apart, in the values' unit.

    The smaller of the distances to the neighbours before and after: at the edge of a surface only
    one of them belongs to it.

    Args:
        values: Any shape, a depth or a position for each pixel.
        dim: Axis along which neighbours are compared.

    Returns:
        The shape of ``values``, never negative; zero where there is no neighbour.
    """
    if values.shape[dim] < 2:
        return torch.zeros_like(values)
    step = values.diff(dim=dim).abs_()
    first, last = step.narrow(dim, 0, 1), step.narrow(dim, step.shape[dim] - 1, 1)
    return torch.minimum(torch.cat([first, step], dim), torch.cat([step, last], dim))


def _covered(position: Tensor, dim: int, length: int) -> list[Tensor]:
    """First and last pixels, int64 in [0, length), that points cover along one axis."""
    half = surface_step(position, dim).clamp_(1, LARGEST_FOOTPRINT).nan_to_num_(1).div_(2)
    # Half-open intervals around neighbours tile: each pixel's centre lies in exactly one.
    first = (position - half).ceil_()
    last = (position + half).ceil_().sub_(1)
    return [x.nan_to_num_(0).clamp_(0, length - 1).long() for x in (first, last)]
