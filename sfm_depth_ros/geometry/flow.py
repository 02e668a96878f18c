# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Optical flow: where each pixel of one image lies in another, in pixels (columns, then rows)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.pinhole import pixel_grid
from sfm_depth_ros.geometry.warping import grid_to_pixels

# Sundaram et al., ECCV 2010; UnFlow (Meister et al., AAAI 2018) has the same numbers.
RELATIVE, ABSOLUTE = 0.01, 0.5  # of the squared lengths, and pixels squared
# GeoNet (Yin and Shi, CVPR 2018)
ADAPTIVE_PIXELS, ADAPTIVE_SHARE = 3.0, 0.05
COVERED = 0.2  # pixels' worth of the other image: what is magnified by 1.5 has 0.25 and more


def rigid_flow(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Flow of a static scene, of where its points fall in the sources.

    Args:
        grid: ``(B, S, H, W, 2)`` as of ``warp_sources``.
        size: Height and width of the sources.

    Returns:
        ``(B, S, 2, H, W)`` pixels.
    """
    height, width = grid.shape[2:4]
    columns, rows = pixel_grid(height, width, like=grid)
    own = torch.stack((columns.expand(height, width), rows.expand(height, width)), dim=-1)
    return (grid_to_pixels(grid, *size) - own).permute(0, 1, 4, 2, 3)


def warp_by_flow(image: Tensor, flow: Tensor) -> Tensor:
    """An image sampled where the flow points; what lies outside repeats the border.

    Args:
        image: ``(N, C, H, W)``.
        flow: ``(N, 2, H, W)`` pixels.

    Returns:
        ``(N, C, H, W)``.
    """
    return functional.grid_sample(
        image, _grid(flow), mode="bilinear", padding_mode="border", align_corners=True
    )


def lands_inside(flow: Tensor) -> Tensor:
    """Whether each pixel's flow ``(N, 2, H, W)`` stays in the image, ``(N, 1, H, W)`` bool."""
    return _grid(flow).detach().abs().amax(-1)[:, None] <= 1 + 1e-5


def round_trip(forward: Tensor, backward: Tensor) -> Tensor:
    """Forward-backward residual ``f(x) + b(x + f(x))``, pixels.

    Args:
        forward: ``(N, 2, H, W)`` flow from the first image to the second.
        backward: ``(N, 2, H, W)`` flow from the second to the first.

    Returns:
        ``(N, 2, H, W)``; zero where both agree.
    """
    return forward + warp_by_flow(backward, forward)


@torch.no_grad()
def visible_by_round_trip(forward: Tensor, backward: Tensor) -> Tensor:
    """Visibility in the other image: ``|f + b|^2 < 0.01 (|f|^2 + |b|^2) + 0.5``, and inside.

    Returns:
        ``(N, 1, H, W)`` bool.
    """
    back = warp_by_flow(backward, forward)
    limit = RELATIVE * (_square(forward) + _square(back)) + ABSOLUTE
    return (_square(forward + back) < limit) & lands_inside(forward)


@torch.no_grad()
def consistent_by_round_trip(forward: Tensor, backward: Tensor) -> Tensor:
    """GeoNet's adaptive check: the round trip ends within max(3 px, 5 % of the flow), and inside.

    Returns:
        ``(N, 1, H, W)`` bool.
    """
    length = _square(forward).sqrt()
    limit = (ADAPTIVE_SHARE * length).clamp(min=ADAPTIVE_PIXELS)
    return (_square(round_trip(forward, backward)).sqrt() < limit) & lands_inside(forward)


@torch.no_grad()
def visible_by_coverage(forward: Tensor, backward: Tensor) -> Tensor:
    """Visibility in the other image: some of it flows back to the pixel, and it stays inside.

    Unlike a round trip this does not compare two flows of a pixel: a flow that has not been
    learnt yet fails nearly every round trip, and what is left out is never learnt.

    Returns:
        ``(N, 1, H, W)`` bool.
    """
    return (coverage(backward) > COVERED) & lands_inside(forward)


@torch.no_grad()
def coverage(backward: Tensor) -> Tensor:
    """Share of the second image that flows to each pixel of the first.

    The range map of Wang et al. (Occlusion Aware Unsupervised Learning of Optical Flow, CVPR
    2018): each pixel of the second image is distributed to the four around its target.

    Args:
        backward: ``(N, 2, H, W)`` flow from the second image to the first, pixels.

    Returns:
        ``(N, 1, H, W)`` in pixels; 1 where nothing moves, 0 where no flow ends.
    """
    height, width = backward.shape[-2], backward.shape[-1]
    columns, rows = pixel_grid(height, width, like=backward)
    x, y = backward[:, 0] + columns, backward[:, 1] + rows
    found = backward.new_zeros(len(backward), height * width)
    for column, row in ((x.floor() + i, y.floor() + j) for j in (0, 1) for i in (0, 1)):
        share = (1 - (x - column).abs()) * (1 - (y - row).abs())
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        index = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
        found.scatter_add_(1, index.long().flatten(1), (share * inside).flatten(1))
    return found.view(-1, 1, height, width)


def _grid(flow: Tensor) -> Tensor:
    """``(N, H, W, 2)`` in [-1, 1]."""
    height, width = flow.shape[-2], flow.shape[-1]
    columns, rows = pixel_grid(height, width, like=flow)
    x = (flow[:, 0] + columns) * (2 / (width - 1)) - 1
    y = (flow[:, 1] + rows) * (2 / (height - 1)) - 1
    return torch.stack((x, y), dim=-1)


def _square(flow: Tensor) -> Tensor:
    return flow.square().sum(1, keepdim=True)
